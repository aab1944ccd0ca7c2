import { Schema } from "effect"
import { consentGrants, consentSettings, Login } from "./Consent.ts"
import { Quirks, TokenLifecycle } from "./ProviderSettings.ts"
import { fallback, optional, required } from "./Setting.ts"
import { Address, HeaderName, HeaderValue, PositiveDuration, SecretReference, Template, Text } from "./SettingType.ts"

const ParameterName = Text.annotate({ title: "parameter", expected: "the name of a parameter" })
const Parameters = Schema.Record(ParameterName, Template).annotate({ expected: "parameters by name" })

/** Algorithms of signatures (RFC 7518, RFC 8037, RFC 9864). */
const Algorithm = Schema.Literals([
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519"
])

const algorithm = Algorithm.pipe(
  optional("Algorithm of the signature. Default: RS256 for an RSA key, else the one that the key's curve has.", "PS256")
)

/** A secret, or the new one and the old one while it is being replaced. */
const ClientSecret = Schema.Union([
  SecretReference,
  Schema.Array(SecretReference)
    .check(Schema.isMinLength(1), Schema.isUnique())
    .annotate({ title: "list of secret references", expected: "a list of one or two references, none twice" })
]).annotate({ identifier: "ClientSecret", expected: "a reference to the secret, or a list of the new and the old one" })

/** How a client proves who it is at the token endpoint. */
const ClientAuth = Schema.Literals([
  "basic",
  "basic_raw",
  "post",
  "client_secret_jwt",
  "private_key_jwt",
  "tls_client_auth",
  "self_signed_tls_client_auth",
  "none"
])

const ClientKey = Schema.Struct({
  key: SecretReference.pipe(
    required(
      "Reference to the private key: PEM, a JSON Web Key, or a Google service account's key file.",
      "${file:./client-key.pem}"
    )
  ),
  key_id: Template.pipe(optional("Value of `kid` in the assertion. Default: the one that the key has.", "2026-01")),
  algorithm,
  audience: Template.pipe(
    optional(
      "Audience of the assertion. Default: the issuer, if it was discovered, else the token endpoint.",
      "https://id.shop.example"
    )
  ),
  certificate: SecretReference.pipe(
    optional(
      "Reference to the key's certificate, for servers that want its thumbprint in the assertion (`x5t#S256`).",
      "${file:./client.crt}"
    )
  )
}).annotate({ identifier: "ClientKey" })

const Tls = Schema.Struct({
  certificate: SecretReference.pipe(
    optional("Reference to the client's certificate, with its chain (PEM).", "${file:./client.crt}")
  ),
  key: SecretReference.pipe(optional("Reference to the certificate's private key (PEM).", "${file:./client.key}")),
  ca: SecretReference.pipe(
    optional(
      "Reference to the authorities (PEM) that the server's certificate is checked against, in place of the well-known ones.",
      "${file:./ca.crt}"
    )
  )
}).annotate({ identifier: "Tls" })

const Dpop = Schema.Struct({
  key: SecretReference.pipe(
    required("Reference to the private key that tokens are bound to: PEM or a JSON Web Key.", "${file:./dpop-key.pem}")
  ),
  algorithm
}).annotate({ identifier: "Dpop" })

const Assertion = Schema.Struct({
  key: SecretReference.pipe(
    required(
      "Reference to the private key: PEM, a JSON Web Key, or a Google service account's key file.",
      "${file:./service-account.json}"
    )
  ),
  key_id: Template.pipe(optional("Value of `kid` in the assertion. Default: the one that the key has.", "2026-01")),
  algorithm,
  issuer: Template.pipe(
    optional(
      "Claim `iss`. Default: the service account's address, else client_id.",
      "loader@shop.iam.gserviceaccount.com"
    )
  ),
  subject: Template.pipe(
    optional("Claim `sub`: for whom. Default: the issuer of the assertion.", "admin@shop.example")
  ),
  audience: Template.pipe(optional("Claim `aud`. Default: the token endpoint.", "https://login.salesforce.com")),
  lifetime: PositiveDuration.pipe(fallback("5 minutes", "How long the assertion is valid; an hour is the most.")),
  claims: Parameters.pipe(
    fallback({}, "Claims beside these, such as the scope where the server looks for it in the assertion.", {
      scope: "https://www.googleapis.com/auth/analytics.readonly"
    })
  )
}).annotate({ identifier: "Assertion" })

const tokenType = (what: string) =>
  Text.pipe(fallback("access_token", `Type of ${what}: a URN, or the last part of one that RFC 8693 registers.`, "jwt"))

const Exchange = Schema.Struct({
  subject_token: SecretReference.pipe(
    required("Reference to the token that is exchanged; it is read again for each request.", "${file:./subject-token}")
  ),
  subject_token_type: tokenType("the token"),
  actor_token: SecretReference.pipe(
    optional("Reference to the token of who acts for the subject.", "${file:./actor-token}")
  ),
  actor_token_type: tokenType("the actor's token"),
  requested_token_type: Text.pipe(optional("Type of the token that is asked for.", "access_token"))
}).annotate({ identifier: "Exchange" })

const Custom = Schema.Struct({
  grant_type: Text.pipe(required("Value of `grant_type`.", "account_credentials")),
  params: Parameters.pipe(
    fallback({}, "Parameters of the grant; those that are secret must refer to their value.", {
      account_id: "${env:ZOOM_ACCOUNT}"
    })
  )
}).annotate({ identifier: "Custom" })

const TokenRequest = Schema.Struct({
  params: Parameters.pipe(fallback({}, "Parameters added to each token request.", { tenant: "shop" })),
  headers: Schema.Record(HeaderName, HeaderValue)
    .annotate({ expected: "headers by name" })
    .pipe(fallback({}, "Headers added to each token request.", { "x-tenant": "shop" }))
}).annotate({ identifier: "TokenRequest" })

