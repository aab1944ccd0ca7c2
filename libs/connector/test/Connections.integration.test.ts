import { assert, describe, it } from "@effect/vitest"
import { Environment } from "@tributary/secrets"
import { certificates, listening, proxy, socksProxy } from "@tributary/testkit"
import { ConfigProvider, Effect, Layer } from "effect"
import { readFileSync } from "node:fs"
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2"
import { createServer as createTlsServer, type Server, type ServerOptions } from "node:https"
import { createServer as createTcpServer } from "node:net"
import { TLSSocket } from "node:tls"
import { connector, keysOf, read, serve, services, source } from "./harness.ts"

const body = '{"data":[{"id":1},{"id":2}]}'

/** Proxies of a file may be on this machine in these tests. */
const allowed = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_ALLOW_PRIVATE_ADDRESSES: "true" }))

const run = (
  url: string,
  http: Record<string, unknown> = {},
  environment: Record<string, string> = {},
  stream: Record<string, unknown> = {}
) =>
  Effect.flatMap(source(connector(url, { primary_key: "id", ...stream }, { retries: 0, ...http })), (ready) =>
    read(ready)
  ).pipe(
    Effect.map(keysOf),
    Effect.scoped,
    Effect.provide(Layer.mergeAll(services, Layer.succeed(Environment, environment), allowed))
  )
const failing = (...given: Parameters<typeof run>) => Effect.map(Effect.flip(run(...given)), ({ message }) => message)

/** An API that speaks TLS. */
const secure = (options: ServerOptions, seen: (socket: TLSSocket) => void = () => {}) => {
  const server: Server = createTlsServer(options, (request, response) => {
    if (request.socket instanceof TLSSocket) seen(request.socket)
    response.end(body)
  })
  return Effect.map(listening(server), (port) => `https://127.0.0.1:${port}`)
}

/** An authority of the test's own, a server's certificate of it, and a client's. */
const authority = Effect.map(certificates, (make) => {
  make.selfSigned("authority")
  const other = make.selfSigned("other")
  const server = make.signedBy("authority", "server")
  const client = make.signedBy("authority", "client")
  const reference = (name: string, text: string) => `\${file:${make.file(name, text)}}`
  return {
    server,
    ca: `\${file:${make.at("authority.crt")}}`,
    authorities: readFileSync(make.at("authority.crt")),
    otherCa: reference("other.pem", other.certificate),
    certificate: reference("client.pem", client.certificate),
    key: reference("client-key.pem", client.key)
  }
})

describe("http.tls", () => {
  it.live("trusts the authority that it names, and no other", () =>
    Effect.gen(function* () {
      const { ca, otherCa, server } = yield* authority
      const url = yield* secure({ cert: server.certificate, key: server.key })
      assert.deepStrictEqual(yield* run(url, { tls: { ca } }), ["1", "2"])
      assert.match(yield* failing(url, { tls: { ca: otherCa } }), /certificate/u)
      assert.match(yield* failing(url), /certificate/u)
      // A name that the certificate is not for.
      assert.match(
        yield* failing(url, { tls: { ca, server_name: "api.internal" } }),
        /certificate is for another host/u
      )
    }).pipe(Effect.scoped)
  )
  it.live("shows a client's certificate, and speaks no older version than it says", () =>
    Effect.gen(function* () {
      const { authorities, ca, certificate, key, server } = yield* authority
      const names: Array<string> = []
      const options = {
        cert: server.certificate,
        key: server.key,
        ca: authorities,
        requestCert: true,
        rejectUnauthorized: true
      }
      const url = yield* secure(options, (socket) => names.push(String(socket.getPeerCertificate().subject.CN)))
      assert.deepStrictEqual(yield* run(url, { tls: { ca, certificate, key } }), ["1", "2"])
      assert.deepStrictEqual(names, ["client"])
      assert.match(yield* failing(url, { tls: { ca } }), /TLS|broken off|closed/u)
      const old = yield* secure({ cert: server.certificate, key: server.key, maxVersion: "TLSv1.2" })
      assert.deepStrictEqual(yield* run(old, { tls: { ca } }), ["1", "2"])
      assert.match(yield* failing(old, { tls: { ca, min_version: "TLSv1.3" } }), /TLS/u)
    }).pipe(Effect.scoped)
  )
  it.live("ends a connection that is not made at http.connect_timeout", () =>
    Effect.gen(function* () {
      const { ca } = yield* authority
      // It takes connections, and never says a word of TLS.
      const port = yield* listening(createTcpServer(() => {}))
      const message = yield* failing(`https://127.0.0.1:${port}`, { tls: { ca }, connect_timeout: "300 millis" })
      assert.include(message, "waited 0.3 s for a connection (http.connect_timeout)")
    }).pipe(Effect.scoped)
  )
})

