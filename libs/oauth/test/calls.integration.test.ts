import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { certificates } from "@tributary/testkit"
import { grantServer, sha256 } from "./GrantServer.ts"
import { calls, granted, secret, serve, tokenOf } from "./grantSupport.ts"

describe("calls of a server", () => {
  it.live("metadata, introspection, revocation and pushed authorization requests", () =>
    Effect.gen(function* () {
      const client = { client_id: "app", client_secret: secret, token_endpoint_auth_method: "client_secret_basic" }
      const server = yield* grantServer({
        clients: [
          {
            ...client,
            grant_types: ["authorization_code", "client_credentials", "refresh_token"],
            response_types: ["code"],
            redirect_uris: ["https://127.0.0.1/callback"]
          }
        ]
      })
      const settings = { issuer: server.issuer, client_id: "app" }
      const { introspect, metadata, push, revoke } = yield* calls(settings)
      assert.strictEqual((yield* metadata).issuer, server.issuer)

      const token = Redacted.make(yield* granted(server, { ...settings, scopes: ["api:read"] }))
      const alive = yield* introspect(token, "access_token")
      assert.isTrue(alive.isActive)
      assert.strictEqual(alive.clientId, "app")
      assert.deepStrictEqual(alive.scopes, ["api:read"])
      yield* revoke(token, "access_token")
      assert.isFalse((yield* introspect(token)).isActive)
      yield* revoke(token)

      const first = yield* Effect.promise(() => server.issueRefreshToken("app"))
      yield* revoke(Redacted.make(first), "refresh_token")
      const dead = yield* Effect.flip(
        tokenOf({ ...settings, oauth2: "refresh_token", refresh_token: "${env:FIRST}" }, { FIRST: first })
      )
      assert.strictEqual(dead.failureClass, "needs-consent")

      const pushed = yield* push({
        response_type: "code",
        redirect_uri: "https://127.0.0.1/callback",
        code_challenge: sha256("x".repeat(43)),
        code_challenge_method: "S256",
        scope: "openid"
      })
      assert.match(pushed.requestUri, /^urn:ietf:params:oauth:request_uri:/u)
      const plain = yield* Effect.flip(push({ response_type: "code", redirect_uri: "https://evil.example/" }))
      assert.match(plain.message, /redirect_uri/u)

      const wrong = yield* calls(settings, { CLIENT_SECRET: "wrong-secret-hunter2" })
      const denied = yield* Effect.flip(wrong.introspect(token))
      assert.match(denied.message, /401 invalid_client/u)
      assert.notInclude(denied.message, "hunter2")
      const unknown = yield* calls({ token_url: server.tokenUrl, client_id: "app" })
      assert.match((yield* Effect.flip(unknown.revoke(token))).message, /no revocation endpoint that is known/u)
      const named = { token_url: server.tokenUrl, revocation_url: `${server.tokenUrl}/revocation`, client_id: "app" }
      yield* (yield* calls(named)).revoke(token)
    })
  )

  it.live("metadata of an API names its servers; that of another API is refused", () =>
    Effect.gen(function* () {
      let stated = ""
      const asked: Array<string> = []
      const url = yield* serve((request, response) => {
        asked.push(`${request.url} ${request.headers.authorization ?? "-"}`)
        if (request.url !== "/.well-known/oauth-protected-resource/v1") return response.writeHead(404).end()
        response.writeHead(200, { "content-type": "application/json" })
        return response.end(
          JSON.stringify({
            resource: stated,
            authorization_servers: ["https://id.shop.example"],
            scopes_supported: ["orders.read"],
            dpop_bound_access_tokens_required: true
          })
        )
      })
      const { protectedResource } = yield* calls({ token_url: "https://id.shop.example/token", client_id: "app" })
      stated = `${url}/v1`
      assert.deepStrictEqual(yield* protectedResource(new URL(stated)), {
        resource: stated,
        issuers: ["https://id.shop.example"],
        scopes: ["orders.read"],
        needsDpop: true,
        needsCertificate: false
      })
      stated = "https://evil.example/v1"
      const other = yield* Effect.flip(protectedResource(new URL(`${url}/v1`)))
      assert.match(other.message, /its metadata names another resource/u)
      const none = yield* Effect.flip(protectedResource(new URL(`${url}/v2`)))
      assert.match(none.message, /it answered 404/u)
      const plain = yield* Effect.flip(protectedResource(new URL("http://api.shop.example/v1")))
      assert.match(plain.message, /its address is not https/u)
      assert.isTrue(asked.every((line) => line.endsWith(" -")))
    })
  )

  it.live("metadata of another issuer is refused", () =>
    Effect.gen(function* () {
      const server = yield* grantServer({ clients: [] })
      const { metadata } = yield* calls({ issuer: server.issuer.replace("127.0.0.1", "localhost") })
      assert.match((yield* Effect.flip(metadata)).message, /names another issuer/u)
    })
  )

  it.live("tokens bound to a certificate, as the server tells", () =>
    Effect.gen(function* () {
      const files = yield* certificates
      const ca = files.selfSigned("authority")
      const own = files.signedBy("authority", "mtls-client")
      const server = yield* grantServer({
        tls: { ...files.signedBy("authority", "server"), ca: ca.certificate },
        clients: [
          {
            client_id: "mtls",
            token_endpoint_auth_method: "tls_client_auth",
            tls_client_auth_subject_dn: "CN=mtls-client",
            tls_client_certificate_bound_access_tokens: true
          }
        ]
      })
      const settings = {
        issuer: server.issuer,
        client_id: "mtls",
        client_auth: "tls_client_auth",
        tls: { certificate: "${env:CERTIFICATE}", key: "${env:KEY}", ca: "${env:CA}" }
      }
      const environment = { CERTIFICATE: own.certificate, KEY: own.key, CA: ca.certificate }
      const token = yield* granted(server, settings, environment)
      const { introspect } = yield* calls(settings, environment)
      const { boundTo } = yield* introspect(Redacted.make(token))
      assert.match(boundTo ?? "", /^[\w-]{43}$/u)
    })
  )
})
