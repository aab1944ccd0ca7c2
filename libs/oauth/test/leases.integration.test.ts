import { Tokens, TokenTransport } from "@tributary/oauth"
import type { AuthServer } from "@tributary/testkit"
import { Budgets, type Lease, LeaseError, Leases, TokenStore } from "@tributary/vault"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { createServer } from "node:http"
import { authorization, authServer, secrets, until } from "./support.ts"

const lease = (left: number, isInherited = false): Lease => ({
  key: "shop",
  owner: "test",
  epoch: 1,
  lost: Effect.never,
  check: Effect.void,
  left: Effect.succeed(left),
  isInherited
})

/** One get with these leases, over real HTTP. */
const get = (
  server: AuthServer,
  grant: "refresh_token" | "client_credentials",
  leases: Leases["Service"],
  budgets: Layer.Layer<Budgets> = Budgets.layer
) =>
  Effect.gen(function* () {
    const tokens = yield* Tokens
    const refresh = grant === "refresh_token" ? { refresh_token: "${env:FIRST}" } : {}
    const manager = yield* tokens.manager(authorization({ oauth2: grant, token_url: server.tokenUrl, ...refresh }))
    return yield* manager.get
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Tokens.layer.pipe(
        Layer.provide([
          secrets({ CLIENT_SECRET: "client-secret", FIRST: server.control.issueRefreshToken() }),
          TokenStore.layerMemory,
          budgets,
          Layer.succeed(Leases, leases),
          ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_OAUTH_TIMEOUT: "1 second" }))
        ])
      ),
      { local: true }
    )
  )

describe("leases", () => {
  const away = Leases.of({
    acquire: (key) =>
      new LeaseError({ key, problem: "Redis at host:6379: nothing listens there.", failureClass: "transient" })
  })

  it.live("out of reach: a refresh token is not sent, a grant that can be repeated is", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const error = yield* Effect.flip(get(server, "refresh_token", away))
      assert.strictEqual(error._tag, "TokenError")
      assert.match(error.message, /nothing listens there\. Nothing was sent, because no two processes/)
      assert.strictEqual(server.stats.tokenRequests, 0)
      yield* get(server, "client_credentials", away)
      assert.strictEqual(server.stats.issued, 1)
    })
  )

  it.live("that end before a request could be over: nothing is sent", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const error = yield* Effect.flip(
        get(server, "refresh_token", Leases.of({ acquire: () => Effect.succeed(lease(999)) }))
      )
      assert.match(error.message, /nothing was sent, because the lease of this process .* was running out/)
      assert.deepInclude(server.stats, { issued: 0, refused: 0 })
      yield* get(server, "refresh_token", Leases.of({ acquire: () => Effect.succeed(lease(1000)) }))
      assert.strictEqual(server.stats.issued, 1)
    })
  )
})

describe("budgets", () => {
  it.live(
    "of a token endpoint that asked to be spared hold back every authorization and process that shares them",
    () =>
      Effect.gen(function* () {
        const server = yield* authServer()
        server.control.next("throttled")
        server.control.faults({ retryAfter: "60" })
        const budgets = Layer.succeed(Budgets, yield* Effect.provide(Budgets, Budgets.layer))
        const leases = yield* Effect.provide(Leases, Leases.layerMemory)
        const first = yield* Effect.flip(get(server, "client_credentials", leases, budgets))
        assert.include(first, { _tag: "TokenError", failureClass: "throttled", retryAfter: 60_000 })
        const second = yield* Effect.flip(get(server, "client_credentials", leases, budgets))
        assert.include(second, { _tag: "TokenError", failureClass: "throttled" })
        assert.match(second.message, /asked to be spared, here or in another process/)
        assert.strictEqual(server.stats.tokenRequests, 1)
        // Another endpoint has a budget of its own.
        const other = yield* authServer()
        yield* get(other, "client_credentials", leases, budgets)
      })
  )
})

describe("TokenTransport", () => {
  it.live("asks for the permission once the connection stands; without it not a byte of the request is sent", () =>
    Effect.gen(function* () {
      const bodies: Array<string> = []
      /** Bytes that came over each connection. */
      const connections: Array<number> = []
      const server = createServer((request, response) => {
        let body = ""
        request.on("data", (chunk) => (body += String(chunk)))
        request.on("end", () => {
          bodies.push(`${request.headers["content-length"]} ${request.headers["transfer-encoding"]} ${body}`)
          response.end("{}")
        })
      })
      server.on("connection", (socket) => {
        socket.once("close", () => connections.push(socket.bytesRead))
      })
      yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const transport = yield* TokenTransport
      let asked = 0
      const send = (isPermitted: boolean) =>
        transport.send({
          method: "POST",
          url: `http://127.0.0.1:${port}/token`,
          contents: Redacted.make({ headers: { "content-type": "text/plain" }, body: "größe=1" }),
          mayBeSent: Effect.sync(() => {
            asked++
            return isPermitted
          })
        })
      const error = yield* Effect.flip(send(false))
      assert.deepInclude(error, { reason: "withdrawn", isUncertain: false })
      yield* until(() => connections.length === 1)
      assert.deepStrictEqual([asked, bodies.length, connections], [1, 0, [0]])
      yield* send(true)
      assert.deepStrictEqual(bodies, ["9 undefined größe=1"])
    }).pipe(Effect.scoped, Effect.provide(TokenTransport.layer))
  )
})
