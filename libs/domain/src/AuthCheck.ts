import { Duration } from "effect"
import { isConsentGrant } from "./Consent.ts"
import type { OAuth2 } from "./OAuth2.ts"
import type { PlainAuth } from "./PlainAuth.ts"
import type { SettingPath } from "./YamlSource.ts"

type Report = (path: SettingPath, found: string, expected: string, advice: string) => void

const secretWays = new Set(["basic", "basic_raw", "post", "client_secret_jwt"])
const tlsWays = new Set(["tls_client_auth", "self_signed_tls_client_auth"])

/** Parameters that settings of their own stand for. */
const ownParameters = new Set([
  "grant_type",
  "client_id",
  "client_secret",
  "client_assertion",
  "client_assertion_type",
  "refresh_token",
  "assertion",
  "subject_token",
  "actor_token",
  "scope",
  "audience",
  "resource"
])
/** Parameters of an authorization request that are made anew for each, or have settings of their own. */
const requestParameters = new Set([
  "response_type",
  "response_mode",
  "client_id",
  "redirect_uri",
  "scope",
  "state",
  "nonce",
  "code_challenge",
  "code_challenge_method",
  "request",
  "request_uri",
  "audience",
  "resource"
])
const ownHeaders = new Set([
  "authorization",
  "dpop",
  "content-type",
  "content-length",
  "host",
  "connection",
  "transfer-encoding",
  "expect",
  "upgrade"
])

/** The settings that belong to one grant: what to write when it is missing, and what it is. */
const grantParts = {
  refresh_token: [
    "refresh_token",
    "a reference to the first refresh token",
    "Add `refresh_token: ${file:./refresh-token}`."
  ],
  jwt_bearer: [
    "assertion",
    "the assertion's key and claims",
    "Add `assertion: { key: ${file:./key.pem}, issuer: ..., audience: ... }`."
  ],
  token_exchange: ["exchange", "the token to exchange", "Add `exchange: { subject_token: ${file:./subject-token} }`."],
  custom: ["custom", "the vendor's grant type", "Add `custom: { grant_type: account_credentials }`."],
  login: ["login", "the login's address and fields", "Add `login: { url: ..., body: { user: ..., password: ... } }`."]
} as const

const grantsOwn = (auth: OAuth2, report: Report) => {
  for (const [grant, [part, expected, advice]] of Object.entries(grantParts)) {
    if (auth.oauth2 === grant && auth[part] === undefined) {
      report(["auth", "oauth2"], `the grant ${grant} without \`${part}\``, expected, advice)
    }
    if (auth.oauth2 !== grant && auth[part] !== undefined) {
      report(
        ["auth", part],
        `\`${part}\` with the grant ${auth.oauth2}`,
        part === "refresh_token" && auth.oauth2 === "client_credentials"
          ? "no refresh token, which this grant has none of (RFC 6749, section 4.4)"
          : `\`${part}\` only with the grant ${grant}`,
        `Remove it, or write \`oauth2: ${grant}\`.`
      )
    }
  }
}

const clientsOwn = (auth: OAuth2, client_auth: NonNullable<OAuth2["client_auth"]>, report: Report) => {
  const { client_id, client_key, client_secret, oauth2, tls } = auth
  if (secretWays.has(client_auth) && client_secret === undefined) {
    report(
      ["auth"],
      `no \`client_secret\` with client_auth ${client_auth}`,
      "a reference to the client's secret",
      "Add `client_secret: ${env:NAME}`, or say with `client_auth` how the client authenticates without one (`none`, if not at all)."
    )
  }
  if (client_auth === "none" && client_secret !== undefined) {
    report(
      ["auth", "client_secret"],
      "`client_secret` with client_auth none",
      "no secret, which nobody would ask for",
      "Remove it, or write `client_auth: basic` or `post`."
    )
  }
  if (typeof client_secret !== "string" && client_secret !== undefined && client_secret.length > 2) {
    report(
      ["auth", "client_secret"],
      `${client_secret.length} secrets`,
      "one, or the new and the old one",
      "Remove those that the server takes no more."
    )
  }
  if (client_auth === "private_key_jwt" && client_key === undefined) {
    report(
      ["auth", "client_auth"],
      "private_key_jwt without `client_key`",
      "the client's private key",
      "Add `client_key: { key: ${file:./client-key.pem} }`."
    )
  }
  if (client_auth !== "private_key_jwt" && client_key !== undefined) {
    report(
      ["auth", "client_key"],
      `\`client_key\` with client_auth ${client_auth}`,
      "`client_key` only with private_key_jwt",
      "Remove it, or write `client_auth: private_key_jwt`."
    )
  }
  if ((tls?.certificate === undefined) !== (tls?.key === undefined)) {
    report(
      ["auth", "tls"],
      tls?.key === undefined ? "`certificate` without `key`" : "`key` without `certificate`",
      "both",
      "Add the other one, or remove both."
    )
  } else if (tlsWays.has(client_auth) && tls?.certificate === undefined) {
    report(
      ["auth", "client_auth"],
      `${client_auth} without a certificate`,
      "the client's certificate and its key",
      "Add `tls: { certificate: ${file:./client.crt}, key: ${file:./client.key} }`."
    )
  }
  const isNameless = client_auth === "none" && !["client_credentials", "refresh_token"].includes(oauth2)
  if (client_id === undefined && !isNameless) {
    report(
      ["auth"],
      "no `client_id`",
      "the identifier that the server gave to this client",
      "Add `client_id: ${env:NAME}`."
    )
  }
  if (client_auth === "none" && oauth2 === "client_credentials") {
    report(
      ["auth", "client_auth"],
      "the grant client_credentials with client_auth none",
      "a client that proves who it is (RFC 6749, section 4.4)",
      "Say with `client_auth` how."
    )
  }
}

