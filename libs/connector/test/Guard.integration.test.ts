import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { createServer } from "node:http"
import { networkInterfaces } from "node:os"
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
