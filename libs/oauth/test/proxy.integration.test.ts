import { assert, describe, it } from "@effect/vitest"
import { isExempt, TokenTransport, type WireRequest } from "@tributary/oauth"
import { Environment } from "@tributary/secrets"
import { certificates, listening, proxy, socksProxy } from "@tributary/testkit"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { createServer as createSecureServer } from "node:https"
import { createServer } from "node:net"
import { tokenOf } from "./grantSupport.ts"
import { authServer } from "./support.ts"

const withEnvironment = (environment: Record<string, string>) =>
  Layer.merge(
    Layer.succeed(Environment, environment),
    ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_ALLOW_PRIVATE_ADDRESSES: "false" }))
  )

describe("token requests", () => {
  it.live("go through the proxy of the environment or of auth.proxy, and not for NO_PROXY", () =>
    Effect.gen(function* () {
      const { asked, url } = yield* proxy
      const server = yield* authServer()
      const HTTP_PROXY = url("user:p%40ss")
      const { host } = new URL(server.issuer)
      const get = (settings: Record<string, unknown>, environment: Record<string, string>) =>
        tokenOf(
          { issuer: server.issuer, client_secret: "${env:CLIENT_SECRET}", ...settings },
          {
            CLIENT_SECRET: "client-secret",
            PROXY: HTTP_PROXY
          }
        ).pipe(Effect.provide(withEnvironment(environment), { local: true }))
      yield* get({}, { HTTP_PROXY })
      assert.deepStrictEqual(new Set(asked), new Set([`CONNECT ${host}`]))
      const before = asked.length
      yield* get({}, { HTTP_PROXY, NO_PROXY: "127.0.0.1" })
      yield* get({ proxy: "none" }, { HTTP_PROXY })
      yield* get({}, { HTTPS_PROXY: HTTP_PROXY })
      assert.strictEqual(asked.length, before)
      // Names and addresses go to a SOCKS proxy as they are.
      const socks = yield* socksProxy
      for (const HTTP_PROXY of [socks.url("user:p%40ss"), socks.url("user:p%40ss").replace("socks5", "socks5h")]) {
        const known = socks.asked.length
        yield* get({}, { HTTP_PROXY })
        assert.isAbove(socks.asked.length, known)
      }
      assert.deepStrictEqual(new Set(socks.asked), new Set([host]))
      assert.strictEqual(asked.length, before)
      // What the file names is meant, whatever the environment leaves out.
      yield* get({ proxy: "${env:PROXY}" }, { NO_PROXY: "*" })
      assert.isAbove(asked.length, before)
    }).pipe(Effect.scoped)
  )

  it.live("say what is wrong with the proxy, and show no password", () =>
    Effect.gen(function* () {
      const { url } = yield* proxy
      const { url: socks } = yield* socksProxy
      const server = yield* authServer()
      const closed = "http://127.0.0.1:1"
      const mute = yield* listening(createServer((socket) => socket.end()))
      const failure = (proxy: string, issuer: string = server.issuer) =>
        tokenOf({ issuer, proxy: "${env:PROXY}" }, { CLIENT_SECRET: "client-secret", PROXY: proxy }).pipe(
          Effect.flip,
          Effect.provide(withEnvironment({}), { local: true })
        )
      for (const [proxy, says, failureClass, issuer] of [
        [url("user:canary"), /the proxy asks for credentials \(407\)/u, "misconfigured"],
        ["http://user:canary@127.0.0.1:1", /its proxy cannot be reached \(ECONNREFUSED\)/u, "transient"],
        ["socks5://user:canary@127.0.0.1:1", /its proxy cannot be reached \(ECONNREFUSED\)/u, "transient"],
        ["socks5://user:canary@169.254.169.254:1", /auth\.proxy: it has a metadata address/u, "misconfigured"],
        ["socks4://user:canary@127.0.0.1:1", /the proxy's address is none \(not shown/u, "misconfigured"],
        [socks("user:canary"), /the proxy does not take the credentials/u, "misconfigured"],
        [socks("user:p%40ss"), /the proxy did not connect to it \(ConnectionRefused\)/u, "transient", closed],
        [`socks5://127.0.0.1:${mute}`, /the proxy did not connect to it \(closed\)/u, "transient"],
        [
          url("user:canary").replace("http:", "socks5:"),
          /the proxy did not connect to it \((no SOCKS5|closed)\)/u,
          "transient"
        ],
        ["http://user:canary@127.0.0.1:1/path", /the proxy's address is none \(not shown/u, "misconfigured"],
        ["http://user:canary@169.254.169.254:1", /auth\.proxy: it has a metadata address/u, "misconfigured"]
      ] as const) {
        const error = yield* failure(proxy, issuer)
        assert.match(error.message, says)
        assert.strictEqual(error.failureClass, failureClass, error.message)
        assert.notInclude(error.message, "canary")
      }
    }).pipe(Effect.scoped)
  )

  it.live("carry TLS through the tunnel, and know that nothing was sent when none is made", () =>
    Effect.gen(function* () {
      const { asked, url: proxyUrl } = yield* proxy
      const socks = yield* socksProxy
      const { certificate, key } = (yield* certificates).selfSigned("tunnel", "-addext", "subjectAltName=IP:127.0.0.1")
      const bodies: Array<string> = []
      const port = yield* listening(
        createSecureServer({ cert: certificate, key }, (request, response) => {
          request.on("data", (chunk: Buffer) => bodies.push(chunk.toString()))
          request.once("end", () => response.end("{}"))
        })
      )
      const send = (to: number, ca: string | undefined, HTTPS_PROXY: string) =>
        TokenTransport.use((carrier) =>
          carrier.send({
            method: "POST",
            url: `https://127.0.0.1:${to}/token`,
            contents: Redacted.make({ headers: { "content-type": "text/plain" }, body: "a=1" }),
            mayBeSent: Effect.succeed(true),
            ...(ca === undefined ? {} : { tls: Redacted.make({ certificate: undefined, key: undefined, ca }) })
          } satisfies WireRequest)
        ).pipe(
          Effect.provide(TokenTransport.layer.pipe(Layer.provide(withEnvironment({ HTTPS_PROXY }))), { local: true })
        )
      const right = proxyUrl("user:p%40ss")
      yield* send(port, certificate, right)
      assert.deepStrictEqual(bodies, ["a=1"])
      assert.deepStrictEqual(asked, [`CONNECT 127.0.0.1:${port}`])
      yield* send(port, certificate, socks.url("user:p%40ss"))
      assert.deepStrictEqual(bodies, ["a=1", "a=1"])
      assert.deepStrictEqual(socks.asked, [`127.0.0.1:${port}`])
      for (const [to, ca, proxy, reason] of [
        [port, undefined, right, "certificate"],
        [1, certificate, right, "proxy"],
        [port, certificate, proxyUrl("user:wrong"), "proxy"],
        [port, undefined, socks.url("user:p%40ss"), "certificate"],
        [1, certificate, socks.url("user:p%40ss"), "proxy"]
      ] as const) {
        const error = yield* Effect.flip(send(to, ca, proxy))
        if (error._tag !== "TransportError") return assert.fail(error.message)
        assert.deepStrictEqual([error.reason, error.isUncertain], [reason, false])
      }
      assert.strictEqual(bodies.length, 2)
    }).pipe(Effect.scoped)
  )
})

describe("NO_PROXY", () => {
  const cases: ReadonlyArray<readonly [string, string, boolean]> = [
    ["*", "https://id.example", true],
    ["other.example, *", "https://id.example", true],
    ["*:443", "https://id.example", true],
    ["*:80", "https://id.example", false],
    ["id.example", "https://id.example", true],
    ["ID.Example.", "https://id.example", true],
    ["example", "https://id.example", true],
    [".example", "https://id.example", true],
    ["ample", "https://id.example", false],
    ["*.id.example", "https://id.example", false],
    ["*.id.example", "https://a.id.example", true],
    ["id.example:8443", "https://id.example:8443", true],
    ["id.example:8443", "https://id.example", false],
    ["::1", "http://[::1]:9", true],
    ["[::1]:9", "http://[::1]:9", true],
    ["[::1]:8", "http://[::1]:9", false],
    ["", "https://id.example", false]
  ]
  it.each(cases)("%s of %s: %s", (entries, target, expected) => {
    assert.strictEqual(isExempt(entries, new URL(target)), expected)
  })
})
