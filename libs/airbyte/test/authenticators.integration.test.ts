import { assert, it } from "@effect/vitest"
import { generateKeyPairSync } from "node:crypto"
import { tmpdir } from "node:os"
import type { PlainDict } from "../src/index.ts"
import { readMapping } from "../src/manifest/yaml.ts"
import { type Route, startApi } from "./differential/api.ts"
import { runOurs } from "./differential/ours.ts"

const manifest = (authenticator: string): PlainDict =>
  readMapping(`
version: 7.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [items] }
streams:
  - type: DeclarativeStream
    name: items
    schema_loader: { type: InlineSchemaLoader, schema: { type: object, properties: { id: { type: integer } } } }
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: https://api.example.com
        path: /items
        authenticator:
${authenticator.replaceAll(/^/gmu, "          ")}
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [] } }
`)

const oauth = (more: string) => `type: OAuthAuthenticator
token_refresh_endpoint: https://id.example.com/token
client_id: "{{ config.id }}"
client_secret: "{{ config.secret }}"
grant_type: client_credentials
${more}`

const basic = `Basic ${Buffer.from("me:hush").toString("base64")}`
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
const config = { id: "me", secret: "hush", key: String(privateKey.export({ type: "pkcs8", format: "pem" })) }
const answer = { json: { access_token: "t1", expires_in: 3600 } }
const items = (headers: PlainDict): Route => ({ path: "/items", headers, json: [{ id: 1 }] })

/** What Airbyte's connectors have classes in Python for, said in settings, and what is answered to just that. */
const variants: { readonly [name: string]: readonly [authenticator: string, routes: ReadonlyArray<Route>] } = {
  "a client that authenticates by Basic": [
    oauth("client_authentication: basic"),
    [{ path: "/token", headers: { authorization: basic }, ...answer }, items({ authorization: "Bearer t1" })]
  ],
  "a client that authenticates by a signed assertion (private_key_jwt)": [
    oauth(`client_authentication: private_key_jwt
client_assertion:
  type: JwtAuthenticator
  algorithm: RS256
  is_client_assertion: true
  secret_key: "{{ config.key }}"
  token_duration: 300
  jwt_payload: { iss: "{{ config.id }}", sub: "{{ config.id }}", aud: https://id.example.com/token }`),
    [{ path: "/token", body: "client_assertion=ey", ...answer }, items({ authorization: "Bearer t1" })]
  ],
  "another scheme before the token": [
    oauth("access_token_header: { name: Authorization, prefix: SSWS }"),
    [{ path: "/token", ...answer }, items({ authorization: "SSWS t1" })]
  ],
  "a token in a header of its own, with another header beside it": [
    oauth(
      'access_token_header: { name: x-access-token, prefix: "" }\nrequest_headers: { x-client: "{{ config.id }}" }'
    ),
    [{ path: "/token", ...answer }, items({ "x-access-token": "t1", "x-client": "me" })]
  ],
  "a grant of the vendor's own, as a query (account_credentials)": [
    oauth(`client_authentication: basic
send_refresh_request_as_query_params: true
refresh_request_body: { account_id: a7 }`).replace("client_credentials", "account_credentials"),
    [
      {
        path: "/token",
        query: { grant_type: "account_credentials", account_id: "a7" },
        headers: { authorization: basic },
        ...answer
      },
      items({ authorization: "Bearer t1" })
    ]
  ],
  "a login with JSON": [
    `type: SessionTokenAuthenticator
session_token_path: [session, key]
expiration_duration: PT1H
login_requester:
  type: HttpRequester
  url_base: https://id.example.com
  path: /login
  http_method: POST
  request_body_json: { user: "{{ config.id }}", password: "{{ config.secret }}" }
request_authentication:
  type: ApiKey
  api_token: "token {{ session_token }}"
  inject_into: { type: RequestOption, inject_into: header, field_name: Authorization }`,
    [
      { path: "/login", method: "POST", body: '"password": "hush"', json: { session: { key: "s1" } } },
      items({ authorization: "token s1" })
    ]
  ],
  "a login with GET": [
    `type: SessionTokenAuthenticator
session_token_path: [access_token]
expiration_duration: PT1H
login_requester:
  type: HttpRequester
  url_base: https://id.example.com
  path: /login
  http_method: GET
  authenticator: { type: BasicHttpAuthenticator, username: "{{ config.id }}", password: "{{ config.secret }}" }
request_authentication: { type: Bearer }`,
    [
      { path: "/login", method: "GET", headers: { authorization: basic }, ...answer },
      items({ authorization: "Bearer t1" })
    ]
  ]
}

for (const [name, [authenticator, routes]] of Object.entries(variants)) {
  it(`without Python: ${name}`, async () => {
    const api = await startApi()
    try {
      api.use(routes)
      const job = { verb: "read" as const, manifest: manifest(authenticator), config, state: [], folder: tmpdir() }
      const { error, records } = await runOurs(job, api.base)
      assert.deepStrictEqual(records, { items: [{ id: 1 }] }, `${error}\n${api.take().join("\n")}`)
    } finally {
      api.close()
    }
  })
}
