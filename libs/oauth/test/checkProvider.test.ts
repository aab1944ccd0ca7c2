import { assert, describe, it } from "@effect/vitest"
import { OAuth2 } from "@tributary/domain"
import { checkProvider, Profiles } from "@tributary/oauth"
import { Effect, Schema } from "effect"

const decode = Schema.decodeUnknownSync(OAuth2)
const zendesk = {
  provider: "zendesk",
  params: { subdomain: "acme" },
  oauth2: "refresh_token",
  client_id: "id",
  client_secret: "${env:SECRET}",
  refresh_token: "${env:REFRESH}"
}

const found = (settings: Readonly<Record<string, unknown>>) =>
  Effect.map(checkProvider(decode(settings)), (conflicts) =>
    conflicts.map(
      ({ advice, expected, found, path, severity }) => `${severity} ${path.join(".")}: ${found}; ${expected}; ${advice}`
    )
  )

describe("a connector file's provider", () => {
  const wrong: ReadonlyArray<readonly [string, Readonly<Record<string, unknown>>, RegExp]> = [
    [
      "an unknown name",
      { ...zendesk, provider: "zendsk" },
      /^error auth\.provider: an unknown name \(zendsk\); one of \d+ profiles; Did you mean zendesk\?$/u
    ],
    [
      "no parameter",
      { ...zendesk, params: {} },
      /^error auth\.params: no `subdomain` for Zendesk; .*; Give it, as subdomain: /u
    ],
    [
      "a parameter that is misspelt",
      { ...zendesk, params: { subdomian: "acme" } },
      /^error auth\.params\.subdomian: an unknown parameter; one of subdomain; Did you mean subdomain\?$/u
    ],
    [
      "a parameter that would lead elsewhere",
      { ...zendesk, params: { subdomain: "evil.example/" } },
      /^error auth\.params\.subdomain: a value that does not fit/u
    ],
    [
      "a grant that it does not know",
      { ...zendesk, oauth2: "token_exchange", refresh_token: undefined, exchange: { subject_token: "${env:T}" } },
      /^error auth\.oauth2: the grant urn:.*token-exchange; one of /u
    ],
    ["no secret", { ...zendesk, client_secret: undefined }, /^error auth: no `client_secret` with client_auth post/u]
  ]
  for (const [name, settings, expected] of wrong) {
    it.effect(`is refused: ${name}`, () =>
      Effect.gen(function* () {
        const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
        const [first = "", ...others] = (yield* found(given)).filter((line) => line.startsWith("error"))
        assert.match(first, expected)
        assert.deepStrictEqual(others, [])
      })
    )
  }

  it.effect("is told from what nobody has looked up, unless the file says it", () =>
    Effect.gen(function* () {
      const [warning = "", ...others] = yield* found(zendesk)
      assert.deepStrictEqual(others, [])
      assert.match(
        warning,
        /^warning auth\.provider: what the profile of Zendesk has from no public documentation: .*request\.client_auth \(post\)/u
      )
      const own = (yield* found({ ...zendesk, client_auth: "post" })).join("")
      assert.notInclude(own, "client_auth")
    })
  )

  it.effect("may take its parameters from references", () =>
    Effect.gen(function* () {
      const lines = yield* found({ ...zendesk, params: { subdomain: "${env:SUBDOMAIN}" } })
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("error")),
        []
      )
    })
  )

  it.effect("is right for each profile with its examples", () =>
    Effect.gen(function* () {
      const profiles = yield* Profiles
      for (const id of yield* profiles.ids) {
        const profile = yield* profiles.get(id)
        if (!profile.grants.value.includes("refresh_token")) continue
        const params = Object.fromEntries(
          Object.entries(profile.params ?? {}).map(([name, { example }]) => [name, example])
        )
        const lines = yield* found({ ...zendesk, provider: id, params })
        assert.deepStrictEqual(
          lines.filter((line) => line.startsWith("error")),
          [],
          id
        )
      }
    })
  )
})
