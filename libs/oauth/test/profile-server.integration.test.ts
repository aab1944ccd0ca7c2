import { assert, it } from "@effect/vitest"
import { startAuthServer } from "@tributary/testkit"
import { Effect, Result } from "effect"
import { request } from "undici"
import { applyProfile, type ProviderSettings } from "../src/profile/applyProfile.ts"
import { replayWindow } from "../src/profile/lifecycle.ts"
import type { Profile } from "../src/profile/Profile.ts"
import { Profiles } from "../src/profile/Profiles.ts"
import { normalise, type Normalised } from "../src/TokenResponse.ts"

type Body = Readonly<Record<string, unknown>>

/** `session.token` as nested objects around a value. */
const nested = (path: string, value: unknown): Body => {
  const [first = "", ...rest] = path.split(".")
  return { [first]: rest.length === 0 ? value : nested(rest.join("."), value) }
}

/** Says what the strict server says in the way that the profile knows of its provider. */
const inItsManner =
  ({ response }: ProviderSettings) =>
  (body: Body): Body => {
    const { access_token, expires_in, refresh_token, scope, ...rest } = body
    const life = typeof expires_in === "number" ? expires_in : 0
    const factor = response.expires_unit === "milliseconds" ? 1000 : 1
    const end = response.expires?.find((path) => path.endsWith("_at"))
    // oxlint-disable-next-line eslint/no-restricted-globals -- the server's clock, which is real
    const date = new Date(Math.ceil(Date.now() / 1000 + life) * 1000).toISOString()
    return {
      ...rest,
      ...nested(response.access_token?.[0] ?? "access_token", access_token),
      ...(end === undefined ? { [response.expires?.[0] ?? "expires_in"]: life * factor } : { [end]: date }),
      ...(refresh_token === undefined ? {} : nested(response.refresh_token?.[0] ?? "refresh_token", refresh_token)),
      ...nested(response.refresh_token_expires?.[0] ?? "unused", 86_400),
      ...(typeof scope === "string" ? { scope: scope.replaceAll(" ", response.scope_separator ?? " ") } : {})
    }
  }

/** One token request as the settings say; forms only, since the strict server takes nothing else. */
const ask = async (settings: ProviderSettings, parameters: Record<string, string>): Promise<Normalised> => {
  const isBasic = settings.clientAuth.startsWith("basic")
  const client = { id: "client", secret: "client-secret" }
  const form = new URLSearchParams({
    grant_type: settings.grant,
    ...settings.tokenParams,
    ...parameters,
    ...(isBasic ? {} : { client_id: client.id, client_secret: client.secret })
  })
  const answer = await request(settings.refreshUrl ?? "", {
    method: "POST",
    headers: {
      ...settings.headers,
      "content-type": "application/x-www-form-urlencoded",
      ...(isBasic ? { authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString("base64")}` } : {})
    },
    body: form.toString()
  })
  const headers = Object.fromEntries(
    Object.entries(answer.headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value])
  )
  // oxlint-disable-next-line eslint/no-restricted-globals -- the server's clock, which is real
  const now = Date.now()
  const wire = { status: answer.statusCode, headers, body: await answer.body.text() }
  return normalise(wire, settings.grant, now, settings.response)
}

const tokensOf = (answer: Normalised, name: string) =>
  answer._tag === "Tokens" ? answer.body : assert.fail(`${name}: ${JSON.stringify(answer)}`)

const serverFor = (profile: Profile, settings: ProviderSettings) =>
  Effect.acquireRelease(
    Effect.promise(() => {
      const grace = profile.lifecycle?.grace?.value ?? "none"
      const life = settings.lifecycle.access_token_life
      return startAuthServer({
        clients: [
          { id: "client", secret: "client-secret", auth: settings.clientAuth.startsWith("basic") ? "basic" : "post" }
        ],
        rotate: profile.lifecycle?.rotation?.value !== "never",
        graceMs: typeof grace === "number" ? grace * 1000 : grace === "none" ? 0 : 3_600_000,
        tokenLife: typeof life === "number" ? life : 3600
      })
    }),
    (server) => Effect.promise(server.stop)
  )

const examples = (profile: Profile) =>
  Object.fromEntries(Object.entries(profile.params ?? {}).map(([name, { example }]) => [name, example]))

it.live(
  "each profile refreshes against the strict server that behaves as it says, keeps what is rotated, repeats within the grace, and learns of revocation",
  () =>
    Effect.gen(function* () {
      const profiles = yield* Profiles
      let tried = 0
      for (const id of yield* profiles.ids) {
        const profile = yield* profiles.get(id)
        if (!profile.grants.value.includes("refresh_token")) continue
        tried++
        yield* Effect.scoped(
          Effect.gen(function* () {
            const choice = { params: examples(profile), grant: "refresh_token" }
            const known = Result.getOrThrow(applyProfile(profile, choice))
            const server = yield* serverFor(profile, known)
            const settings = Result.getOrThrow(applyProfile(profile, { ...choice, token_url: server.tokenUrl }))
            server.control.shape(inItsManner(settings))
            const refresh = (token: string) => Effect.promise(() => ask(settings, { refresh_token: token }))

            const first = server.control.issueRefreshToken("client", ["read", "write"])
            const one = tokensOf(yield* refresh(first), id)
            assert.isTrue(server.validate(one.access_token).active, id)
            assert.strictEqual(one.scope, "read write", id)
            const life = settings.lifecycle.access_token_life
            if (typeof life === "number") assert.approximately(one.expires_in ?? 0, life, 2, id)
            if (settings.response.refresh_token_expires !== undefined) {
              assert.strictEqual(one.refresh_token_expires_in, 86_400, id)
            }

            const { grace, rotation } = profile.lifecycle ?? {}
            const rotates = rotation?.value !== "never"
            // Nobody knows for sure that the repetition is taken: then it is not tried.
            const isLenient = rotates && (grace?.value ?? "none") !== "none"
            assert.strictEqual(one.refresh_token === undefined, !rotates, id)
            const isRepeatable = replayWindow(settings.lifecycle) > 0
            if (isRepeatable) {
              // The answer was lost: the same token again brings tokens of use.
              const again = tokensOf(yield* refresh(first), id)
              const two = tokensOf(yield* refresh(again.refresh_token ?? first), id)
              assert.isTrue(server.validate(two.access_token).active, id)
            } else {
              const two = tokensOf(yield* refresh(one.refresh_token ?? first), id)
              assert.isTrue(server.validate(two.access_token).active, id)
              if (isLenient || !rotates) return
              // Where nothing is known of a grace, the repetition is taken for a theft, and is told as needing a person.
              const theft = yield* refresh(first)
              assert.deepInclude(theft, { _tag: "Refusal", failureClass: "needs-consent" }, id)
              assert.deepInclude(yield* refresh(two.refresh_token ?? first), { failureClass: "needs-consent" }, id)
              assert.strictEqual(server.stats.reuses, 1, id)
            }
            server.control.revokeFamilies()
            assert.deepInclude(yield* refresh(first), { failureClass: "needs-consent" }, id)
            server.control.next("error-200", "throttled", "html")
            assert.deepInclude(yield* refresh(first), { failureClass: "transient" }, id)
            assert.deepInclude(yield* refresh(first), { failureClass: "throttled", retryAfter: 1000 }, id)
            assert.deepInclude(yield* refresh(first), { failureClass: "misconfigured" }, id)
          })
        )
      }
      assert.isAtLeast(tried, 50)
    }),
  60_000
)

it("a path is nested", () => assert.deepStrictEqual(nested("a.b", 1), { a: { b: 1 } }))
