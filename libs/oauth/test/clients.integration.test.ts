import { assert, describe, it } from "@effect/vitest"
import { type TokenError, Tokens } from "@tributary/oauth"
import { Clock, Effect, Redacted, Schedule } from "effect"
import { createHash, X509Certificate } from "node:crypto"
import { spawn } from "node:child_process"
import { rmSync, writeFileSync } from "node:fs"
import { certificates } from "@tributary/testkit"
import { ec, ed25519, type GrantServer, grantServer, jwk, pem, rsa } from "./GrantServer.ts"
import { authorization, live } from "./support.ts"

const secret = "client-secret: with+odd/characters & = and more of them"

/** The TLS server of openssl, which ends the handshake unless it gets a certificate that it trusts. */
const opensslServer = (options: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<{ readonly stop: () => void; readonly url: string }>((resolve, reject) => {
          const child = spawn(
            "openssl",
            ["s_server", "-accept", "127.0.0.1:0", "-Verify", "1", "-verify_return_error", "-www", ...options],
            { stdio: ["ignore", "pipe", "pipe"] }
          )
          child.once("error", reject)
          let said = ""
          child.stdout.on("data", (chunk: Buffer) => {
            said += chunk.toString()
            const port = /ACCEPT \S*:(\d+)/u.exec(said)?.[1]
            if (port !== undefined) resolve({ stop: () => child.kill(), url: `https://127.0.0.1:${port}/token` })
          })
          child.once("exit", (code) => reject(new Error(`openssl ended with ${code}: ${said}`)))
        })
    ),
    ({ stop }) => Effect.sync(stop)
  ).pipe(Effect.map(({ url }) => url))

/** A token of an authorization, or why there is none. */
const tokenOf = (settings: Record<string, unknown>, environment: Record<string, string> = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { get } = yield* (yield* Tokens).manager(authorization(settings))
      return Redacted.value((yield* get).value)
    })
  ).pipe(
    Effect.provide(live({ CLIENT_SECRET: secret, ...environment }), { local: true }),
    Effect.catchTag("ConfigError", Effect.die)
  )

const granted = (server: GrantServer, settings: Record<string, unknown>, environment?: Record<string, string>) =>
  Effect.gen(function* () {
    const token = yield* tokenOf({ issuer: server.issuer, ...settings }, environment)
    assert.isTrue(yield* Effect.promise(() => server.isValid(token)))
    return token
  })

const refused = (
  server: GrantServer,
  settings: Record<string, unknown>,
  environment: Record<string, string>,
  says: RegExp
): Effect.Effect<TokenError> =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(tokenOf({ issuer: server.issuer, ...settings }, environment))
    assert.strictEqual(error.failureClass, "misconfigured", error.message)
    assert.match(error.message, says)
    return error
  }).pipe(Effect.orDie)