const requestsOwn = ({ assertion, custom, token_request }: OAuth2, report: Report) => {
  const inGrant = Object.keys(custom?.params ?? {})
  const places: ReadonlyArray<readonly [SettingPath, string]> = [
    ...inGrant.map((name) => [["auth", "custom", "params", name], name] as const),
    ...Object.keys(token_request.params).map((name) => [["auth", "token_request", "params", name], name] as const)
  ]
  for (const [path, name] of places) {
    // A vendor's grant may have a scope or an audience in words of its own.
    const isOwn = path.includes("custom")
      ? ["grant_type", "client_id", "client_secret"].includes(name)
      : ownParameters.has(name)
    if (!isOwn) continue
    report(
      path,
      `the parameter \`${name}\`, which another setting stands for`,
      "each parameter from one setting",
      name === "scope" ? "Use `scopes`." : `Use the setting that is made for it (\`${name}\`, or the one of the grant).`
    )
  }
  for (const name of Object.keys(token_request.params)) {
    if (!inGrant.includes(name)) continue
    report(
      ["auth", "token_request", "params", name],
      `the parameter \`${name}\`, which \`custom\` also sets`,
      "each parameter from one setting",
      "Remove one of them."
    )
  }
  for (const name of Object.keys(token_request.headers)) {
    if (!ownHeaders.has(name.toLowerCase())) continue
    report(
      ["auth", "token_request", "headers", name],
      `the header ${name}, which the request sets itself`,
      "another header",
      name.toLowerCase() === "authorization" ? "Use `client_auth`." : "Remove it."
    )
  }
  for (const name of ["iss", "sub", "aud", "exp", "iat", "jti"]) {
    if (assertion?.claims[name] === undefined) continue
    report(
      ["auth", "assertion", "claims", name],
      `the claim \`${name}\`, which another setting stands for`,
      "each claim from one setting",
      "Use issuer, subject, audience or lifetime."
    )
  }
  if (assertion !== undefined && Duration.isGreaterThan(assertion.lifetime, Duration.hours(1))) {
    report(
      ["auth", "assertion", "lifetime"],
      "an assertion that is valid for more than an hour",
      "at most 1 hour",
      "Write a shorter time; each token request makes a new one."
    )
  }
}

/** Settings of the grants that a person gives. */
const consentsOwn = (auth: OAuth2, report: Report) => {
  const { login, oauth2 } = auth
  const address = oauth2 === "device_code" ? "device_authorization_url" : "authorization_url"
  if (
    isConsentGrant(oauth2) &&
    auth.provider === undefined &&
    auth.issuer === undefined &&
    auth[address] === undefined
  ) {
    report(
      ["auth"],
      `neither issuer nor ${address} with the grant ${oauth2}`,
      "where a person is asked for consent",
      `Add \`issuer\` if the server can be discovered, else \`${address}\`.`
    )
  }
  for (const name of [
    "authorization_url",
    "redirect_uri",
    "authorization_params",
    "device_authorization_url"
  ] as const) {
    // A person without a browser may give the code grant by device, too.
    const isOwn = name === "device_authorization_url" ? isConsentGrant(oauth2) : oauth2 === "authorization_code"
    if (auth[name] === undefined || isOwn) continue
    report(
      ["auth", name],
      `\`${name}\` with the grant ${oauth2}`,
      `\`${name}\` only with the grant ${name === "device_authorization_url" ? "device_code or " : ""}authorization_code`,
      "Remove it."
    )
  }
  for (const name of Object.keys(auth.authorization_params ?? {})) {
    if (!requestParameters.has(name)) continue
    report(
      ["auth", "authorization_params", name],
      `the parameter \`${name}\`, which the request sets itself`,
      "another parameter",
      name === "scope" ? "Use `scopes`." : "Remove it."
    )
  }
  if (login !== undefined && login.exchange === undefined && auth.token_url !== undefined) {
    report(
      ["auth", "token_url"],
      "`token_url` with a login whose session token is the access token",
      "no token endpoint, which nobody would ask",
      "Remove it, or add `login.exchange`."
    )
  }
}

