import type { OAuth2 } from "@tributary/domain"
import { Secrets, type SecretError } from "@tributary/secrets"
import { Effect, Redacted } from "effect"
import { fingerprint } from "./fingerprint.ts"
import { grantTypeOf } from "./grantType.ts"
import { applyProfile, noProfile, type ProviderSettings } from "./profile/applyProfile.ts"
import { ownLifecycle, ownQuirks } from "./profile/ownSettings.ts"
import type { ProfileError } from "./profile/ProfileError.ts"
import { Profiles } from "./profile/Profiles.ts"
import type { ResponseQuirks } from "./response/Answer.ts"
import { TokenError } from "./TokenError.ts"
import type { Authorization } from "./TokenManager.ts"

/**
 * The settings of an authorization with their references replaced and the provider's profile applied; secrets are read at each
 * request, see `secretOf`.
 */
export interface Settings extends Omit<ProviderSettings, "grant" | "response" | "tokenParams"> {
  readonly grant: OAuth2["oauth2"]
  /** Empty: the client has none. */
  readonly clientId: string
  /** As they are configured. */
  readonly scopes: ReadonlyArray<string>
  readonly quirks: ResponseQuirks
  /** Tells access tokens of other settings apart. */
  readonly fingerprint: string
  /** Tells apart those who may not share an authorization: they ask for other tokens, or refresh them in another way. */
  readonly sharing: string
}

/** A failure of the configuration, before anything was asked. */
export const misconfigured = (authorization: string, problem: string, advice: string): TokenError =>
  new TokenError({
    authorization,
    endpoint: undefined,
    failureClass: "misconfigured",
    problem,
    advice,
    retryAfter: undefined
  })

/** A reference that cannot be resolved. A store of secrets that is away makes a failure that may pass. */
export const fromSecretError = (authorization: string) => (error: SecretError) =>
  new TokenError({
    authorization,
    endpoint: undefined,
    failureClass: error.failureClass,
    problem: error.message,
    advice: "",
    retryAfter: undefined
  })

/** Reads a secret anew, so that a rotated one is used without a restart. */
export const secretOf = (
  secrets: Secrets["Service"],
  { base, id }: Pick<Authorization, "base" | "id">,
  reference: string
): Effect.Effect<Redacted.Redacted<string>, TokenError> =>
  Effect.mapError(secrets.secret(reference, base), fromSecretError(id))

const isLoopback = (host: string) => host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host)

/** Where a login goes whose session token is the access token: no other endpoint is asked. */
const loginUrl = ({ login, oauth2 }: OAuth2) =>
  oauth2 === "login" && login?.exchange === undefined ? login?.url : undefined

/** What else tells tokens apart: for whom an assertion speaks, what a grant asks for, and the key that tokens are bound to. */
const further = Effect.fnUntraced(function* (authorization: Authorization) {
  const { assertion, custom, dpop, exchange, login, token_request } = authorization.oauth2
  const { headers, params } = token_request
  const parts = [
    assertion === undefined ? undefined : { ...assertion, key: undefined, key_id: undefined, lifetime: undefined },
    exchange,
    custom,
    login,
    Object.keys(params).length + Object.keys(headers).length === 0 ? undefined : token_request
  ]
  const written = parts.map((part) => (part === undefined ? undefined : JSON.stringify(part)))
  const secrets = yield* Secrets
  const bound = dpop === undefined ? undefined : yield* secretOf(secrets, authorization, dpop.key)
  return [...written, bound === undefined ? undefined : fingerprint(Redacted.value(bound))]
})

/** Grants whose requests spend a refresh token. */
const spending: ReadonlySet<OAuth2["oauth2"]> = new Set(["refresh_token", "authorization_code", "device_code"])

/**
 * What the client proves itself with: a secret that is wrong by now must not go unnoticed for as long as a token is valid. Not where
 * a new token costs a refresh token: workers that know different secrets, while one is being replaced, use each other's tokens.
 */
const credentials = Effect.fnUntraced(function* (authorization: Authorization) {
  const { client_key, client_secret, oauth2 } = authorization.oauth2
  if (spending.has(oauth2)) return []
  const secrets = yield* Secrets
  // One that cannot be read is complained of when it is sent.
  const readable = (reference: string | undefined) =>
    reference === undefined
      ? Effect.undefined
      : Effect.orElseSucceed(secretOf(secrets, authorization, reference), () => undefined)
  const found = yield* Effect.forEach([client_secret, client_key?.key].flat(), readable)
  return found.map((one) => (one === undefined ? undefined : fingerprint(Redacted.value(one))))
})

/** Nothing where nothing of it is set. */
const orNothing = (parts: ReadonlyArray<string | undefined>) => (parts.every((part) => part === undefined) ? [] : parts)

