import { assert, describe, it } from "@effect/vitest"
import { Environment } from "@tributary/secrets"
import { ConfigProvider, Effect, Layer } from "effect"
import { createServer } from "node:http"
import { lookup } from "node:dns/promises"
import { isIP } from "node:net"
import { hostname, networkInterfaces } from "node:os"
import { answering, connector, failure, read, services, source, valuesOf } from "./harness.ts"

const withSetting = (allowed: string) =>
  ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_ALLOW_PRIVATE_ADDRESSES: allowed }))

describe("an API inside of the network", () => {
  it.live("gets no request, and the reason says what to do", () =>
    Effect.gen(function* () {
      for (const host of ["169.254.169.254", "2852039166", "[::ffff:169.254.169.254]", "10.0.0.1", "[fd00:ec2::254]"]) {
        const error = yield* failure(connector(`http://${host}`))
        assert.strictEqual(error.failureClass, "misconfigured", host)
        assert.match(
          error.message,
          /^shop\/items: http\.base_url: \S+ is a (metadata|private) address, where nothing is sent to\. .*TRIBUTARY_ALLOW_PRIVATE_ADDRESSES/u,
          host
        )
      }
    }).pipe(Effect.provide(services))
  )

  it.live("a setting that cannot be read is told", () =>
    Effect.gen(function* () {
      const error = yield* failure(connector("http://127.0.0.1:1"))
      assert.match(error.message, /TRIBUTARY_ALLOW_PRIVATE_ADDRESSES: expected true, false, or addresses/u)
    }).pipe(Effect.provide(Layer.merge(services, withSetting("some"))))
  )

  it.live("of this machine is reached", () =>
    Effect.gen(function* () {
      const url = yield* answering('{"data":[{"id":1}]}')
      for (const address of [url, url.replace("127.0.0.1", "localhost")]) {
        const pages = yield* Effect.flatMap(source(connector(address)), (ready) => read(ready))
        assert.deepStrictEqual(valuesOf(pages), ['{"id":1}'])
      }
    }).pipe(Effect.provide(services))
  )

  it.live("is not reached by the proxy of a connector's file either, as an address or as a name", () =>
    Effect.gen(function* () {
      for (const host of ["169.254.169.254", "2852039166", "[::ffff:169.254.169.254]", "10.0.0.1"]) {
        for (const scheme of ["http", "https"]) {
          const proxy = `${scheme}://user:canary@${host}:1`
          const error = yield* failure(connector("http://127.0.0.1:1", {}, { retries: 0, proxy }))
          assert.strictEqual(error.failureClass, "misconfigured", proxy)
          assert.match(
            error.message,
            /http\.proxy: \S+ is a (metadata|private) address, where nothing is sent to/u,
            proxy
          )
          assert.notInclude(error.message, "canary")
        }
      }
      // Only the system's own reading makes an address of it.
      for (const proxy of ["socks5://2852039166:1", "socks5://169.254.169.254:1"]) {
        const error = yield* failure(connector("https://127.0.0.1:1", {}, { retries: 0, proxy }))
        assert.match(error.message, /http\.proxy: .* metadata address/u, proxy)
      }
    }).pipe(Effect.provide(services))
  )

  // The machine's own name mostly leads to one of its addresses.
  const name = hostname()
  it.live.skipIf(isIP(name) !== 0 || name === "localhost")("is not reached by a proxy whose name leads there", () =>
    Effect.gen(function* () {
      const addresses = yield* Effect.promise(() => lookup(name, { all: true }).catch(() => []))
      if (addresses.length === 0 || !addresses.every(({ address }) => /^(?:10|127|172|192\.168)\./u.test(address)))
        return
      for (const [target, scheme] of [
        ["http", "http"],
        ["https", "http"],
        ["http", "https"],
        ["https", "socks5"],
        ["http", "socks5"]
      ]) {
        const proxy = `${scheme}://${name}:9`
        const error = yield* failure(connector(`${target}://127.0.0.1:9`, {}, { retries: 0, proxy }))
        assert.match(error.message, /http\.proxy: \S+ has the (private|loopback) address/u, `${target} by ${proxy}`)
      }
    }).pipe(Effect.provide(services))
  )

  it.live("is where a proxy of the environment may be", () =>
    Effect.gen(function* () {
      const environment = Layer.succeed(Environment, { HTTP_PROXY: "http://127.0.0.2:1" })
      const error = yield* Effect.provide(
        failure(connector("http://127.0.0.1:1", {}, { retries: 0 })),
        Layer.merge(services, environment)
      )
      assert.notInclude(error.message, "where nothing is sent to")
    })
  )

  const own = Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === "IPv4" && !one.internal && /^(?:10|172|192\.168)\./u.test(one.address))?.address

  it.live.skipIf(own === undefined)("is reached where its range is allowed", () =>
    Effect.gen(function* () {
      const server = createServer((_request, response) => {
        response.writeHead(200, { "content-type": "application/json" }).end('{"data":[{"id":2}]}')
      })
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => void server.listen(0, own, () => resume(Effect.void))),
        () =>
          Effect.callback<void>((resume) => {
            server.close(() => resume(Effect.void))
            server.closeAllConnections()
          })
      )
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const settings = connector(`http://${own}:${port}`)
      const refused = yield* failure(settings)
      assert.match(refused.message, /private address/u)
      for (const allowed of ["true", `${own}/32`]) {
        const pages = yield* Effect.flatMap(source(settings), (ready) => read(ready)).pipe(
          Effect.provide(withSetting(allowed))
        )
        assert.deepStrictEqual(valuesOf(pages), ['{"id":2}'])
      }
    }).pipe(Effect.provide(services))
  )
})
