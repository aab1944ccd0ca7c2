import { assert, describe, it } from "@effect/vitest"
import { addressGuard, guardedConnector, type Resolve, Tokens, TokenTransport } from "@tributary/oauth"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { createServer } from "node:http"
import { Agent, request } from "undici"
import { authorization, authServer, live } from "./support.ts"

const allowing = (setting: string) =>
  ConfigProvider.layer(
    ConfigProvider.fromEnvRecord(setting === "" ? {} : { TRIBUTARY_ALLOW_PRIVATE_ADDRESSES: setting })
  )

/** Counts what comes to an address of this machine. */
const counting = Effect.fnUntraced(function* (address: string, port = 0) {
  const seen = { requests: 0 }
  const server = createServer((_, response) => {
    seen.requests++
    response.setHeader("connection", "close").end("{}")
  })
  yield* Effect.callback<void>((resume) => void server.listen(port, address, () => resume(Effect.void)))
  yield* Effect.addFinalizer(() =>
    Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
      server.closeAllConnections()
    })
  )
  const bound = server.address()
  return { seen, port: typeof bound === "object" && bound !== null ? bound.port : 0 }
})

const send = (url: string) =>
  Effect.flatMap(TokenTransport, (transport) =>
    transport.send({ method: "POST", url, contents: Redacted.make({ headers: {}, body: "secret=1" }) })
  ).pipe(Effect.scoped)

describe("requests to authorization servers", () => {
  it.live("are not sent to addresses inside of a network, however these are written", () =>
    Effect.gen(function* () {
      const metadata = [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]"
      ]
      for (const host of [...metadata, "10.0.0.1", "[fd00::1]", "[fe80::1]", "0.0.0.0", "[::]", "100.64.0.1"]) {
        const error = yield* Effect.flip(send(`http://${host}:1/token`))
        assert.strictEqual(error.reason, "address", host)
        assert.isFalse(error.isUncertain)
        assert.strictEqual(error.code === "metadata", metadata.includes(host), host)
      }
    }).pipe(Effect.provide(TokenTransport.layer.pipe(Layer.provide(allowing("")))))
  )

  it.live("reach this machine by its own names", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* counting("127.0.0.1")
      yield* send(`http://127.0.0.1:${port}/`)
      yield* send(`http://localhost:${port}/`)
      yield* send(`http://[::ffff:127.0.0.1]:${port}/`)
      assert.strictEqual(seen.requests, 3)
    }).pipe(Effect.scoped, Effect.provide(TokenTransport.layer.pipe(Layer.provide(allowing("")))))
  )

  it.live("end in an error that says what to do", () =>
    Effect.gen(function* () {
      const manager = yield* (yield* Tokens).manager(authorization({ token_url: "https://169.254.169.254/token" }))
      const error = yield* Effect.flip(manager.get)
      assert.strictEqual(error.failureClass, "misconfigured")
      assert.match(error.message, /no address but a metadata one.*TRIBUTARY_ALLOW_PRIVATE_ADDRESSES/)
    }).pipe(Effect.scoped, Effect.provide(live()))
  )

  it.live("do not follow redirects", () =>
    Effect.gen(function* () {
      const elsewhere = yield* counting("127.0.0.1")
      const server = createServer((_, response) => {
        response.writeHead(307, { location: `http://127.0.0.1:${elsewhere.port}/` }).end()
      })
      yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
      yield* Effect.addFinalizer(() => Effect.sync(() => (server.close(), server.closeAllConnections())))
      const bound = server.address()
      const port = typeof bound === "object" && bound !== null ? bound.port : 0
      const manager = yield* (yield* Tokens).manager(authorization({ token_url: `http://127.0.0.1:${port}/token` }))
      const error = yield* Effect.flip(manager.get)
      assert.strictEqual(error.failureClass, "misconfigured")
      assert.strictEqual(elsewhere.seen.requests, 0)
    }).pipe(Effect.scoped, Effect.provide(live()))
  )

  it.live("give up an answer that is too large, and one that does not come", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const manager = yield* (yield* Tokens).manager(authorization({ token_url: server.tokenUrl }))
      server.control.next("huge")
      assert.match((yield* Effect.flip(manager.get)).message, /more than 1048576 bytes/)
      server.control.next("hang", "hang", "hang", "hang")
      const other = yield* (yield* Tokens).manager(authorization({ token_url: server.tokenUrl }, "other"))
      assert.match((yield* Effect.flip(other.get)).message, /no answer within 0\.3 seconds/)
    }).pipe(Effect.scoped, Effect.provide(live(undefined, { TRIBUTARY_OAUTH_TIMEOUT: "300 millis" })))
  )
})

describe("a name that leads elsewhere the second time", () => {
  it.live("is judged for each connection", () =>
    Effect.gen(function* () {
      const guard = yield* Effect.provide(addressGuard, allowing("127.0.0.1"))
      const good = yield* counting("127.0.0.1")
      const bad = yield* counting("127.0.0.2", good.port)
      const answers = ["127.0.0.1", "127.0.0.2"]
      let asked = 0
      const resolve: Resolve = (_host, _options, callback) => {
        const address = answers[asked++] ?? "127.0.0.2"
        callback(null, [{ address, family: 4 }])
      }
      const agent = new Agent({ connect: guardedConnector(guard, { timeout: 1000 }, resolve) })
      yield* Effect.addFinalizer(() => Effect.promise(() => agent.destroy()))
      const get = Effect.tryPromise({
        try: async () => (await request(`http://rebound.example:${good.port}/`, { dispatcher: agent })).body.text(),
        catch: (error) => (error instanceof Error ? error.message : "")
      })
      assert.strictEqual(yield* get, "{}")
      assert.match(yield* Effect.flip(get), /rebound\.example has the loopback address 127\.0\.0\.2/)
      assert.strictEqual(asked, 2)
      assert.deepStrictEqual([good.seen.requests, bad.seen.requests], [1, 0])
    }).pipe(Effect.scoped)
  )

  it.live("may have other addresses that are let through", () =>
    Effect.gen(function* () {
      const guard = yield* Effect.provide(addressGuard, allowing("127.0.0.1"))
      const good = yield* counting("127.0.0.1")
      const resolve: Resolve = (_host, _options, callback) =>
        callback(null, [
          { address: "10.0.0.1", family: 4 },
          { address: "127.0.0.1", family: 4 }
        ])
      const agent = new Agent({ connect: guardedConnector(guard, { timeout: 1000 }, resolve) })
      yield* Effect.addFinalizer(() => Effect.promise(() => agent.destroy()))
      const { body } = yield* Effect.promise(() => request(`http://two.example:${good.port}/`, { dispatcher: agent }))
      assert.strictEqual(yield* Effect.promise(() => body.text()), "{}")
    }).pipe(Effect.scoped)
  )
})
