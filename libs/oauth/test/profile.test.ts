import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { applyProfile, type ProviderChoice } from "../src/profile/applyProfile.ts"
import { nextLife, refreshTokenEnd, refreshWindow, replayWindow } from "../src/profile/lifecycle.ts"
import { factsOf, type Profile, profileEditorSchema } from "../src/profile/Profile.ts"
import type { ProfileError } from "../src/profile/ProfileError.ts"
import { parseProfile, Profiles, profilesIn } from "../src/profile/Profiles.ts"

const examples = (profile: Profile) =>
  Object.fromEntries(Object.entries(profile.params ?? {}).map(([name, { example }]) => [name, example]))

const settingsOf = (profile: Profile, choice: ProviderChoice = {}) => {
  const applied = applyProfile(profile, { params: examples(profile), ...choice })
  return Result.isSuccess(applied) ? applied.success : assert.fail(applied.failure.message)
}

describe("the profiles that come with the package", () => {
  it.effect("are all valid: addresses https, each fact with a source or marked as unverified, usable", () =>
    Effect.gen(function* () {
      const profiles = yield* Profiles
      const ids = yield* profiles.ids
      assert.isAtLeast(ids.length, 60)
      const sourced: Array<string> = []
      const unverified: Array<string> = []
      for (const id of ids) {
        const profile = yield* profiles.get(id)
        for (const { place, source, value } of factsOf(profile)) {
          const name = `${id}: ${place}`
          if (source === undefined) unverified.push(name)
          else {
            sourced.push(name)
            assert.strictEqual(new URL(source).protocol, "https:", name)
          }
          if (place.startsWith("endpoints.")) assert.match(String(value), /^https:\/\//u, name)
        }
        for (const grant of profile.grants.value) {
          const { authorizationUrl, issuer, refreshUrl, revocationUrl, tokenUrl } = settingsOf(profile, { grant })
          assert.isDefined(tokenUrl ?? issuer, id)
          for (const url of [authorizationUrl, issuer, refreshUrl, revocationUrl, tokenUrl]) {
            assert.strictEqual(url?.protocol ?? "https:", "https:", id)
            assert.notMatch(decodeURIComponent(url?.href ?? ""), /[{}]/u, id)
          }
        }
        for (const { means, says } of profile.response?.errors?.value ?? []) {
          assert.strictEqual(says, says.toLowerCase(), id)
          assert.isTrue(["needs-consent", "misconfigured", "transient", "throttled"].includes(means), id)
        }
        for (const [name, { example, pattern }] of Object.entries(profile.params ?? {})) {
          assert.match(example, new RegExp(`^(?:${pattern ?? ".+"})$`, "u"), `${id}: ${name}`)
        }
      }
      // What is known of the most used providers is not lost by accident.
      assert.isAtLeast(sourced.length, 300)
      assert.isAtLeast(sourced.length / (sourced.length + unverified.length), 0.5)
    })
  )

  it.effect("know what matters most of those that lose tokens", () =>
    Effect.gen(function* () {
      const profiles = yield* Profiles
      const life = (id: string) => Effect.map(profiles.get(id), (profile) => settingsOf(profile).lifecycle)
      assert.deepInclude(yield* life("xero"), { rotation: "always", grace: 1800, idle_life: 60 * 86_400 })
      assert.deepInclude(yield* life("atlassian"), { idle_life: 90 * 86_400, absolute_life: 365 * 86_400 })
      assert.deepInclude(yield* life("exact-online"), { early_refresh: "refused", refresh_window: 30 })
      assert.deepInclude(yield* life("zoho"), { token_requests: { requests: 10, per: 600, by: "refresh_token" } })
      assert.deepInclude(yield* life("salesforce"), { reuse: "revokes_family" })
      assert.deepInclude(yield* life("shopify"), { grace: "until_next_use" })
    })
  )

  it.effect("an unknown name is answered with the nearest, and a folder's file outside is not reached", () =>
    Effect.gen(function* () {
      const profiles = yield* Profiles
      const found = yield* Effect.flip(profiles.get("gogle"))
      assert.match(found.message, /Did you mean google\?/u)
      for (const name of ["../profiles/google", "google.yaml", "", "x".repeat(1000), "con\u0000"]) {
        const error = yield* Effect.flip(profiles.get(name))
        assert.strictEqual(error.failureClass, "misconfigured")
        assert.isBelow(error.message.length, 400)
      }
    })
  )

  it.effect("the JSON Schema beside them is that of the code", () =>
    Effect.gen(function* () {
      const text = yield* Effect.promise(() => readFile(new URL("../profiles/schema.json", import.meta.url), "utf8"))
      const written: unknown = JSON.parse(text)
      assert.deepStrictEqual(written, JSON.parse(JSON.stringify(profileEditorSchema())), "run npm run gen")
    })
  )
})

const small = `id: acme
name: Acme
sources:
  docs: https://docs.acme.example/oauth
params:
  tenant:
    description: Name of the tenant
    example: blue
grants: { value: [authorization_code, refresh_token, client_credentials, acme_login], source: docs }
endpoints:
  authorization: { value: "https://{tenant}.acme.example/authorize", source: docs }
  token: { value: "https://{tenant}.acme.example/token", source: docs }
  refresh: { value: "https://{tenant}.acme.example/refresh", unverified: true }
  revocation: { value: "https://{tenant}.acme.example/revoke", unverified: true }
request:
  client_auth: { value: post, source: docs }
  scope_separator: { value: ",", source: docs }
  offline_scopes: { value: [offline], source: docs }
  authorization_params: { value: { prompt: consent, mode: "of {tenant}" }, source: docs }
  grant_params: { value: { acme_login: { account: "{tenant}" }, refresh_token: { x: "1" } }, source: docs }
  audience: { value: "https://{tenant}.acme.example", source: docs }
response:
  expires_unit: { value: milliseconds, source: docs }
lifecycle:
  rotation: { value: always, source: docs }
  grace: { value: 2 minutes, source: docs }
`
const acme = parseProfile("acme", "acme.yaml", small)

describe("applyProfile", () => {
  it.effect("fills the profile in", () =>
    Effect.gen(function* () {
      const settings = settingsOf(yield* acme, {
        params: { tenant: "blue" },
        grant: "refresh_token",
        scopes: ["a", "b"]
      })
      assert.deepInclude(settings, {
        provider: "acme",
        clientAuth: "post",
        clientIdParam: "client_id",
        scope: "a,b,offline",
        consentScope: "a,b,offline",
        audience: "https://blue.acme.example",
        resource: undefined,
        pkce: "supported",
        authorizationParams: { prompt: "consent", mode: "of blue" },
        tokenParams: { x: "1" },
        headers: {},
        body: "form",
        response: { expires_unit: "milliseconds" },
        lifecycle: { rotation: "always", grace: 120 }
      })
      assert.strictEqual(settings.tokenUrl?.href, "https://blue.acme.example/token")
      assert.strictEqual(settings.refreshUrl?.href, "https://blue.acme.example/refresh")
      assert.strictEqual(settings.revocationUrl?.href, "https://blue.acme.example/revoke")
    })
  )
  it.effect("asks for offline scopes where a person consents, and nowhere that it would narrow what was granted", () =>
    Effect.gen(function* () {
      const profile = yield* acme
      const params = { tenant: "blue" }
      assert.deepInclude(settingsOf(profile, { params, grant: "refresh_token" }), {
        scope: "",
        consentScope: "offline"
      })
      assert.deepInclude(settingsOf(profile, { params, grant: "client_credentials", scopes: ["a"] }), { scope: "a" })
      assert.deepInclude(settingsOf(profile, { params, grant: "acme_login" }).tokenParams, { account: "blue" })
    })
  )
  it.effect("believes that a refresh token can be sent again only where a source says so, or the person", () =>
    Effect.gen(function* () {
      const believed = (from: string, to: string) => parseProfile("acme", "acme.yaml", small.replace(from, to))
      const params = { tenant: "blue" }
      const grace = "{ value: 2 minutes, source: docs }"
      const unsure = yield* believed(grace, "{ value: 2 minutes, unverified: true }")
      assert.deepStrictEqual(settingsOf(unsure, { params }).lifecycle, { rotation: "always" })
      assert.deepInclude(settingsOf(unsure, { params, lifecycle: { grace: 60 } }).lifecycle, { grace: 60 })
      const rotation = "{ value: always, source: docs }"
      const never = "{ value: never, unverified: true }"
      const profile = yield* believed(`  rotation: ${rotation}\n  grace: ${grace}\n`, `  rotation: ${never}\n`)
      assert.deepStrictEqual(settingsOf(profile, { params }).lifecycle, {})
      assert.strictEqual(replayWindow(settingsOf(profile, { params }).lifecycle), 0)
    })
  )
  it.effect("what a person says goes first", () =>
    Effect.gen(function* () {
      const profile = yield* acme
      const params = { tenant: "blue" }
      const settings = settingsOf(profile, {
        params,
        grant: "refresh_token",
        token_url: "http://127.0.0.1:4000/t",
        revocation_url: "https://other.example/revoke",
        client_auth: "basic",
        audience: "mine",
        resource: "https://r.example",
        authorization_params: { prompt: "", extra: "1" },
        token_params: { x: "2", y: "3" },
        headers: { accept: "application/json" },
        quirks: { default_expires_in: 60 },
        lifecycle: { grace: "none" }
      })
      assert.deepInclude(settings, {
        clientAuth: "basic",
        audience: "mine",
        resource: "https://r.example",
        authorizationParams: { mode: "of blue", extra: "1" },
        tokenParams: { x: "2", y: "3" },
        headers: { accept: "application/json" },
        response: { expires_unit: "milliseconds", default_expires_in: 60 },
        lifecycle: { rotation: "always", grace: "none" }
      })
      assert.strictEqual(settings.tokenUrl?.href, "http://127.0.0.1:4000/t")
      // A refresh endpoint of the profile would belong to another server than the token endpoint that is given.
      assert.strictEqual(settings.refreshUrl?.href, "http://127.0.0.1:4000/t")
      assert.strictEqual(settings.revocationUrl?.href, "https://other.example/revoke")
      const other = settingsOf(profile, { params, issuer: "https://id.other.example" })
      assert.deepInclude(other, { tokenUrl: undefined, authorizationUrl: undefined, revocationUrl: undefined })
    })
  )
  it.effect("says what is wrong", () =>
    Effect.gen(function* () {
      const profile = yield* acme
      const table: ReadonlyArray<readonly [ProviderChoice, RegExp]> = [
        [{}, /params\.tenant: found nothing, expected Name of the tenant\. Give it, as tenant: blue/u],
        [{ params: { tenant: "a.b" } }, /params\.tenant: found a value that does not fit/u],
        [
          { params: { tenant: "blue", tennant: "x" } },
          /params\.tennant: found an unknown parameter, expected one of tenant/u
        ],
        [
          { params: { tenant: "blue" }, grant: "password" },
          /oauth2: found the grant password, expected one of authorization/u
        ],
        [{ params: { tenant: "blue" }, token_url: "acme" }, /token_url: found what is no address/u],
        [{ params: { tenant: "blue" }, issuer: "file:///etc" }, /issuer: found what is no address/u]
      ]
      for (const [choice, expected] of table) {
        const applied = applyProfile(profile, choice)
        assert.isTrue(Result.isFailure(applied))
        if (Result.isFailure(applied)) assert.match(applied.failure.message, expected)
      }
    })
  )
  it.effect.prop(
    "no parameter leads an address to a host, port, path or user that the profile does not mean",
    [Schema.Union([Schema.String, Schema.String.check(Schema.isPattern(/^[a-z0-9.@:/#?%{}\\-]{1,12}$/u))])],
    ([tenant]) =>
      Effect.gen(function* () {
        const applied = applyProfile(yield* acme, { params: { tenant } })
        if (Result.isFailure(applied)) return
        const url = applied.success.tokenUrl
        assert.strictEqual(url?.href, `https://${tenant.toLowerCase()}.acme.example/token`)
      }),
    { arbitrary: { runs: 1000 } }
  )
})

describe("a profile that is wrong is refused with the place", () => {
  const table: ReadonlyArray<readonly [name: string, from: string, to: string, expected: RegExp]> = [
    ["no YAML", "name: Acme", "name: [Acme", /acme\.yaml:\d+:\d+: found text that is not YAML/u],
    [
      "a setting given twice",
      "name: Acme",
      "name: Acme\nname: Acme",
      /acme\.yaml:3:1: found text that is not YAML \(DUPLICATE_KEY\)/u
    ],
    ["an unknown setting", "name: Acme", "nme: Acme", /acme\.yaml:\d+:\d+/u],
    [
      "an unknown value",
      "value: always",
      "value: sometime",
      /acme\.yaml:25:22: found lifecycle\.rotation\.value that does not fit, expected "never"/u
    ],
    [
      "plain http",
      "https://{tenant}.acme.example/token",
      "http://{tenant}.acme.example/token",
      /acme\.yaml:12:19: .*an https address/u
    ],
    [
      "a fact without source",
      "{ value: post, source: docs }",
      "{ value: post }",
      /acme\.yaml:16:16: .*either a source or `unverified: true`/u
    ],
    [
      "a fact with both",
      "{ value: post, source: docs }",
      "{ value: post, source: docs, unverified: true }",
      /either a source/u
    ],
    [
      "a source that is not there",
      "{ value: post, source: docs }",
      "{ value: post, source: docz }",
      /request\.client_auth\.source .*found docz/u
    ],
    [
      "a source that nothing names",
      "  docs: https://docs",
      "  more: https://x.example\n  docs: https://docs",
      /sources\.more .*a fact that names it/u
    ],
    [
      "a parameter that is not there",
      "{tenant}.acme.example/token",
      "{tennant}.acme.example/token",
      /params .*tennant, which an address/u
    ],
    [
      "a parameter that nothing uses",
      "  tenant:\n",
      "  zone:\n    description: A zone\n    example: z\n  tenant:\n",
      /params\.zone/u
    ],
    ["a time without unit", "2 minutes", "2", /acme\.yaml:26:19: .*a number with seconds/u],
    ["a grace without rotation", "value: always", "value: never", /lifecycle\.rotation .*no grace and reuse/u],
    [
      "a pattern that is none",
      "    example: blue",
      '    example: blue\n    pattern: "(["',
      /params\.tenant\.pattern .*a regular expression/u
    ],
    [
      "no endpoint",
      '  token: { value: "https://{tenant}.acme.example/token", source: docs }\n',
      "",
      /endpoints .*token or issuer/u
    ],
    ["another id", "id: acme", "id: acne", /found the id acne, expected acme, the name of the file/u]
  ]
  for (const [name, from, to, expected] of table) {
    it.effect(name, () =>
      Effect.gen(function* () {
        assert.include(small, from)
        const error = yield* Effect.flip(parseProfile("acme", "acme.yaml", small.replace(from, to)))
        assert.match(error.message, expected)
        assert.strictEqual(error.failureClass, "misconfigured")
      })
    )
  }
})

it.live("a profile of one's own folder is read once; a broken one does not hurt the others", () =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "profiles-"))),
      (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
    )
    const write = (file: string, text: string) => Effect.promise(() => writeFile(join(folder, file), text))
    yield* write("acme.yaml", small)
    yield* write("broken.yaml", "id: broken\nname: [")
    yield* write("readme.md", "no profile")
    const profiles = profilesIn(folder)
    const first = yield* profiles.get("acme")
    yield* write("acme.yaml", small.replace("name: Acme", "name: Changed"))
    const error: ProfileError = yield* Effect.flip(profiles.get("broken"))
    assert.deepStrictEqual(yield* profiles.ids, ["acme", "broken"])
    assert.strictEqual(yield* profiles.get("acme"), first)
    assert.match(error.place, /^broken\.yaml:2:/u)
    const missing = yield* Effect.flip(profilesIn(join(folder, "nowhere")).get("acme"))
    assert.match(missing.message, /cannot be read \(ENOENT\)/u)
  }).pipe(Effect.scoped)
)

it("lifecycle tells when to repeat, when to refresh and when a token dies", () => {
  assert.strictEqual(replayWindow({}), 0)
  assert.strictEqual(replayWindow({ rotation: "sometimes" }), 0)
  assert.strictEqual(replayWindow({ rotation: "never" }), Infinity)
  assert.strictEqual(replayWindow({ rotation: "always", grace: "none" }), 0)
  assert.strictEqual(replayWindow({ rotation: "always", grace: 1800 }), 1_800_000)
  assert.strictEqual(replayWindow({ rotation: "always", grace: "until_next_use" }), Infinity)
  assert.strictEqual(refreshWindow({}), Infinity)
  assert.strictEqual(refreshWindow({ early_refresh: "refused" }), 0)
  assert.strictEqual(refreshWindow({ early_refresh: "refused", refresh_window: 30 }), 30_000)
  const token = { consentedAt: 0, obtainedAt: 5000, saidEnd: undefined, isFixed: false }
  assert.deepStrictEqual(refreshTokenEnd({ idle_life: "unlimited" }, token), { unused: undefined, atLast: undefined })
  assert.deepStrictEqual(refreshTokenEnd({ idle_life: 10, absolute_life: 12 }, token), {
    unused: 15_000,
    atLast: 12_000
  })
  const said = { ...token, saidEnd: 9000 }
  assert.deepStrictEqual(refreshTokenEnd({ idle_life: 10 }, said), { unused: 9000, atLast: undefined })
  assert.deepStrictEqual(refreshTokenEnd({}, { ...said, isFixed: true }), { unused: undefined, atLast: 9000 })
  assert.deepStrictEqual(refreshTokenEnd({ absolute_life: 8 }, said), { unused: undefined, atLast: 8000 })
})

it("whether refreshing moves a refresh token's end is learnt from its answers", () => {
  const answer = (obtainedAt: number, lifetime: number | undefined, isReplaced = true) => ({
    obtainedAt,
    lifetime,
    isReplaced
  })
  const hour = 3_600_000
  const first = nextLife(undefined, answer(1000, 86_400))
  assert.deepStrictEqual(first, { obtainedAt: 1000, consentedAt: 1000, saidEnd: 86_401_000, isFixed: false })
  const sliding = nextLife(first, answer(1000 + hour, 86_400))
  assert.deepInclude(sliding, { consentedAt: 1000, saidEnd: 86_401_000 + hour, isFixed: false })
  const fixed = nextLife(first, answer(1000 + hour, 82_801))
  assert.deepInclude(fixed, { consentedAt: 1000, saidEnd: 86_402_000, isFixed: true })
  // Two answers at once tell nothing.
  assert.isFalse(nextLife(first, answer(1001, 86_400)).isFixed)
  assert.strictEqual(nextLife(first, answer(2000, undefined, false)).saidEnd, 86_401_000)
  assert.isUndefined(nextLife(first, answer(2000, undefined)).saidEnd)
})