describe("http2", () => {
  const api = Effect.gen(function* () {
    const { ca, server } = yield* authority
    const versions: Array<string> = []
    let sessions = 0
    let refused = 0
    const answer = (request: Http2ServerRequest, response: Http2ServerResponse) => {
      versions.push(request.httpVersion)
      const page = Number(new URL(request.url, "https://x").searchParams.get("page"))
      // Streams are reset, and sessions go away, in the middle of a walk.
      if (page === 3 && refused++ === 0 && request.httpVersion === "2.0") return request.stream.close(2)
      if (page === 5 && refused++ === 1 && request.httpVersion === "2.0") return request.stream.session?.goaway(0)
      const rows = page > 8 ? [] : [{ id: 2 * page }, { id: 2 * page + 1 }]
      response.setHeader("content-type", "application/json")
      response.end(JSON.stringify({ data: rows }))
    }
    const created = createSecureServer({ cert: server.certificate, key: server.key, allowHTTP1: true }, answer)
    created.on("session", () => sessions++)
    const port = yield* listening(created)
    return { ca, versions, sessions: () => sessions, url: `https://127.0.0.1:${port}` }
  })
  const keys = Array.from({ length: 16 }, (_, index) => String(index + 2))
  const stream = { pagination: { page: "page", size: 2 } }

  it.live("is spoken where it is asked for, and streams that are reset are asked for again", () =>
    Effect.gen(function* () {
      const { ca, sessions, url, versions } = yield* api
      assert.deepStrictEqual(yield* run(url, { tls: { ca }, http2: true, retries: 4 }, {}, stream), keys)
      assert.deepStrictEqual([...new Set(versions)], ["2.0"])
      assert.isAtMost(sessions(), 3)
      versions.length = 0
      assert.deepStrictEqual(yield* run(url, { tls: { ca }, retries: 4 }, {}, stream), keys)
      assert.deepStrictEqual([...new Set(versions)], ["1.1"])
    }).pipe(Effect.scoped)
  )
  it.live("falls back where the server speaks none", () =>
    Effect.gen(function* () {
      const { ca, server } = yield* authority
      const url = yield* secure({ cert: server.certificate, key: server.key })
      assert.deepStrictEqual(yield* run(url, { tls: { ca }, http2: true }), ["1", "2"])
    }).pipe(Effect.scoped)
  )
})

describe("proxies", () => {
  it.live("carry TLS through a tunnel with their credentials, but not for NO_PROXY", () =>
    Effect.gen(function* () {
      const { ca, server } = yield* authority
      const { asked, url: proxyUrl } = yield* proxy
      const url = yield* secure({ cert: server.certificate, key: server.key })
      const HTTPS_PROXY = proxyUrl("user:p%40ss")
      assert.deepStrictEqual(yield* run(url, { tls: { ca } }, { HTTPS_PROXY }), ["1", "2"])
      assert.deepStrictEqual(asked, [`CONNECT ${new URL(url).host}`])
      assert.deepStrictEqual(yield* run(url, { tls: { ca }, proxy: HTTPS_PROXY }), ["1", "2"])
      assert.strictEqual(asked.length, 2)
      for (const NO_PROXY of ["127.0.0.1", "*", `127.0.0.1:${new URL(url).port}`]) {
        assert.deepStrictEqual(yield* run(url, { tls: { ca } }, { HTTPS_PROXY, NO_PROXY }), ["1", "2"])
      }
      assert.strictEqual(asked.length, 2)
      // The API's certificate is checked behind the tunnel too.
      assert.match(yield* failing(url, {}, { HTTPS_PROXY }), /certificate/u)
    }).pipe(Effect.scoped)
  )
  it.live("that nobody listens at are what the message names, not the API", () =>
    Effect.gen(function* () {
      const url = yield* serve((_request, response) => void response.end(body))
      // Port 1 is in no range that a server is given one from.
      for (const [http, environment] of [
        [{ proxy: "http://user:canary@127.0.0.1:1" }, {}],
        [{}, { HTTP_PROXY: "http://user:canary@127.0.0.1:1" }]
      ] as const) {
        const message = yield* failing(url, { ...http, retries: 0 }, environment)
        assert.include(message, "asked through the proxy 127.0.0.1:1: nothing listens there")
        assert.notInclude(message, "canary")
        assert.notInclude(message, "http.base_url")
      }
    }).pipe(Effect.scoped)
  )
  it.live("of SOCKS carry plain and secure requests, with their credentials", () =>
    Effect.gen(function* () {
      const { ca, server } = yield* authority
      const { asked, url: proxyUrl } = yield* socksProxy
      const plain = yield* serve((_request, response) => void response.end(body))
      const encrypted = yield* secure({ cert: server.certificate, key: server.key })
      const right = proxyUrl("user:p%40ss")
      for (const [proxy, environment] of [
        [{ proxy: right }, {}],
        [{}, { HTTP_PROXY: right, HTTPS_PROXY: right }]
      ] as const) {
        asked.length = 0
        assert.deepStrictEqual(yield* run(plain, proxy, environment), ["1", "2"])
        assert.deepStrictEqual(yield* run(encrypted, { tls: { ca }, ...proxy }, environment), ["1", "2"])
        assert.deepStrictEqual(asked, [new URL(plain).host, new URL(encrypted).host])
        assert.match(yield* failing(encrypted, proxy, environment), /certificate/u)
      }
      for (const wrong of ["socks5://user:canary%@127.0.0.1:1", "http://user:canary%@127.0.0.1:1"]) {
        const said = yield* failing(plain, { proxy: wrong })
        assert.match(said, /http\.proxy.*expected a name and a password \(not shown\) in which %25 stands/u)
        assert.notInclude(said, "canary")
      }
      const message = yield* failing(plain, { proxy: proxyUrl("user:canary") })
      assert.match(message, /proxy/u)
      assert.notInclude(message, "canary")
    }).pipe(Effect.scoped)
  )
})
