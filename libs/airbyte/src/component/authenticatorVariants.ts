import { Component } from "./Component.ts"
import type { Expressions } from "./Expressions.ts"
import { failure } from "./RunError.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"

/** What a well-known class says in components that are there; the config is only read to choose between them. */
type Equivalent = (data: PlainDict, expressions: Expressions) => PlainDict

const own = (data: PlainDict, name: string): Value | undefined => (Object.hasOwn(data, name) ? data[name] : undefined)

const oauth = (data: PlainDict, more: PlainDict): PlainDict => {
  const { class_name: _, type: __, ...rest } = data
  return { ...rest, type: "OAuthAuthenticator", ...more }
}

const bearer: PlainDict = { type: "Bearer" }
const asHeader = (name: string): PlainDict => ({ type: "RequestOption", inject_into: "header", field_name: name })

/** A login whose answer has the token. */
const session = (
  data: PlainDict,
  login: PlainDict,
  path: ReadonlyArray<Value>,
  life: Value,
  use: PlainDict
): PlainDict => ({
  type: "SessionTokenAuthenticator",
  login_requester: {
    type: "HttpRequester",
    http_method: "POST",
    $parameters: own(data, "$parameters") ?? {},
    ...login
  },
  session_token_path: [...path],
  expiration_duration: life,
  request_authentication: use,
  $parameters: own(data, "$parameters") ?? {}
})

/** The first of the class's own authenticators whose condition on the config holds. */
const chosen =
  (...choices: ReadonlyArray<readonly [setting: string, condition: string]>): Equivalent =>
  (data, expressions) => {
    for (const [setting, condition] of choices) {
      if (!expressions.condition(condition, {})) continue
      const found = own(data, setting)
      if (found !== undefined && isPlainDict(found)) return found
    }
    throw failure(`None of the authenticators of ${String(data["class_name"])} fits the config.`, "config_error")
  }

const basicPair: Equivalent = (data) => {
  const { class_name: _, ...rest } = data
  return { ...rest, type: "BasicHttpAuthenticator" }
}