/** Name of an authorization that connectors share; it also names its tokens in the vault. */
const AuthorizationName = Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9_-]{0,63}$/u)).annotate({
  title: "name",
  expected: "a small letter, then small letters, digits, - and _"
})

const TokenPrefix = Schema.String.check(Schema.isPattern(/^[\x21-\x7e]*$/u)).annotate({
  title: "text without spaces",
  expected: "visible characters without spaces, or an empty text"
})

const nothingMore = { params: {}, headers: {} } as const

/** How tokens are obtained (RFC 6749) and what they are bound to. */
export const OAuth2 = Schema.Struct({
  oauth2: Schema.Literals([
    "client_credentials",
    "refresh_token",
    "jwt_bearer",
    "token_exchange",
    "custom",
    "login",
    ...consentGrants
  ]).pipe(
    required("Grant type by which tokens are obtained (RFC 6749, RFC 7523, RFC 8628, RFC 8693).", "client_credentials")
  ),
  provider: Text.pipe(
    optional(
      "Name of a provider whose profile says the rest: endpoints, how the client authenticates, what its answers and its tokens are like. What is written here goes before it. docs/reference/providers.md lists them.",
      "xero"
    )
  ),
  params: Schema.Record(ParameterName, Template)
    .annotate({ expected: "parameters by name" })
    .pipe(fallback({}, "What the provider's addresses need, by name.", { subdomain: "acme" })),
  authorization: AuthorizationName.pipe(
    optional(
      "Name under which several connectors share one authorization: they use the same tokens, and one refresh serves all. Their `auth` has to be the same. Default: the connector's own.",
      "shop-login"
    )
  ),
  issuer: Address.pipe(
    optional(
      "Issuer of the authorization server; its endpoints are then discovered (RFC 8414, OIDC).",
      "https://id.shop.example"
    )
  ),
  token_url: Address.pipe(
    optional("Token endpoint, for servers that cannot be discovered.", "https://id.shop.example/oauth/token")
  ),
  refresh_url: Address.pipe(
    optional("Where tokens are refreshed, for servers that do that elsewhere.", "https://id.shop.example/oauth/refresh")
  ),
  revocation_url: Address.pipe(
    optional(
      "Revocation endpoint (RFC 7009), for servers that cannot be discovered.",
      "https://id.shop.example/oauth/revoke"
    )
  ),
  introspection_url: Address.pipe(
    optional(
      "Introspection endpoint (RFC 7662), for servers that cannot be discovered.",
      "https://id.shop.example/oauth/introspect"
    )
  ),
  client_id: Template.pipe(optional("Identifier of the client, or a reference to it.", "${env:SHOP_ID}")),
  client_secret: ClientSecret.pipe(
    optional(
      "Reference to the client's secret. Two in a list while it is being replaced: when the server refuses the one, the other is tried.",
      "${env:SHOP_SECRET}"
    )
  ),
  client_auth: ClientAuth.pipe(
    optional(
      "How the client authenticates: secret in the HTTP Basic header (form-encoded as RFC 6749, section 2.3.1 says, or raw) or in the form, assertion signed with the secret or with client_key (RFC 7523), certificate of `tls` (RFC 8705), or not at all. Default: what the provider's profile says, else basic.",
      "basic"
    )
  ),
  client_key: ClientKey.pipe(optional("Key that signs the client's assertions.")),
  tls: Tls.pipe(optional("Connections to the authorization server: the client's certificate, and whom to trust.")),
  proxy: Template.pipe(
    optional(
      "Address of the proxy (http://, https:// or socks5://) that requests to the authorization server go through, or `none`. Default: what HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment say. `http.proxy` is for requests to the API only.",
      "http://proxy.example:3128"
    )
  ),
  header: HeaderName.pipe(
    optional("Header that takes the access token. Default: Authorization.", "x-amz-access-token")
  ),
  prefix: TokenPrefix.pipe(
    optional(
      "What stands before the token in the header, with a space between; an empty text: nothing. Default: in Authorization the type of the token (`Bearer`), in another header nothing.",
      "Zoho-oauthtoken"
    )
  ),
  dpop: Dpop.pipe(optional("Binds tokens to a key, so that a stolen token is of no use (DPoP, RFC 9449).")),
  refresh_token: SecretReference.pipe(
    optional(
      "Reference to the first refresh token; the tokens that replace it are kept in the vault.",
      "${file:./refresh-token}"
    )
  ),
  assertion: Assertion.pipe(optional("The assertion of the grant jwt_bearer (RFC 7523).")),
  exchange: Exchange.pipe(optional("What the grant token_exchange exchanges (RFC 8693).")),
  custom: Custom.pipe(optional("The grant of a vendor's own.")),
  login: Login.pipe(optional("The login of the grant login, which yields a session token.")),
  ...consentSettings,
  scopes: Schema.Array(Template).pipe(fallback([], "Scopes to ask for.", ["orders.read"])),
  audience: Template.pipe(
    optional("Value of the `audience` parameter, where the server wants one.", "https://api.shop.example")
  ),
  resource: Template.pipe(optional("Resource indicator (RFC 8707).", "https://api.shop.example")),
  token_request: TokenRequest.pipe(fallback(nothingMore, "What the server wants beside the standard.")),
  quirks: Quirks.pipe(optional("What the server's answers do that cannot be seen from them.")),
  lifecycle: TokenLifecycle.pipe(
    optional("How the server's tokens live and die; decides what is done when an answer was lost, and when to refresh.")
  )
}).annotate({ identifier: "OAuth2" })
export type OAuth2 = typeof OAuth2.Type
