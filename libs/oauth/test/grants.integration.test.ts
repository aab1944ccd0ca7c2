import { assert, describe, it } from "@effect/vitest"
import { makeRequestAuthorizer, Tokens } from "@tributary/oauth"
import { Effect, Layer, Redacted } from "effect"
import { createServer } from "node:http"
import { createLocalJWKSet, jwtVerify } from "jose"
import { fetch } from "undici"
import { ec, grantServer, jwk, jwtBearer, pem, rsa, sha256, tokenExchange } from "./GrantServer.ts"
import { calls, granted, refused, secret, tokenOf } from "./grantSupport.ts"
import { authorization, live, secrets } from "./support.ts"

/** A server that is as strict as some vendors are, and as far from the standard. */
const vendor = Effect.acquireRelease(
  Effect.promise(async () => {
    const service = rsa()
    const keys = createLocalJWKSet({ keys: [jwk(service.publicKey, { kid: "service-key" })] })
    const seen: Array<URLSearchParams> = []
    const http = createServer((request, response) => {
      let body = ""
      request.on("data", (chunk: Buffer) => (body += chunk.toString()))
      request.on("end", () => {
        const form = new URLSearchParams(body)
        seen.push(form)
        const decide = async () => {
          if (form.get("grant_type") === "account_credentials") {
            const { authorization: basic, "x-tenant": tenant } = request.headers
            const isKnown = basic === `Basic ${Buffer.from(`zoom:${secret}`).toString("base64")}`
            return isKnown && tenant === "t1" && form.get("account_id") === "acc" && !form.has("client_id")
          }
          // As Google does: no client, the scope in the assertion.
          const { payload, protectedHeader } = await jwtVerify(form.get("assertion") ?? "", keys, {
            audience: `${url}/token`,
            issuer: "loader@project.example",
            subject: "admin@shop.example",
            maxTokenAge: 60
          })
          return (
            form.get("grant_type") === jwtBearer &&
            protectedHeader.typ === "JWT" &&
            payload["scope"] === "analytics.readonly" &&
            payload.exp === (payload.iat ?? 0) + 3600 &&
            !form.has("client_id") &&
            !form.has("scope")
          )
        }
        decide()
          .catch(() => false)
          .then((isRight) => {
            response.writeHead(isRight ? 200 : 400, { "content-type": "application/json" })
            response.end(
              isRight
                ? '{"access_token":"vendor-token","token_type":"Bearer","expires_in":60}'
                : '{"error":"invalid_grant"}'
            )
            return undefined
          })
          .catch(() => response.destroy())
      })
    })
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve))
    const address = http.address()
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`
    const account = JSON.stringify({
      type: "service_account",
      client_email: "loader@project.example",
      private_key_id: "service-key",
      private_key: pem(service.privateKey)
    })
    return { account, http, seen, tokenUrl: `${url}/token` }
  }),
  ({ http }) =>
    Effect.promise(async () => {
      const closed = new Promise((resolve) => http.close(resolve))
      http.closeAllConnections()
      await closed
    })
)

describe("grants", () => {
  it.live("jwt_bearer with a key of the client's; wrong key, wrong audience", () =>
    Effect.gen(function* () {
      const keys = { own: ec(), other: ec() }
      const server = yield* grantServer({
        clients: [{ client_id: "loader", token_endpoint_auth_method: "none", grant_types: [jwtBearer] }],
        trusted: { loader: { keys: [jwk(keys.own.publicKey)] } }
      })
      const settings = (assertion: Record<string, unknown> = {}) => ({
        oauth2: "jwt_bearer",
        issuer: server.issuer,
        client_id: "loader",
        client_auth: "none",
        scopes: ["api:read"],
        assertion: {
          key: "${env:KEY}",
          subject: "person@shop.example",
          claims: { tenant: "${env:TENANT}" },
          ...assertion
        }
      })
      const environment = { KEY: pem(keys.own.privateKey), TENANT: "t1" }
      yield* granted(server, settings(), environment)
      const [claims] = server.assertions
      assert.include(claims, { iss: "loader", sub: "person@shop.example", tenant: "t1", aud: server.tokenUrl })
      assert.isString(claims?.["jti"])
      assert.strictEqual(Number(claims?.["exp"]) - Number(claims?.["iat"]), 300)
      const advice = /400 invalid_grant.*Check `assertion`/u
      yield* refused(settings(), { ...environment, KEY: pem(keys.other.privateKey) }, advice)
      yield* refused(settings({ audience: "https://elsewhere.example" }), environment, advice)
      yield* refused(settings({ issuer: "nobody" }), environment, advice)
    })
  )

  it.live("jwt_bearer with a Google service account's file, without a client", () =>
    Effect.gen(function* () {
      const { account, seen, tokenUrl } = yield* vendor
      const settings = {
        oauth2: "jwt_bearer",
        token_url: tokenUrl,
        client_auth: "none",
        assertion: {
          key: "${env:ACCOUNT}",
          subject: "admin@shop.example",
          lifetime: "1 hour",
          claims: { scope: "analytics.readonly" }
        }
      }
      const nameless = { ...authorization(settings).oauth2, client_id: undefined, client_secret: undefined }
      const { client_id: _id, client_secret: _secret, ...oauth2 } = nameless
      const token = yield* Effect.scoped(
        Effect.gen(function* () {
          return yield* (yield* (yield* Tokens).manager({ id: "google", oauth2, base: "/" })).get
        })
      ).pipe(Effect.provide(live({ ACCOUNT: account }), { local: true }))
      assert.strictEqual(Redacted.value(token.value), "vendor-token")
      assert.deepStrictEqual([...(seen[0]?.keys() ?? [])].toSorted(), ["assertion", "grant_type"])
    })
  )

  it.live("a vendor's own grant, with raw Basic authentication, a parameter and a header", () =>
    Effect.gen(function* () {
      const { tokenUrl } = yield* vendor
      const settings = {
        oauth2: "custom",
        token_url: tokenUrl,
        client_id: "zoom",
        client_auth: "basic_raw",
        custom: { grant_type: "account_credentials", params: { account_id: "${env:ACCOUNT}" } },
        token_request: { headers: { "x-tenant": "t1" } }
      }
      const token = yield* tokenOf(settings, { ACCOUNT: "acc" })
      assert.strictEqual(Redacted.value(token.value), "vendor-token")
      yield* refused(settings, { ACCOUNT: "other" }, /invalid_grant.*Check `custom\.params`/u)
      yield* refused({ ...settings, client_auth: "basic" }, { ACCOUNT: "acc" }, /invalid_grant/u)
    })
  )

  it.live("token_exchange, its audience, and a subject token that expired", () =>
    Effect.gen(function* () {
      const client = { client_id: "app", client_secret: secret, token_endpoint_auth_method: "client_secret_basic" }
      const server = yield* grantServer({
        clients: [{ ...client, grant_types: ["client_credentials", tokenExchange] }]
      })
      const subject = yield* granted(server, { client_id: "app" })
      const actor = yield* granted(server, { client_id: "app" })
      const settings = {
        oauth2: "token_exchange",
        issuer: server.issuer,
        client_id: "app",
        audience: "backend",
        exchange: { subject_token: "${env:SUBJECT}", actor_token: "${env:ACTOR}", requested_token_type: "access_token" }
      }
      yield* granted(server, settings, { SUBJECT: subject, ACTOR: actor })
      const sent = server.tokenRequests().at(-1)?.body
      assert.strictEqual(sent?.get("subject_token_type"), "urn:ietf:params:oauth:token-type:access_token")
      assert.strictEqual(sent?.get("actor_token_type"), "urn:ietf:params:oauth:token-type:access_token")
      assert.strictEqual(sent?.get("audience"), "backend")
      yield* refused(settings, { SUBJECT: "expired-subject-token", ACTOR: actor }, /invalid_grant.*Check `exchange`/u)
      yield* refused({ ...settings, audience: "other" }, { SUBJECT: subject, ACTOR: actor }, /invalid_target/u)
    })
  )

  it.live("resource indicators: the token is for that resource; an unknown one is refused", () =>
    Effect.gen(function* () {
      const client = { client_id: "app", client_secret: secret, token_endpoint_auth_method: "client_secret_basic" }
      const server = yield* grantServer({ clients: [client] })
      const settings = { issuer: server.issuer, client_id: "app", scopes: ["api:read"] }
      const token = yield* granted(server, { ...settings, resource: "https://api.example/" })
      const { introspect } = yield* calls(settings)
      const found = yield* introspect(Redacted.make(token))
      assert.deepStrictEqual(found.audience, ["https://api.example/"])
      assert.deepStrictEqual(found.scopes, ["api:read"])
      yield* refused({ ...settings, resource: "https://other.example/" }, {}, /invalid_target.*Correct `resource`/u)
    })
  )
})

describe("tokens bound to a key (DPoP)", () => {
  for (const requireNonce of [false, true]) {
    it.live(`at the token endpoint and at the API, ${requireNonce ? "with" : "without"} nonces`, () =>
      Effect.gen(function* () {
        const key = ec()
        const server = yield* grantServer({
          requireNonce,
          clients: [
            {
              client_id: "phone",
              token_endpoint_auth_method: "none",
              grant_types: ["authorization_code", "refresh_token"],
              response_types: ["code"],
              redirect_uris: ["https://127.0.0.1/callback"],
              dpop_bound_access_tokens: true
            }
          ]
        })
        const first = yield* Effect.promise(() => server.issueRefreshToken("phone"))
        const settings = {
          oauth2: "refresh_token",
          issuer: server.issuer,
          client_id: "phone",
          client_auth: "none",
          refresh_token: "${env:FIRST}",
          dpop: { key: "${env:KEY}" }
        }
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { authorize } = yield* makeRequestAuthorizer(authorization(settings))
            const url = new URL(`${server.issuer}/me?expand=all`)
            /** As a connector would: once more when only a nonce was missing. */
            const call = Effect.gen(function* () {
              for (let attempt = 1; ; attempt++) {
                const request = yield* authorize("GET", url)
                const answer = yield* Effect.promise(() =>
                  fetch(url, { headers: { ...Redacted.value(request.headers) } })
                )
                const again = yield* request.answered(answer.status, Object.fromEntries(answer.headers))
                if (!again || attempt === 2) {
                  return { status: answer.status, attempt, body: yield* Effect.promise(() => answer.text()), request }
                }
              }
            })
            const one = yield* call
            assert.strictEqual(one.status, 200, one.body)
            assert.include(one.body, '"sub":"person"')
            const { authorization: header = "", dpop = "" } = Redacted.value(one.request.headers)
            assert.match(header, /^DPoP /u)
            const proof: unknown = JSON.parse(Buffer.from(dpop.split(".")[1] ?? "", "base64url").toString())
            assert.include(proof, { htm: "GET", htu: `${server.issuer}/me`, ath: sha256(header.slice(5)) })
            // The same token without its proof, and with the proof of another request, is of no use.
            const bare = yield* Effect.promise(() => fetch(url, { headers: { authorization: header } }))
            assert.strictEqual(bare.status, 400)
            const replayed = yield* Effect.promise(() => fetch(url, { headers: { authorization: header, dpop } }))
            assert.isAtLeast(replayed.status, 400)
            // What was learnt is used: the next request passes at once, and so does the next token request.
            const two = yield* call
            assert.deepStrictEqual([two.status, two.attempt], [200, 1])
            const requests = server.tokenRequests().length
            assert.strictEqual(requests, requireNonce ? 2 : 1)
            yield* two.request.rejected
            assert.strictEqual((yield* call).status, 200)
            assert.strictEqual(server.tokenRequests().length, requests + 1)
          })
        ).pipe(
          Effect.provide(
            Layer.merge(live({ FIRST: first, KEY: pem(key.privateKey) }), secrets({ KEY: pem(key.privateKey) })),
            { local: true }
          )
        )
      })
    )
  }

  it.live(
    "a server that issues bearer tokens all the same is refused, and so is one that wants proofs it does not get",
    () =>
      Effect.gen(function* () {
        const client = { client_id: "app", client_secret: secret, token_endpoint_auth_method: "client_secret_basic" }
        const server = yield* grantServer({
          clients: [{ ...client, client_id: "bound", dpop_bound_access_tokens: true }]
        })
        const { account, tokenUrl } = yield* vendor
        const KEY = pem(ec().privateKey)
        yield* granted(server, { client_id: "bound", dpop: { key: "${env:KEY}" } }, { KEY })
        yield* refused({ issuer: server.issuer, client_id: "bound" }, {}, /400 invalid_grant/u)
        const downgraded = {
          oauth2: "jwt_bearer",
          token_url: tokenUrl,
          client_auth: "none",
          client_id: "",
          assertion: {
            key: "${env:ACCOUNT}",
            subject: "admin@shop.example",
            lifetime: "1 hour",
            claims: { scope: "analytics.readonly" }
          },
          dpop: { key: "${env:KEY}" }
        }
        const { client_id: _, ...oauth2 } = authorization({ ...downgraded, client_id: "x" }).oauth2
        const error = yield* Effect.scoped(
          Effect.gen(function* () {
            return yield* Effect.flip((yield* (yield* Tokens).manager({ id: "vendor", oauth2, base: "/" })).get)
          })
        ).pipe(Effect.provide(live({ ACCOUNT: account, KEY }), { local: true }))
        assert.match(error.message, /not bound to the key of `dpop`; it was not used/u)
        assert.strictEqual(error.failureClass, "misconfigured")
      })
  )
})