/** Checks the header that access tokens go into. */
const tokenHeader = ({ dpop, header, prefix }: OAuth2, report: Report) => {
  if (dpop !== undefined) {
    for (const name of ["header", "prefix"] as const) {
      if ((name === "header" ? header : prefix) === undefined) continue
      report(
        ["auth", name],
        `\`${name}\` together with \`dpop\``,
        "tokens that are bound to a key in the Authorization header, with the scheme DPoP (RFC 9449, section 7.1)",
        `Remove \`${name}\`, or \`dpop\` if the API does not ask for proofs.`
      )
    }
  }
  if (header === undefined || header.toLowerCase() === "authorization" || !ownHeaders.has(header.toLowerCase())) return
  report(
    ["auth", "header"],
    `the header ${header}, which each request sets itself`,
    "a header that takes the token",
    "Name the one that the API's documentation names."
  )
}

/**
 * Checks of an authorization what no single setting can tell. What depends on how the client authenticates is left to whoever
 * knows the provider's profile, where that decides it; that one gives `client_auth`.
 */
export const checkOAuth2 = (auth: OAuth2, report: Report): void => {
  const { provider } = auth
  if (provider === undefined && Object.keys(auth.params).length > 0) {
    report(
      ["auth", "params"],
      "`params` without `provider`",
      "both, or none",
      "Name the provider whose addresses need them. Parameters of token requests belong under `token_request.params`."
    )
  }
  const isLoginOnly = auth.oauth2 === "login" && auth.login?.exchange === undefined
  if (provider === undefined && auth.issuer === undefined && auth.token_url === undefined && !isLoginOnly) {
    report(
      ["auth"],
      "neither issuer nor token_url",
      "one of them",
      "Add `issuer` if the server can be discovered, else `token_url`; or `provider`, if there is a profile of it."
    )
  }
  if (auth.issuer !== undefined && auth.token_url !== undefined) {
    report(
      ["auth", "token_url"],
      "issuer and token_url together",
      "one of them",
      "Keep `issuer` if the server can be discovered, else `token_url`."
    )
  }
  grantsOwn(auth, report)
  consentsOwn(auth, report)
  const clientAuth = auth.client_auth ?? (provider === undefined ? "basic" : undefined)
  if (clientAuth !== undefined && !isLoginOnly) clientsOwn(auth, clientAuth, report)
  requestsOwn(auth, report)
  tokenHeader(auth, report)
}

/** Headers that access tokens and their proofs go into, in lower case. */
export const tokenHeaders = ({ dpop, header }: OAuth2): ReadonlyArray<string> => [
  (header ?? "authorization").toLowerCase(),
  ...(dpop === undefined ? [] : ["dpop"])
]

/** Headers that credentials as they are set, in lower case. */
export const plainHeaders = (auth: PlainAuth): ReadonlyArray<string> => {
  if ("headers" in auth) return Object.keys(auth.headers).map((name) => name.toLowerCase())
  if (!("api_key" in auth)) return ["authorization"]
  return auth.query === undefined ? [(auth.header ?? "x-api-key").toLowerCase()] : []
}

/** Checks of credentials as they are what no single setting can tell. */
export const checkPlainAuth = (
  auth: PlainAuth,
  streams: Readonly<Record<string, { readonly query: Readonly<Record<string, unknown>> }>>,
  report: Report
): void => {
  if (!("api_key" in auth) || auth.query === undefined) return
  if (auth.header !== undefined || auth.prefix !== undefined) {
    const other = auth.header === undefined ? "prefix" : "header"
    report(
      ["auth", other],
      `\`${other}\` and \`query\` together`,
      "the key in one place",
      "Remove one of them; a prefix belongs to a header."
    )
  }
  for (const [name, { query }] of Object.entries(streams)) {
    if (query[auth.query] === undefined) continue
    report(
      ["streams", name, "query", auth.query],
      `the query parameter \`${auth.query}\`, which \`auth.query\` also sets`,
      "each parameter from one setting",
      "Remove it from `query`."
    )
  }
}