describe("clients authenticate at oidc-provider", () => {
  it.live(
    "client_secret_basic (form-encoded), client_secret_post and client_secret_jwt; a wrong secret is refused",
    () =>
      Effect.gen(function* () {
        const client = (id: string, method: string) => ({
          client_id: id,
          client_secret: secret,
          token_endpoint_auth_method: method
        })
        const server = yield* grantServer({
          clients: [
            client("basic:id/ with ü", "client_secret_basic"),
            client("post", "client_secret_post"),
            client("signed", "client_secret_jwt")
          ]
        })
        const ways = { post: "post", client_secret_jwt: "signed" }
        for (const [client_auth, client_id] of Object.entries(ways)) {
          yield* granted(server, { client_id, client_auth })
          const wrong = { CLIENT_SECRET: "another-secret-of-the-same-length-0123456789" }
          yield* refused(
            server,
            { client_id, client_auth },
            wrong,
            /invalid_client.*Check client_id and client_secret/u
          )
        }
        const [assertion = ""] = server.tokenRequests().flatMap(({ body }) => body.getAll("client_assertion"))
        const claims: unknown = JSON.parse(Buffer.from(assertion.split(".")[1] ?? "", "base64url").toString())
        assert.include(claims, { iss: "signed", sub: "signed", aud: server.issuer })
        assert.isFalse(
          server.tokenRequests().some(({ body }) => body.get("client_id") === "signed" && body.has("client_secret"))
        )
      })
  )

  it.live("client_secret_basic is form-encoded, basic_raw is not", () =>
    Effect.gen(function* () {
      const server = yield* grantServer({
        clients: [{ client_id: "basic", client_secret: secret, token_endpoint_auth_method: "client_secret_basic" }]
      })
      yield* granted(server, { client_id: "basic", client_auth: "basic" })
      // The server decodes what it gets, so that a raw + becomes a space.
      yield* refused(server, { client_id: "basic", client_auth: "basic_raw" }, {}, /invalid_client|invalid_request/u)
      const sent = server
        .tokenRequests()
        .map(({ headers }) => Buffer.from(headers.authorization?.split(" ")[1] ?? "", "base64").toString())
      assert.deepStrictEqual(sent, [
        `basic:${new URLSearchParams({ v: secret }).toString().slice(2)}`,
        `basic:${secret}`
      ])
    })
  )

  it.live("private_key_jwt with RSA, EC and Ed25519 keys, as PEM and as JWK; rotation, wrong keys and audiences", () =>
    Effect.gen(function* () {
      const keys = { rsa: rsa(), other: rsa(), ec: ec(), ec384: ec("P-384"), ed: ed25519() }
      const server = yield* grantServer({
        clients: [
          {
            client_id: "keyed",
            token_endpoint_auth_method: "private_key_jwt",
            jwks: {
              keys: [
                jwk(keys.rsa.publicKey, { kid: "r1" }),
                jwk(keys.ec.publicKey, { kid: "e1" }),
                jwk(keys.ec384.publicKey, { kid: "e3" }),
                jwk(keys.ed.publicKey, { kid: "d1" })
              ]
            }
          }
        ]
      })
      const files = yield* certificates
      const settings = (client_key: Record<string, unknown>) => ({
        client_id: "keyed",
        client_auth: "private_key_jwt",
        client_key: { key: "${env:KEY}", ...client_key }
      })
      const ways: ReadonlyArray<readonly [string, Record<string, unknown>, string]> = [
        [pem(keys.rsa.privateKey), { key_id: "r1" }, "RS256"],
        [pem(keys.rsa.privateKey), { key_id: "r1", algorithm: "PS256" }, "PS256"],
        [keys.rsa.privateKey.export({ type: "pkcs1", format: "pem" }).toString(), {}, "RS256"],
        [JSON.stringify(jwk(keys.ec.privateKey, { kid: "e1" })), {}, "ES256"],
        [pem(keys.ec384.privateKey), { key_id: "e3" }, "ES384"],
        [pem(keys.ed.privateKey), { key_id: "d1" }, "EdDSA"],
        [pem(keys.ed.privateKey), { key_id: "d1", algorithm: "Ed25519" }, "Ed25519"],
        [pem(keys.rsa.privateKey), { audience: server.tokenUrl }, "RS256"]
      ]
      for (const [KEY, client_key, alg] of ways) {
        yield* granted(server, settings(client_key), { KEY })
        const assertion = server.tokenRequests().at(-1)?.body.get("client_assertion") ?? ""
        const header: unknown = JSON.parse(Buffer.from(assertion.split(".")[0] ?? "", "base64url").toString())
        assert.include(header, { alg })
      }

      const wrong = { KEY: pem(keys.other.privateKey) }
      const error = yield* refused(
        server,
        settings({ key_id: "r1" }),
        wrong,
        /invalid_client.*Check client_id and client_key/u
      )
      assert.notInclude(error.message, "PRIVATE")
      yield* refused(
        server,
        settings({ audience: "https://elsewhere.example" }),
        { KEY: pem(keys.rsa.privateKey) },
        /audience/u
      )
      yield* refused(
        server,
        settings({}),
        { KEY: "hunter2" },
        /auth\.client_key\.key \(\$\{env:KEY\}\) is no private key/u
      )
      yield* refused(
        server,
        settings({ algorithm: "RS256" }),
        { KEY: pem(keys.ec.privateKey) },
        /kind ec prime256v1, which RS256 cannot use/u
      )
      const locked = keys.rsa.privateKey.export({
        type: "pkcs8",
        format: "pem",
        cipher: "aes-256-cbc",
        passphrase: "x"
      })
      yield* refused(server, settings({}), { KEY: locked.toString() }, /is encrypted with a passphrase/u)

      // A key that is replaced is used from the next request on.
      const path = files.file("rotating.pem", pem(keys.other.privateKey))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const manager = yield* (yield* Tokens).manager(
            authorization({ issuer: server.issuer, ...settings({ key: `\${file:${path}}` }) })
          )
          const before = yield* Effect.flip(manager.get)
          assert.strictEqual(before.failureClass, "misconfigured")
          writeFileSync(path, pem(keys.rsa.privateKey))
          const token = yield* manager.get.pipe(Effect.retry({ times: 100, schedule: Schedule.spaced("100 millis") }))
          assert.isTrue(yield* Effect.promise(() => server.isValid(Redacted.value(token.value))))
        })
      ).pipe(Effect.provide(live({}), { local: true }))
    })
  )

  it.live("an expired assertion is refused", () =>
    Effect.gen(function* () {
      const key = ec()
      const server = yield* grantServer({
        clients: [
          { client_id: "keyed", token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [jwk(key.publicKey)] } }
        ]
      })
      const settings = { client_id: "keyed", client_auth: "private_key_jwt", client_key: { key: "${env:KEY}" } }
      const clock = yield* Clock.Clock
      const late: Clock.Clock = Object.assign(Object.create(clock), {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() - 3_600_000,
        currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now - 3_600_000)
      })
      yield* refused(server, settings, { KEY: pem(key.privateKey) }, /invalid_client.*and the clocks/u).pipe(
        Effect.provideService(Clock.Clock, late)
      )
    })
  )
})

