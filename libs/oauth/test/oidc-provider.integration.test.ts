import { assert, describe, it } from "@effect/vitest"
import { Tokens } from "@tributary/oauth"
import { type OidcServer, startOidcServer } from "@tributary/testkit/oidc"
import { TokenStore } from "@tributary/vault"
import { Effect, Option, Redacted } from "effect"
import { authorization, live } from "./support.ts"

const provider = Effect.acquireRelease(
  Effect.promise(() => startOidcServer()),
  (server) => Effect.promise(() => server.stop())
)

const withProvider = <E>(
  first: string,
  server: OidcServer,
  client: "basic" | "post" | "web",
  work: Effect.Effect<void, E, Tokens | TokenStore>
) => Effect.provide(work, live({ CLIENT_SECRET: server.secretOf(client), FIRST: first }))

describe("with oidc-provider", () => {
  for (const client of ["basic", "post"] as const) {
    it.live(`client credentials by ${client}, found by discovery`, () =>
      Effect.gen(function* () {
        const server = yield* provider
        const settings = { issuer: server.issuer, client_id: client, client_auth: client, scopes: ["api:read"] }
        yield* withProvider(
          "",
          server,
          client,
          Effect.scoped(
            Effect.gen(function* () {
              const { get, rejected } = yield* (yield* Tokens).manager(authorization(settings))
              const first = yield* get
              assert.isTrue(yield* Effect.promise(() => server.isValid(Redacted.value(first.value))))
              assert.approximately((first.expiresAt ?? 0) - performance.timeOrigin - performance.now(), 60_000, 3000)
              yield* rejected(first)
              const second = yield* get
              assert.strictEqual(second.generation, 2)
              assert.notStrictEqual(Redacted.value(second.value), Redacted.value(first.value))
            })
          )
        )
      })
    )
  }

  it.live("rotation of refresh tokens, of which none is used twice", () =>
    Effect.gen(function* () {
      const server = yield* provider
      const first = yield* Effect.promise(() => server.issueRefreshToken())
      const settings = {
        oauth2: "refresh_token",
        issuer: server.issuer,
        client_id: "web",
        refresh_token: "${env:FIRST}",
        scopes: ["openid", "offline_access"]
      }
      yield* withProvider(
        first,
        server,
        "web",
        Effect.gen(function* () {
          const seen = new Set([first])
          for (let run = 1; run <= 3; run++) {
            yield* Effect.scoped(
              Effect.gen(function* () {
                const { get, rejected } = yield* (yield* Tokens).manager(authorization(settings))
                yield* Effect.all([get, get, get], { concurrency: "unbounded" })
                yield* rejected(yield* get)
                const token = yield* get
                assert.isTrue(yield* Effect.promise(() => server.isValid(Redacted.value(token.value))))
                const stored = Option.getOrThrow(yield* (yield* TokenStore).load("shop"))
                seen.add(Redacted.value(stored.refreshToken ?? assert.fail()))
              })
            )
          }
          assert.strictEqual(seen.size, 4)
        })
      )
    })
  )

  it.live("a refusal is told in its words", () =>
    Effect.gen(function* () {
      const server = yield* provider
      const settings = {
        oauth2: "refresh_token",
        issuer: server.issuer,
        client_id: "web",
        refresh_token: "${env:FIRST}"
      }
      yield* withProvider(
        "never-issued",
        server,
        "web",
        Effect.scoped(
          Effect.gen(function* () {
            const { get } = yield* (yield* Tokens).manager(authorization(settings))
            const error = yield* Effect.flip(get)
            assert.strictEqual(error.failureClass, "needs-consent")
            assert.match(error.message, /400 invalid_grant "grant request is invalid"/)
          })
        )
      )
    })
  )
})
