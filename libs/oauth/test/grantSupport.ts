import { assert } from "@effect/vitest"
import { makeServerCalls, Tokens, TokenTransport } from "@tributary/oauth"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { createServer, type RequestListener } from "node:http"
import type { GrantServer } from "./GrantServer.ts"
import { authorization, live, secrets } from "./support.ts"

/** The clients' secret, with characters that are encoded in different ways. */
export const secret = "client-secret: with+odd/characters & = and more of them"

/** A token of an authorization, or why there is none. */
export const tokenOf = (settings: Record<string, unknown>, environment: Record<string, string> = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { get } = yield* (yield* Tokens).manager(authorization(settings))
      return yield* get
    })
  ).pipe(
    Effect.provide(live({ CLIENT_SECRET: secret, ...environment }), { local: true }),
    Effect.catchTag("ConfigError", Effect.die)
  )

/** A token that the server knows. */
export const granted = (server: GrantServer, settings: Record<string, unknown>, environment?: Record<string, string>) =>
  Effect.gen(function* () {
    const token = Redacted.value((yield* tokenOf({ issuer: server.issuer, ...settings }, environment)).value)
    assert.isTrue(yield* Effect.promise(() => server.isValid(token)))
    return token
  })

/** The failure of an authorization whose settings are wrong. */
export const refused = (settings: Record<string, unknown>, environment: Record<string, string>, says: RegExp) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(tokenOf(settings, environment))
    assert.strictEqual(error.failureClass, "misconfigured", error.message)
    assert.match(error.message, says)
    return error
  })

/** Requests beside those for tokens. */
export const calls = (settings: Record<string, unknown>, environment: Record<string, string> = {}) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      Layer.mergeAll(
        secrets({ CLIENT_SECRET: secret, ...environment }),
        TokenTransport.layer,
        ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))
      )
    )
    return yield* Effect.provideContext(makeServerCalls(authorization(settings)), context)
  })

/** A server of a test's own. */
export const serve = (handler: RequestListener) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const http = createServer(handler)
      await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve))
      return http
    }),
    (http) =>
      Effect.promise(async () => {
        const closed = new Promise((resolve) => http.close(resolve))
        http.closeAllConnections()
        await closed
      })
  ).pipe(
    Effect.map((http) => {
      const address = http.address()
      return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`
    })
  )
