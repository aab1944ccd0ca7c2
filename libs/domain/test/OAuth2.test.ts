import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type ConfigProblem, formatProblem, parseConnector } from "../src/index.ts"

const file = (auth: string) =>
  `connector: shop\nauth: ${auth}\nhttp: { base_url: https://api.shop.example }\nstreams: { orders: { path: /orders } }\n`

const lineOf = ({ advice, expected, found, path }: ConfigProblem) =>
  `${path}: found ${found}, expected ${expected}. ${advice}`

const problemsOf = (auth: string): ReadonlyArray<string> =>
  Result.match(parseConnector(file(auth), "shop.yaml"), {
    onFailure: (problems) => problems.map(lineOf),
    onSuccess: () => []
  })

const url = "token_url: https://id.shop.example/token"
const client = `${url}, client_id: shop, client_secret: "\${env:SECRET}"`
const key = 'key: "${file:./key.pem}"'

/** What each kind of authorization needs, as the guide has it. */
const rightOnes: ReadonlyArray<readonly [string, string]> = [
  ["client_credentials", `{ oauth2: client_credentials, ${client} }`],
  ["basic_raw", `{ oauth2: client_credentials, ${client}, client_auth: basic_raw }`],
  ["client_secret_jwt", `{ oauth2: client_credentials, ${client}, client_auth: client_secret_jwt }`],
  [
    "private_key_jwt",
    `{ oauth2: client_credentials, ${url}, client_id: shop, client_auth: private_key_jwt, client_key: { ${key}, key_id: k1, algorithm: ES256 } }`
  ],
  [
    "tls_client_auth",
    `{ oauth2: client_credentials, ${url}, client_id: shop, client_auth: tls_client_auth, tls: { certificate: "\${file:c.crt}", ${key}, ca: "\${file:ca.crt}" } }`
  ],
  ["dpop", `{ oauth2: client_credentials, ${client}, dpop: { ${key} } }`],
  ["a header of its own", `{ oauth2: client_credentials, ${client}, header: x-amz-access-token, prefix: "" }`],
  ["a proxy", `{ oauth2: client_credentials, ${client}, proxy: "\${env:PROXY}" }`],
  [
    "jwt_bearer without a client",
    `{ oauth2: jwt_bearer, ${url}, client_auth: none, assertion: { key: "\${file:./account.json}", claims: { scope: read } } }`
  ],
  [
    "token_exchange",
    `{ oauth2: token_exchange, ${client}, exchange: { subject_token: "\${file:./token}", subject_token_type: jwt } }`
  ],
  [
    "custom",
    `{ oauth2: custom, ${client}, custom: { grant_type: account_credentials, params: { account_id: "\${env:ID}" } }, token_request: { params: { tenant: a }, headers: { x-tenant: a } } }`
  ],
  [
    "a provider, which says the rest",
    `{ oauth2: refresh_token, provider: xero, client_id: a, refresh_token: "\${env:R}" }`
  ],
  [
    "what a provider without a profile does",
    `{ oauth2: refresh_token, ${client}, refresh_token: "\${env:R}", quirks: { access_token: [data.token], default_expires_in: 2 hours }, lifecycle: { rotation: always, grace: 30 seconds, reuse: revokes_family, idle_life: 90 days, absolute_life: unlimited, token_requests: { requests: 10, per: 10 minutes } } }`
  ],
  ["an authorization that is shared", `{ oauth2: client_credentials, ${client}, authorization: shop-login }`],
  [
    "a secret that is being replaced",
    `{ oauth2: client_credentials, ${url}, client_id: shop, client_secret: ["\${env:NEW}", "\${env:OLD}"] }`
  ],
  [
    "authorization_code",
    `{ oauth2: authorization_code, issuer: https://id.shop.example, client_id: a, client_auth: none, redirect_uri: "http://127.0.0.1:8976/cb", authorization_params: { prompt: consent } }`
  ],
  [
    "device_code without discovery",
    `{ oauth2: device_code, ${client}, device_authorization_url: https://id.shop.example/device }`
  ],
  ["login", `{ oauth2: login, login: { url: https://api.shop.example/login, body: { user: a } } }`],
  [
    "login with an exchange",
    `{ oauth2: login, ${client}, login: { url: https://a.example/login, body: {}, exchange: { grant_type: x, parameter: y } } }`
  ],
  ["a key in a header", `{ api_key: "\${env:KEY}", header: x-shop-key, prefix: SSWS }`],
  ["a key in the address", `{ api_key: "\${env:KEY}", query: key }`],
  ["a bearer token", `{ bearer: "\${file:./token}" }`],
  ["a user and a password", `{ basic: ada, password: "\${env:PASSWORD}" }`],
  ["headers", `{ headers: { x-account: shop, x-token: "\${env:TOKEN}" } }`]
]

