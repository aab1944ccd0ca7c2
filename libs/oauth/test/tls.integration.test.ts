import { TokenTransport, type WireRequest } from "@tributary/oauth"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { createSecureServer } from "node:http2"
import { connect, createServer as createRelay, type Server, type Socket } from "node:net"
import { createServer } from "node:tls"
import { certificates } from "./certificates.ts"

const transport = TokenTransport.layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))))

const listening = (server: Server) =>
  Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.sync(() => server.close())
  ).pipe(
    Effect.map(() => {
      const address = server.address()
      return `https://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/token`
    })
  )

const send = (url: string, ca: string | undefined, mayBeSent?: WireRequest["mayBeSent"]) =>
  TokenTransport.use((carrier) =>
    carrier.send({
      method: "POST",
      url,
      contents: Redacted.make({ headers: { "content-type": "text/plain" }, body: "a=1" }),
      ...(mayBeSent === undefined ? {} : { mayBeSent }),
      ...(ca === undefined ? {} : { tls: Redacted.make({ certificate: undefined, key: undefined, ca }) })
    })
  )

describe("a server with TLS", () => {
  it.live("that prefers HTTP/2 gets HTTP/1.1, and each request a connection of its own", () =>
    Effect.gen(function* () {
      const { certificate, key } = (yield* certificates).selfSigned("h2", "-addext", "subjectAltName=IP:127.0.0.1")
      const spoken: Array<string> = []
      const served = new Set<number | undefined>()
      const server = createSecureServer({ cert: certificate, key, allowHTTP1: true }, (request, response) => {
        served.add(request.socket.remotePort)
        request.resume()
        request.once("end", () => response.end("{}"))
      })
      server.on("secureConnection", (socket) => spoken.push(String(socket.alpnProtocol)))
      const url = yield* listening(server)
      yield* send(url, certificate)
      let asked = 0
      const mayBeSent = Effect.sync(() => ++asked < 3)
      const three = Array.from({ length: 3 }, () => Effect.result(send(url, certificate, mayBeSent)))
      const results = yield* Effect.all(three, { concurrency: "unbounded" })
      assert.deepStrictEqual(results.map(({ _tag }) => _tag).toSorted(), ["Failure", "Success", "Success"])
      for (const protocol of spoken) assert.strictEqual(protocol, "http/1.1")
      assert.strictEqual(served.size, 3)
    }).pipe(Effect.scoped, Effect.provide(transport))
  )

  it.live("whose certificate is not trusted has surely got no request", () =>
    Effect.gen(function* () {
      const { certificate, key } = (yield* certificates).selfSigned("other", "-addext", "subjectAltName=IP:127.0.0.1")
      const url = yield* listening(createSecureServer({ cert: certificate, key, allowHTTP1: true }))
      const error = yield* Effect.flip(send(url, undefined))
      assert.deepInclude(error, { reason: "certificate", isUncertain: false })
    }).pipe(Effect.scoped, Effect.provide(transport))
  )

  it.live("that breaks TLS once the request is there may have carried it out", () =>
    Effect.gen(function* () {
      const { certificate, key } = (yield* certificates).selfSigned("breaks", "-addext", "subjectAltName=IP:127.0.0.1")
      let read = ""
      const between: Array<Socket> = []
      const server = createServer({ cert: certificate, key }, (socket) => {
        socket.on("error", () => {})
        socket.on("data", (chunk) => {
          read += String(chunk)
          // No TLS record: the client ends with an error of TLS.
          if (read.includes("a=1")) between.at(-1)?.write("this is not TLS at all")
        })
      })
      const behind = Number(new URL(yield* listening(server)).port)
      const relay = createRelay((socket) => {
        between.push(socket)
        const through = connect(behind, "127.0.0.1")
        through.on("error", () => socket.destroy())
        socket.on("error", () => through.destroy())
        socket.pipe(through).pipe(socket)
      })
      const url = yield* listening(relay)
      const error = yield* Effect.flip(send(url, certificate))
      assert.deepInclude(error, { reason: "certificate", isUncertain: true }, error.code)
    }).pipe(Effect.scoped, Effect.provide(transport))
  )
})
