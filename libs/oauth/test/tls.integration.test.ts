import { TokenTransport, type WireRequest } from "@tributary/oauth"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { createSecureServer } from "node:http2"
import { spawn } from "node:child_process"
import { connect, createServer as createTcpServer, type Server } from "node:net"
import { createServer as createPlainServer } from "node:http"
import { certificates } from "@tributary/testkit"

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

  it.live("that refuses the client's certificate once the request is there may have carried it out", () =>
    Effect.gen(function* () {
      const { at, selfSigned } = yield* certificates
      const { certificate } = selfSigned("late", "-addext", "subjectAltName=IP:127.0.0.1")
      const files = ["-cert", at("late.crt"), "-key", at("late.key"), "-tls1_3"]
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn("openssl", ["s_server", "-accept", "127.0.0.1:0", "-Verify", "1", "-verify_return_error", ...files], {
            stdio: ["pipe", "pipe", "ignore"]
          })
        ),
        (server) => Effect.sync(() => server.kill())
      )
      const port = yield* Effect.callback<string>((resume) => {
        let said = ""
        child.stdout.on("data", (chunk) => {
          said += String(chunk)
          const found = /ACCEPT \S*:(\d+)/u.exec(said)?.[1]
          if (found !== undefined) resume(Effect.succeed(found))
        })
      })
      const error = yield* Effect.flip(send(`https://127.0.0.1:${port}/token`, certificate))
      // The connection may be closed before the client has read why.
      assert.match(error.code, /ALERT_CERTIFICATE_REQUIRED|UND_ERR_SOCKET|ECONNRESET|EPIPE/u)
      assert.isTrue(error.isUncertain)
    }).pipe(Effect.scoped, Effect.provide(transport))
  )

  /** Passes bytes on to a server, until the server has read the request: then the client gets these bytes in place of the answer. */
  const breaking = (port: number, instead: Buffer | undefined, whenRead: (act: () => void) => void) =>
    createTcpServer((client) => {
      const server = connect(port, "127.0.0.1")
      let isBroken = false
      client.on("data", (bytes) => server.write(bytes))
      server.on("data", (bytes) => isBroken || client.write(bytes))
      for (const socket of [client, server]) socket.on("error", () => socket.destroy())
      client.once("close", () => server.destroy())
      whenRead(() => {
        isBroken = true
        if (instead === undefined) client.destroy()
        else client.end(instead)
      })
    })

  const record = (type: number, contents: Buffer) =>
    Buffer.concat([Buffer.from([type, 3, 3, contents.length >> 8, contents.length & 255]), contents])

  for (const [what, instead] of [
    ["a record that was changed on its way", record(23, Buffer.alloc(64, 7))],
    ["an alert that nobody signed", record(21, Buffer.from([2, 40]))],
    ["something else than TLS", Buffer.from("HTTP/1.1 502 Bad Gateway\r\n\r\n")],
    ["the end of the connection", undefined]
  ] as const) {
    it.live(`whose answer is ${what} may have carried the request out, and it is no matter of certificates`, () =>
      Effect.gen(function* () {
        const { certificate, key } = (yield* certificates).selfSigned(
          "broken",
          "-addext",
          "subjectAltName=IP:127.0.0.1"
        )
        let act = () => {}
        let carriedOut = 0
        const server = createSecureServer({ cert: certificate, key, allowHTTP1: true }, (request) => {
          request.resume()
          request.once("end", () => {
            carriedOut++
            act()
          })
        })
        const { port } = new URL(yield* listening(server))
        const url = yield* listening(breaking(Number(port), instead, (next) => (act = next)))
        const error = yield* Effect.flip(send(url, certificate, Effect.succeed(true)))
        assert.strictEqual(carriedOut, 1)
        assert.deepInclude(error, { reason: "unreachable", isUncertain: true }, error.code)
      }).pipe(Effect.scoped, Effect.provide(transport))
    )
  }

  it.live("that is none, but speaks plain http, is told from one whose certificate is not trusted", () =>
    Effect.gen(function* () {
      const url = yield* listening(createPlainServer((_request, response) => response.end("{}")))
      const error = yield* Effect.flip(send(url, undefined))
      assert.deepInclude(error, { reason: "tls", isUncertain: false })
    }).pipe(Effect.scoped, Effect.provide(transport))
  )
})