/** Reads and checks what an authorization says; asks nobody. `allowHttp` permits plain HTTP to other hosts than this one. */
export const settingsOf = Effect.fnUntraced(function* (authorization: Authorization, allowHttp: boolean) {
  const { base, id, oauth2 } = authorization
  const secrets = yield* Secrets
  const text = (value: string | undefined) =>
    value === undefined ? Effect.undefined : Effect.mapError(secrets.text(value, base), fromSecretError(id))

  const url = Effect.fnUntraced(function* (name: string, value: string | undefined) {
    const resolved = yield* text(value)
    if (resolved === undefined) return undefined
    const parsed = URL.canParse(resolved) ? new URL(resolved) : undefined
    if (parsed === undefined || (parsed.protocol !== "https:" && parsed.protocol !== "http:")) {
      return yield* misconfigured(id, `${name} is not an address.`, "Write it in full, with https://.")
    }
    if (parsed.username !== "" || parsed.password !== "") {
      return yield* misconfigured(id, `${name} holds a user or password.`, "Use client_id and client_secret.")
    }
    if (parsed.protocol === "http:" && !allowHttp && !isLoopback(parsed.hostname)) {
      return yield* misconfigured(
        id,
        `${name} is plain http (${parsed.host}), which would send the client's secret in clear.`,
        "Use https, or set TRIBUTARY_OAUTH_ALLOW_HTTP=true inside a network that you trust."
      )
    }
    return parsed
  })

  const issuer = yield* url("issuer", oauth2.issuer)
  const tokenUrl = yield* url("token_url", oauth2.token_url ?? loginUrl(oauth2))
  const refreshUrl = yield* url("refresh_url", oauth2.refresh_url)
  const revocationUrl = yield* url("revocation_url", oauth2.revocation_url)
  const introspectionUrl = yield* url("introspection_url", oauth2.introspection_url)
  if (oauth2.provider === undefined && issuer === undefined && tokenUrl === undefined) {
    return yield* misconfigured(id, "neither issuer nor token_url is given.", "Give one of them.")
  }
  if (oauth2.oauth2 === "refresh_token" && oauth2.refresh_token === undefined) {
    return yield* misconfigured(
      id,
      "the grant refresh_token needs a first token.",
      "Give `refresh_token`, a reference such as ${file:./refresh-token}."
    )
  }
  const clientId = (yield* text(oauth2.client_id)) ?? ""
  const scopes = yield* Effect.forEach(oauth2.scopes, text)
  const audience = yield* text(oauth2.audience)
  const resource = yield* text(oauth2.resource)
  const params: Record<string, string> = {}
  for (const [name, value] of Object.entries(oauth2.params)) params[name] = (yield* text(value)) ?? ""

  const fromProfile = (error: ProfileError) => misconfigured(id, error.message, "")
  const grant = grantTypeOf(oauth2)
  const profile =
    oauth2.provider === undefined
      ? noProfile(grant)
      : yield* Effect.mapError((yield* Profiles).get(oauth2.provider), fromProfile)
  const applied = yield* Effect.mapError(
    Effect.fromResult(
      applyProfile(profile, {
        params,
        grant,
        ...(issuer === undefined ? {} : { issuer: issuer.href }),
        ...(tokenUrl === undefined ? {} : { token_url: tokenUrl.href }),
        ...(refreshUrl === undefined ? {} : { refresh_url: refreshUrl.href }),
        ...(revocationUrl === undefined ? {} : { revocation_url: revocationUrl.href }),
        ...(introspectionUrl === undefined ? {} : { introspection_url: introspectionUrl.href }),
        ...(oauth2.client_auth === undefined ? {} : { client_auth: oauth2.client_auth }),
        scopes: scopes.filter((scope) => scope !== undefined),
        ...(audience === undefined ? {} : { audience }),
        ...(resource === undefined ? {} : { resource }),
        quirks: ownQuirks(oauth2.quirks),
        lifecycle: { ...ownLifecycle(oauth2.lifecycle), ...authorization.lifecycle }
      })
    ),
    fromProfile
  )
  const { response, tokenParams, ...rest } = applied
  const request = [
    oauth2.oauth2,
    applied.issuer?.href,
    applied.tokenUrl?.href,
    clientId,
    applied.scope,
    applied.audience,
    applied.resource
  ]
  const more = yield* further(authorization)
  // Which of its accounts a provider is asked for may stand in no address.
  const account = Object.keys(tokenParams).length === 0 ? [] : [JSON.stringify(tokenParams)]
  return {
    ...rest,
    grant: oauth2.oauth2,
    clientId,
    scopes: scopes.filter((scope) => scope !== undefined),
    quirks: response,
    fingerprint: fingerprint(...request, ...orNothing([...more, ...(yield* credentials(authorization))]), ...account),
    sharing: fingerprint(
      ...request,
      ...more,
      ...account,
      applied.provider,
      applied.refreshUrl?.href,
      applied.clientAuth,
      JSON.stringify(Object.entries(applied.lifecycle).toSorted(([one], [other]) => (one < other ? -1 : 1)))
    )
  } satisfies Settings
})

/** Whether an endpoint that was discovered may be sent secrets. */
export const isAcceptable = (endpoint: URL, allowHttp: boolean): boolean =>
  endpoint.protocol === "https:" || (endpoint.protocol === "http:" && (allowHttp || isLoopback(endpoint.hostname)))
