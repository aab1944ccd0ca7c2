import { assert, describe, it } from "@effect/vitest"
import { authorizationOf, makeServerCalls, Tokens, TokenTransport } from "@tributary/oauth"
import { ConfigProvider, Effect, Redacted } from "effect"
import { authorization, authServer, live, secrets } from "./support.ts"

const environment = { NEW: "new-secret", OLD: "old-secret" }
const both = ["${env:NEW}", "${env:OLD}"]
const client = (secret: string) => ({ id: "client", secret })

describe("a client secret that is being replaced", () => {
  it.live("is found whichever of the two the server takes, remembered, and costs no refresh token", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ clients: [client("old-secret")] })
      const first = server.control.issueRefreshToken("client")
      yield* Effect.gen(function* () {
        const settings = { oauth2: "refresh_token", refresh_token: "${env:FIRST}", client_secret: both }
        const manager = yield* (yield* Tokens).manager(authorization({ token_url: server.tokenUrl, ...settings }))
        const renewed = Effect.gen(function* () {
          const before = server.stats.tokenRequests
          yield* manager.rejected(yield* manager.get)
          const { value } = yield* manager.get
          assert.isTrue(server.validate(Redacted.value(value)).active)
          return server.stats.tokenRequests - before
        })
        yield* manager.get
        assert.strictEqual(server.stats.tokenRequests, 2, "the new one is tried first")
        assert.strictEqual(yield* renewed, 1, "the old one is remembered")
        server.control.setClient(client("new-secret"))
        assert.strictEqual(yield* renewed, 2)
        assert.strictEqual(yield* renewed, 1)
        assert.strictEqual(server.stats.reuses, 0)
      }).pipe(Effect.provide(live({ ...environment, FIRST: first })))
    }).pipe(Effect.scoped)
  )

  it.live("is not tried in a loop when the server takes neither, and one that cannot be read is passed over", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ clients: [client("another")] })
      yield* Effect.gen(function* () {
        const tokens = yield* Tokens
        const of = (id: string, client_secret: ReadonlyArray<string>) =>
          tokens.manager(authorization({ token_url: server.tokenUrl, client_secret }, id))
        const error = yield* Effect.flip((yield* of("one", both)).get)
        assert.strictEqual(error.failureClass, "misconfigured")
        assert.match(error.message, /invalid_client/u)
        assert.strictEqual(server.stats.tokenRequests, 2)
        const missing = yield* Effect.flip((yield* of("two", ["${env:NEW}", "${env:MISSING}"])).get)
        assert.match(missing.message, /invalid_client/u)
        assert.strictEqual(server.stats.tokenRequests, 3)
        server.control.setClient(client("new-secret"))
        yield* (yield* of("three", ["${env:NEW}", "${env:MISSING}"])).get
      }).pipe(Effect.provide(live(environment)))
    }).pipe(Effect.scoped)
  )

  it.live("serves introspection as well", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ clients: [client("old-secret")] })
      yield* Effect.gen(function* () {
        const settings = { token_url: server.tokenUrl, introspection_url: `${server.url}/introspect` }
        const calls = yield* makeServerCalls(authorization({ ...settings, client_secret: both }))
        const { isActive } = yield* calls.introspect(Redacted.make("unknown"))
        assert.isFalse(isActive)
        yield* calls.introspect(Redacted.make("unknown"))
        assert.strictEqual(server.stats.introspections, 2)
      }).pipe(
        Effect.provide([
          secrets(environment),
          TokenTransport.layer,
          ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))
        ])
      )
    }).pipe(Effect.scoped)
  )
})

describe("an authorization that connectors share", () => {
  it.live("has one token for all, and is refused where they ask for different things", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ clients: [client("old-secret")] })
      yield* Effect.gen(function* () {
        const tokens = yield* Tokens
        const settings = {
          token_url: server.tokenUrl,
          authorization: "shop-login",
          client_secret: "${env:OLD}",
          scopes: ["read"]
        }
        const of = (connector: string, more: Record<string, unknown> = {}) => {
          const { base, oauth2 } = authorization({ ...settings, ...more })
          return tokens.manager(authorizationOf(connector, oauth2, base))
        }
        const [one, two] = [yield* of("orders"), yield* of("refunds")]
        const [first, second] = yield* Effect.all([one.get, two.get], { concurrency: 2 })
        assert.strictEqual(Redacted.value(first.value), Redacted.value(second.value))
        assert.strictEqual(server.stats.tokenRequests, 1)
        yield* two.rejected(second)
        assert.strictEqual((yield* one.get).generation, 2)
        assert.strictEqual(server.stats.tokenRequests, 2)
        const error = yield* Effect.flip(of("users", { scopes: ["write"] }))
        assert.match(error.message, /shop-login.*different settings \(scopes\)/u)
        assert.strictEqual((yield* two.status).authorization, "shop-login")
        for (const [name, value] of [
          ["lifecycle", { reuse: "revokes_family" }],
          ["refresh_url", `${server.url}/refresh`],
          ["client_auth", "post"]
        ] as const) {
          const refused = yield* Effect.flip(of("users", { [name]: value }))
          assert.include(refused.message, `different settings (${name})`)
        }
        // The same secret, rotated meanwhile or in another place, is no other request.
        yield* of("users", { client_secret: "${env:NEW}" })
      }).pipe(Effect.scoped, Effect.provide(live(environment)))
    }).pipe(Effect.scoped)
  )
})