/** By class, those with a name of their own; `{ class: full name }` where others use the same name for something else. */
const equivalents: { readonly [name: string]: Equivalent } = {
  // The client's credentials as a Basic header on the request for a token.
  PayPalOauth2Authenticator: (data) => oauth(data, { client_authentication: "basic" }),
  CommerceToolsOauth2Authenticator: (data) =>
    oauth(data, {
      client_id: "{{ config['client_id'] }}",
      client_secret: "{{ config['client_secret'] }}",
      client_authentication: "basic",
      grant_type: "client_credentials",
      token_refresh_endpoint: "https://auth.{{ config['region'] }}.{{ config['host'] }}.commercetools.com/oauth/token",
      send_refresh_request_as_query_params: true,
      refresh_request_body: { scope: "manage_project:{{ config['project_key'] }}" }
    }),
  // A grant of the vendor's own.
  ServerToServerOauthAuthenticator: (data) =>
    oauth(data, {
      token_refresh_endpoint: own(data, "authorization_endpoint") ?? "",
      grant_type: "account_credentials",
      client_authentication: "basic",
      send_refresh_request_as_query_params: true,
      refresh_request_headers: { "Content-type": "application/json" },
      refresh_request_body: { account_id: own(data, "account_id") ?? "" },
      request_headers: { "Content-type": "application/json" }
    }),
  // Another scheme before the token.
  "source_okta.components.CustomBearerAuthenticator": (data) => ({
    type: "ApiKeyAuthenticator",
    api_token: "SSWS {{ config['credentials']['api_token'] }}",
    inject_into: asHeader("Authorization"),
    $parameters: own(data, "$parameters") ?? {}
  }),
  "source_okta.components.CustomOauth2Authenticator": (data) =>
    oauth(data, { client_authentication: "basic", access_token_header: { name: "Authorization", prefix: "SSWS" } }),
  // A signed assertion in place of the client's secret (RFC 7523).
  CustomOauth2PrivateKeyAuthenticator: (data) =>
    oauth(data, {
      client_id: "{{ config['credentials']['client_id'] }}",
      grant_type: "client_credentials",
      client_authentication: "private_key_jwt",
      token_refresh_endpoint: "https://{{ config['sub_domain'] }}.{{ config['domain'] }}/oauth2/v1/token",
      refresh_request_body: { scope: "{{ config['credentials']['scope'] }}" },
      client_assertion: {
        type: "JwtAuthenticator",
        is_client_assertion: true,
        algorithm: "RS256",
        secret_key: "{{ config['credentials']['private_key'] }}",
        token_duration: 3600,
        jwt_headers: { kid: "{{ config['credentials']['key_id'] }}" },
        jwt_payload: {
          iss: "{{ config['credentials']['client_id'] }}",
          sub: "{{ config['credentials']['client_id'] }}",
          aud: "https://{{ config['sub_domain'] }}.{{ config['domain'] }}/oauth2/v1/token"
        },
        additional_jwt_payload: { jti: "{{ generate_uuid() }}" }
      }
    }),
  // The token in a header of the vendor's own, with the time beside it.
  AmazonSPOauthAuthenticator: (data) =>
    oauth(data, {
      access_token_header: { name: "x-amz-access-token", prefix: "" },
      refresh_request_headers: { "Content-Type": "application/x-www-form-urlencoded" },
      request_headers: { "x-amz-date": "{{ now_utc().strftime('%Y%m%dT%H%M%SZ') }}", "user-agent": "python-requests" }
    }),
  // Refresh tokens that are good for one use.
  SingleUseOauth2Authenticator: (data) =>
    oauth(data, {
      token_refresh_endpoint: own(data, "token_refresh_endpoint") ?? "https://accounts.salesloft.com/oauth/token",
      refresh_token_updater: { refresh_token_name: "refresh_token" }
    }),
  // Logins with JSON, a form, or a GET.
  ShortLivedTokenAuthenticator: (data) =>
    session(
      data,
      {
        url: own(data, "url") ?? "",
        http_method: "GET",
        authenticator: {
          type: "BasicHttpAuthenticator",
          username: own(data, "client_id") ?? "",
          password: own(data, "secret_key") ?? ""
        }
      },
      [own(data, "token_key") ?? "access_token"],
      own(data, "lifetime") ?? "PT3600S",
      bearer
    ),
  LookerAuthenticator: (data) =>
    session(
      data,
      {
        url: "https://{{ config['domain'] }}/api/4.0/login",
        request_body_data: { client_id: "{{ config['client_id'] }}", client_secret: "{{ config['client_secret'] }}" }
      },
      ["access_token"],
      "PT1H",
      { type: "ApiKey", api_token: "token {{ session_token }}", inject_into: asHeader("Authorization") }
    ),
  CustomYouniumAuthenticator: (data) =>
    session(
      data,
      {
        url: "https://younium-identity-server{{ '-sandbox' if config.get('playground') else '' }}.azurewebsites.net/connect/token",
        request_body_data: Object.fromEntries(
          ["username", "password", "legal_entity", "grant_type", "client_id", "scope"].map((name) => [
            name,
            own(data, name) ?? ""
          ])
        )
      },
      ["access_token"],
      "P1D",
      bearer
    ),
  // A choice between authenticators that the manifest has.
  AuthenticatorRetently: chosen(["api_auth", "{{ config['credentials']['api_key'] }}"], ["oauth", "{{ True }}"]),
  TypeformAuthenticator: chosen(
    ["token_auth", "{{ config['credentials']['auth_type'] == 'access_token' }}"],
    ["oauth2", "{{ True }}"]
  ),
  AuthenticatorZendeskSunshine: chosen(
    [
      "basic_auth",
      "{{ (config['credentials'].get('auth_type') or config['credentials'].get('auth_method', '')) == 'api_token' }}"
    ],
    [
      "oauth2_refresh",
      "{{ (config['credentials'].get('auth_type') or config['credentials'].get('auth_method', '')) == 'oauth2_refresh' }}"
    ],
    ["oauth2", "{{ True }}"]
  ),
  ZendeskTalkAuthenticator: chosen(
    ["legacy_basic_auth", "{{ config.get('access_token') and config.get('email') }}"],
    ["basic_auth", "{{ config.get('credentials', {}).get('auth_type') == 'api_token' }}"],
    ["oauth", "{{ config.get('credentials', {}).get('auth_type') == 'oauth2.0' }}"]
  ),
  CustomAuthenticator: basicPair
}

/** Settings that tell a class with a common name from others of that name. */
const needed: { readonly [name: string]: ReadonlyArray<string> } = { CustomAuthenticator: ["username", "password"] }

const equivalentFor = (data: PlainDict): Equivalent | undefined => {
  const full = own(data, "class_name")
  if (typeof full !== "string") return undefined
  const name = full.slice(full.lastIndexOf(".") + 1)
  if (Object.hasOwn(equivalents, full)) return equivalents[full]
  if (!Object.hasOwn(equivalents, name) || !(needed[name] ?? []).every((setting) => Object.hasOwn(data, setting))) {
    return undefined
  }
  return equivalents[name]
}

/** Whether an authenticator in Python is one of the well-known ones that settings can say. */
export const hasEquivalent = (data: PlainDict): boolean => equivalentFor(data) !== undefined

/** A well-known authenticator in Python as components that are there; any other component as it is. */
export const withEquivalent = (component: Component, expressions: Expressions): Component => {
  const equivalent = equivalentFor(component.data)
  return equivalent === undefined
    ? component
    : withEquivalent(new Component(equivalent(component.data, expressions), component.path), expressions)
}