describe("clients show certificates", () => {
  it.live("tls_client_auth and self_signed_tls_client_auth; tokens bound to the certificate; rotation; refusals", () =>
    Effect.gen(function* () {
      const files = yield* certificates
      const ca = files.selfSigned("authority")
      const otherCa = files.selfSigned("stranger")
      const own = files.signedBy("authority", "mtls-client")
      const renewed = files.signedBy("authority", "mtls-client")
      const namesake = files.signedBy("authority", "somebody-else")
      const foreign = files.signedBy("stranger", "mtls-client")
      const self = files.selfSigned("self")
      const otherSelf = files.selfSigned("other-self")
      const der = new X509Certificate(self.certificate).raw
      const server = yield* grantServer({
        tls: { ...files.signedBy("authority", "server"), ca: ca.certificate },
        clients: [
          {
            client_id: "mtls",
            token_endpoint_auth_method: "tls_client_auth",
            tls_client_auth_subject_dn: "CN=mtls-client",
            tls_client_certificate_bound_access_tokens: true
          },
          {
            client_id: "self",
            token_endpoint_auth_method: "self_signed_tls_client_auth",
            jwks: {
              keys: [
                {
                  ...jwk(new X509Certificate(self.certificate).publicKey),
                  x5c: [der.toString("base64")],
                  "x5t#S256": createHash("sha256").update(der).digest("base64url")
                }
              ]
            }
          }
        ]
      })
      const settings = (client_id: string, client_auth: string) => ({
        client_id,
        client_auth,
        tls: { certificate: "${env:CERTIFICATE}", key: "${env:KEY}", ca: "${env:CA}" }
      })
      const shown = ({ certificate, key }: typeof own) => ({ CERTIFICATE: certificate, KEY: key, CA: ca.certificate })
      yield* granted(server, settings("mtls", "tls_client_auth"), shown(own))
      yield* granted(server, settings("self", "self_signed_tls_client_auth"), shown(self))

      const mtls = settings("mtls", "tls_client_auth")
      const advice = /invalid_client.*auth\.tls/u
      yield* refused(server, mtls, shown(namesake), advice)
      yield* refused(server, mtls, shown(foreign), advice)
      yield* refused(server, settings("self", "self_signed_tls_client_auth"), shown(otherSelf), advice)
      yield* refused(server, mtls, { ...shown(own), KEY: namesake.key }, /does not belong to its certificate/u)
      yield* refused(server, mtls, { ...shown(own), CA: otherCa.certificate }, /certificate is not trusted/u)
      const unreadable = yield* refused(server, mtls, { ...shown(own), KEY: "hunter2" }, /cannot be read/u)
      assert.notInclude(unreadable.message, "hunter2")

      // A renewed certificate is shown from the next request on; the old one is not asked for again.
      const paths = { certificate: files.at("now.crt"), key: files.at("now.key") }
      files.file("now.crt", own.certificate)
      files.file("now.key", own.key)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const manager = yield* (yield* Tokens).manager(
            authorization({
              issuer: server.issuer,
              ...mtls,
              tls: { certificate: `\${file:${paths.certificate}}`, key: `\${file:${paths.key}}`, ca: "${env:CA}" }
            })
          )
          const first = yield* manager.get
          rmSync(paths.certificate)
          files.file("now.crt", renewed.certificate)
          files.file("now.key", renewed.key)
          yield* manager.rejected(first)
          const second = yield* manager.get
          assert.strictEqual(second.generation, 2)
          const shownLast = server.tokenRequests().slice(-2)
          const expected = [own, renewed].map(({ certificate }) => new X509Certificate(certificate).fingerprint256)
          assert.deepStrictEqual(
            shownLast.map(({ certificate }) => certificate),
            expected
          )
        })
      ).pipe(Effect.provide(live({ CA: ca.certificate }), { local: true }))
    })
  )

  it.live("a server that ends the handshake without a good certificate is told apart", () =>
    Effect.gen(function* () {
      const files = yield* certificates
      const ca = files.selfSigned("authority")
      files.selfSigned("stranger")
      const foreign = files.signedBy("stranger", "mtls-client")
      const { certificate, key } = files.signedBy("authority", "server")
      const options = [
        "-cert",
        files.file("s.crt", certificate),
        "-key",
        files.file("s.key", key),
        "-CAfile",
        files.file("ca.crt", ca.certificate)
      ]
      const settings = {
        client_id: "mtls",
        client_auth: "tls_client_auth",
        tls: { certificate: "${env:CERTIFICATE}", key: "${env:KEY}", ca: "${env:CA}" }
      }
      const shown = { CERTIFICATE: foreign.certificate, KEY: foreign.key, CA: ca.certificate }
      const older = yield* opensslServer([...options, "-tls1_2"])
      const error = yield* Effect.flip(tokenOf({ token_url: older, ...settings }, shown))
      assert.match(error.message, /it refuses the client's certificate, or wants one \(ERR_SSL_.*ALERT.*auth\.tls/u)
      assert.strictEqual(error.failureClass, "misconfigured")
      // Here the connection stands before the server has looked at the certificate, and then is closed.
      const newer = yield* opensslServer([...options, "-tls1_3"])
      const closed = yield* Effect.flip(tokenOf({ token_url: newer, ...settings }, shown))
      assert.match(closed.message, /the server may be refusing the certificate of auth\.tls|refuses the client's/u)
    })
  )
})