const wrongOnes: ReadonlyArray<readonly [string, ...ReadonlyArray<string>]> = [
  [
    `{ oauth2: client_credentials, ${client}, header: x-token, prefix: Token, dpop: { ${key} } }`,
    "auth.header: found `header` together with `dpop`, expected tokens that are bound to a key in the Authorization header, with the scheme DPoP (RFC 9449, section 7.1). Remove `header`, or `dpop` if the API does not ask for proofs.",
    "auth.prefix: found `prefix` together with `dpop`, expected tokens that are bound to a key in the Authorization header, with the scheme DPoP (RFC 9449, section 7.1). Remove `prefix`, or `dpop` if the API does not ask for proofs."
  ],
  [
    `{ oauth2: client_credentials, ${client}, header: Content-Type }`,
    "auth.header: found the header Content-Type, which each request sets itself, expected a header that takes the token. Name the one that the API's documentation names."
  ],
  [
    `{ oauth2: client_credentials, ${client}, params: { subdomain: acme } }`,
    "auth.params: found `params` without `provider`, expected both, or none. Name the provider whose addresses need them. Parameters of token requests belong under `token_request.params`."
  ],
  [
    `{ oauth2: client_credentials, ${url}, client_id: shop, client_secret: ["\${env:A}", "\${env:B}", "\${env:C}"] }`,
    "auth.client_secret: found 3 secrets, expected one, or the new and the old one. Remove those that the server takes no more."
  ],
  [
    `{ oauth2: client_credentials, ${url}, client_id: shop, client_secret: [plain-text] }`,
    "auth.client_secret[0]: found a value in the open (not shown, it may be a secret), expected a reference to the secret: ${env:NAME}, ${file:path}, ${vault:path#field}, ${aws:name#field} or ${gcp:name#field}. Take the secret out of the file; write ${env:NAME} or ${file:path} in its place."
  ],
  [
    `{ oauth2: client_credentials, ${client}, lifecycle: { grace: 0 seconds } }`,
    'auth.lifecycle.grace: found "0 seconds", expected a duration such as 30 seconds or 90 days, or none or until_next_use or unlimited. Write it as in this example: 30 seconds.'
  ],
  [
    `{ oauth2: authorization_code, ${client} }`,
    "auth: found neither issuer nor authorization_url with the grant authorization_code, expected where a person is asked for consent. Add `issuer` if the server can be discovered, else `authorization_url`."
  ],
  [
    `{ oauth2: client_credentials, ${client}, redirect_uri: "http://127.0.0.1/cb" }`,
    "auth.redirect_uri: found `redirect_uri` with the grant client_credentials, expected `redirect_uri` only with the grant authorization_code. Remove it."
  ],
  [
    `{ oauth2: authorization_code, issuer: https://a.example, client_id: a, client_auth: none, authorization_params: { state: x } }`,
    "auth.authorization_params.state: found the parameter `state`, which the request sets itself, expected another parameter. Remove it."
  ],
  [
    `{ oauth2: login, ${url}, client_auth: none, login: { url: https://a.example/login, body: {} } }`,
    "auth.token_url: found `token_url` with a login whose session token is the access token, expected no token endpoint, which nobody would ask. Remove it, or add `login.exchange`."
  ],
  [
    `{ oauth2: client_credentials, ${url}, client_id: shop }`,
    "auth: found no `client_secret` with client_auth basic, expected a reference to the client's secret. Add `client_secret: ${env:NAME}`, or say with `client_auth` how the client authenticates without one (`none`, if not at all)."
  ],
  [
    `{ oauth2: client_credentials, ${url}, client_secret: "\${env:SECRET}" }`,
    "auth: found no `client_id`, expected the identifier that the server gave to this client. Add `client_id: ${env:NAME}`."
  ],
  [
    `{ oauth2: client_credentials, ${url}, client_id: shop, client_auth: none }`,
    "auth.client_auth: found the grant client_credentials with client_auth none, expected a client that proves who it is (RFC 6749, section 4.4). Say with `client_auth` how."
  ],
  [
    `{ oauth2: client_credentials, ${url}, client_id: shop, client_auth: private_key_jwt }`,
    "auth.client_auth: found private_key_jwt without `client_key`, expected the client's private key. Add `client_key: { key: ${file:./client-key.pem} }`."
  ],
  [
    `{ oauth2: client_credentials, ${client}, client_key: { ${key} } }`,
    "auth.client_key: found `client_key` with client_auth basic, expected `client_key` only with private_key_jwt. Remove it, or write `client_auth: private_key_jwt`."
  ],
  [
    `{ oauth2: client_credentials, ${client}, client_auth: tls_client_auth, tls: { ${key} } }`,
    "auth.tls: found `key` without `certificate`, expected both. Add the other one, or remove both."
  ],
  [
    `{ oauth2: client_credentials, ${client}, client_auth: self_signed_tls_client_auth }`,
    "auth.client_auth: found self_signed_tls_client_auth without a certificate, expected the client's certificate and its key. Add `tls: { certificate: ${file:./client.crt}, key: ${file:./client.key} }`."
  ],
  [
    `{ oauth2: jwt_bearer, ${client} }`,
    "auth.oauth2: found the grant jwt_bearer without `assertion`, expected the assertion's key and claims. Add `assertion: { key: ${file:./key.pem}, issuer: ..., audience: ... }`."
  ],
  [
    `{ oauth2: client_credentials, ${client}, exchange: { subject_token: "\${env:T}" } }`,
    "auth.exchange: found `exchange` with the grant client_credentials, expected `exchange` only with the grant token_exchange. Remove it, or write `oauth2: token_exchange`."
  ],
  [
    `{ oauth2: refresh_token, ${url}, client_id: shop, client_auth: none, client_secret: "\${env:S}", refresh_token: "\${env:R}" }`,
    "auth.client_secret: found `client_secret` with client_auth none, expected no secret, which nobody would ask for. Remove it, or write `client_auth: basic` or `post`."
  ],
  [
    `{ oauth2: jwt_bearer, ${client}, assertion: { ${key}, lifetime: 2 hours, claims: { aud: x } } }`,
    "auth.assertion.lifetime: found an assertion that is valid for more than an hour, expected at most 1 hour. Write a shorter time; each token request makes a new one.",
    "auth.assertion.claims.aud: found the claim `aud`, which another setting stands for, expected each claim from one setting. Use issuer, subject, audience or lifetime."
  ],
  [
    `{ oauth2: custom, ${client}, custom: { grant_type: x, params: { a: b, client_id: c } }, token_request: { params: { a: b, scope: s }, headers: { Authorization: "\${env:S}" } } }`,
    "auth.custom.params.client_id: found the parameter `client_id`, which another setting stands for, expected each parameter from one setting. Use the setting that is made for it (`client_id`, or the one of the grant).",
    "auth.token_request.params.a: found the parameter `a`, which `custom` also sets, expected each parameter from one setting. Remove one of them.",
    "auth.token_request.params.scope: found the parameter `scope`, which another setting stands for, expected each parameter from one setting. Use `scopes`.",
    "auth.token_request.headers.Authorization: found the header Authorization, which the request sets itself, expected another header. Use `client_auth`."
  ]
]

const plainOnes: ReadonlyArray<readonly [string, ...ReadonlyArray<string>]> = [
  [
    `{ api_key: "\${env:KEY}", query: key, header: x-key }`,
    "auth.header: found `header` and `query` together, expected the key in one place. Remove one of them; a prefix belongs to a header."
  ],
  [
    `{ api_key: "\${env:KEY}", query: key, prefix: Token }`,
    "auth.prefix: found `prefix` and `query` together, expected the key in one place. Remove one of them; a prefix belongs to a header."
  ],
  [
    `{ bearer: "\${env:KEY}", basic: ada }`,
    "auth: found bearer and basic together, expected one of the forms oauth2, api_key, bearer, basic, headers. Keep one of them."
  ]
]
describe("the guide", () => {
  const guide = readFileSync(join(import.meta.dirname, "../../../docs/guides/authentication.md"), "utf8")
  const blocks = [...guide.matchAll(/```yaml\n([\s\S]*?)```/gu)].map(([, block = ""]) => block)
  const examples = blocks.filter((block) => /^auth:\n(?:.*\n)*? {2}oauth2:|^auth: \{|^http:/u.test(block))

  it("has an example for each grant and each way to authenticate", () => {
    assert.isAtLeast(examples.length, 9)
    const all = examples.join("")
    for (const word of ["client_credentials", "refresh_token", "jwt_bearer", "token_exchange", "custom"]) {
      assert.include(all, `oauth2: ${word}`)
    }
    for (const word of ["private_key_jwt", "tls_client_auth", "none"]) assert.include(all, `client_auth: ${word}`)
  })

  for (const [index, block] of examples.entries()) {
    it(`has a right example (${index + 1})`, () => {
      const rest = ["http: { base_url: https://api.shop.example }", "streams: { orders: { path: /orders } }"]
      const missing = rest.filter((line) => !new RegExp(`^${line.slice(0, line.indexOf(":"))}:`, "mu").test(block))
      const parsed = parseConnector(`connector: shop\n${block}${missing.join("\n")}\n`, "guide.yaml")
      if (Result.isFailure(parsed)) assert.fail(parsed.failure.map(lineOf).join("\n"))
      assert.deepStrictEqual(parsed.success.warnings, [])
    })
  }
})

describe("auth", () => {
  it("has credentials as they are in one place", () => {
    for (const [auth, ...expected] of plainOnes) assert.deepStrictEqual(problemsOf(auth), expected, auth)
    const both = file(`{ api_key: "\${env:KEY}" }`).replace("http: {", `http: { headers: { X-Api-Key: "\${env:KEY}" },`)
    const twice = file(`{ api_key: "\${env:KEY}", query: k }`).replace(
      "path: /orders",
      "path: /orders, query: { k: a }"
    )
    const [first, second] = [both, twice].map((text) =>
      Result.match(parseConnector(text, "shop.yaml"), {
        onFailure: (problems) => problems.map(lineOf).join(),
        onSuccess: () => ""
      })
    )
    assert.strictEqual(
      first,
      "http.headers.X-Api-Key: found the header X-Api-Key beside `auth`, expected one of them. Remove the header; `auth` sends it with each request."
    )
    assert.match(second ?? "", /the query parameter `k`, which `auth\.query` also sets/u)
  })

  for (const [name, auth] of rightOnes) {
    it(`takes ${name}`, () => assert.deepStrictEqual(problemsOf(auth), []))
  }

  it("says what is missing and what does not belong together", () => {
    for (const [auth, ...expected] of wrongOnes) {
      assert.deepStrictEqual([...problemsOf(auth)].toSorted(), [...expected].toSorted(), auth)
    }
  })

  it("shows no secret that stands in the open, wherever it is", () => {
    const secret = "hunter2-S3cr3t-0123"
    const open = [
      `{ oauth2: custom, ${client}, custom: { grant_type: password, params: { password: ${secret} } } }`,
      `{ oauth2: client_credentials, ${client}, client_auth: private_key_jwt, client_key: { key: ${secret} } }`,
      `{ oauth2: jwt_bearer, ${client}, assertion: { key: "-----BEGIN PRIVATE KEY----- ${secret}" } }`,
      `{ oauth2: token_exchange, ${client}, exchange: { subject_token: ${secret} } }`,
      `{ oauth2: client_credentials, ${client}, dpop: { key: ${secret} } }`,
      `{ oauth2: client_credentials, ${client}, tls: { certificate: "\${file:a}", key: ${secret} } }`,
      `{ oauth2: client_credentials, ${client}, token_request: { headers: { x-api-key: ${secret} } } }`,
      `{ api_key: ${secret} }`,
      `{ bearer: ${secret} }`,
      `{ basic: ada, password: ${secret} }`,
      `{ headers: { x-auth-token: ${secret} } }`
    ]
    for (const auth of open) {
      const parsed = parseConnector(file(auth), "shop.yaml")
      assert.isTrue(Result.isFailure(parsed), auth)
      if (Result.isFailure(parsed)) {
        const shown = parsed.failure.map((problem) => formatProblem(problem)).join("\n")
        assert.notInclude(shown, secret)
        assert.match(shown, /\$\{env:NAME\} or \$\{file:path\}/u)
      }
    }
  })
})
