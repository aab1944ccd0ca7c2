import type { Secrets } from "@tributary/secrets"
import { AuditTrail } from "@tributary/telemetry"
import { Clock, Config, Duration, Effect, Option, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import { clean } from "./clean.ts"
import { inProvidersForm } from "./requestForm.ts"
import { asResponse } from "./response/asResponse.ts"
import { makeServerLink, type RequestOptions } from "./ServerLink.ts"
import { isAcceptable, settingsOf } from "./Settings.ts"
import { clientCodes } from "./TokenEndpoint.ts"
import type { TokenError } from "./TokenError.ts"
import type { Authorization } from "./TokenManager.ts"
import { retryAfter, type WireResponse } from "./TokenResponse.ts"
import type { TokenTransport } from "./TokenTransport.ts"

/** What a server says of a token (RFC 7662, section 2.2). */
export interface Introspection {
  readonly isActive: boolean
  readonly scopes: ReadonlyArray<string>
  readonly clientId: string | undefined
  readonly subject: string | undefined
  readonly audience: ReadonlyArray<string>
  /** Milliseconds since 1970. */
  readonly expiresAt: number | undefined
  /** Thumbprint of the certificate or of the key that the token is bound to (RFC 8705, RFC 9449). */
  readonly boundTo: string | undefined
}

/** An authorization request that was deposited at the server (RFC 9126, section 2.2). */
export interface PushedRequest {
  /** Takes the place of the parameters in the address that the person opens. */
  readonly requestUri: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** What an API says of itself (RFC 9728, section 2). */
export interface ProtectedResource {
  /** The value of `resource` that tokens for it are asked for with. */
  readonly resource: string
  /** Issuers of the servers whose tokens it takes. */
  readonly issuers: ReadonlyArray<string>
  readonly scopes: ReadonlyArray<string>
  readonly needsDpop: boolean
  readonly needsCertificate: boolean
}

export type TokenHint = "access_token" | "refresh_token"

/** A call that failed. `isFinal`: the server does not offer it, or refuses what was asked for whoever asks: it would again. */
export interface CallFailure {
  readonly error: TokenError
  readonly isFinal: boolean
}

/** Requests to an authorization server beside those for tokens. None of them is repeated here. */
export interface ServerCalls {
  /** The server's metadata (RFC 8414, OIDC), checked to be that of the issuer; without `issuer` what the settings say. */
  readonly metadata: Effect.Effect<oauth.AuthorizationServer, TokenError>
  readonly introspect: (token: Redacted.Redacted<string>, hint?: TokenHint) => Effect.Effect<Introspection, TokenError>
  /** Ends the life of a token, and for a refresh token of all that came from it (RFC 7009). A token that is dead already is no error. */
  readonly revoke: (token: Redacted.Redacted<string>, hint?: TokenHint) => Effect.Effect<void, TokenError>
  /** The same, and tells whether it is worth repeating where it failed. */
  readonly tryRevoke: (token: Redacted.Redacted<string>, hint?: TokenHint) => Effect.Effect<void, CallFailure>
  /** Deposits the parameters of an authorization request, so that they do not stand in an address (RFC 9126). */
  readonly push: (parameters: Readonly<Record<string, string>>) => Effect.Effect<PushedRequest, TokenError>
  /** The metadata of an API, checked to be that of this address; sends no credentials. */
  readonly protectedResource: (resource: URL) => Effect.Effect<ProtectedResource, TokenError>
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown"

/** Whether the server refuses what was asked, and not the client (RFC 6749, section 5.2; RFC 7009, section 2.2.1). */
const refusesRequest = (error: unknown): boolean =>
  error instanceof oauth.ResponseBodyError &&
  error.status !== 401 &&
  error.status !== 403 &&
  !clientCodes.has(error.error)

/** What the server said of a failure, before it is cleaned. */
const said = (error: unknown): string => {
  if (error instanceof oauth.ResponseBodyError) {
    const { error_description } = error
    return error_description === undefined ? error.error : `${error.error} "${error_description}"`
  }
  return codeOf(error)
}

const hinted = (hint: TokenHint | undefined) =>
  hint === undefined ? {} : { additionalParameters: { token_type_hint: hint } }

/** Makes the calls of an authorization. Asks nobody; fails when the settings are wrong. */
export const makeServerCalls = Effect.fnUntraced(function* (
  authorization: Authorization
): Effect.fn.Return<ServerCalls, TokenError | Config.ConfigError, Secrets | TokenTransport> {
  const limits = yield* Config.all({
    timeout: Config.Duration("TRIBUTARY_OAUTH_TIMEOUT").pipe(Config.withDefault(Duration.seconds(20))),
    allowHttp: Config.Boolean("TRIBUTARY_OAUTH_ALLOW_HTTP").pipe(Config.withDefault(false))
  })
  const settings = yield* settingsOf(authorization, limits.allowHttp)
  const link = yield* makeServerLink(authorization, settings, limits)
  const trail = Option.getOrUndefined(yield* Effect.serviceOption(AuditTrail))

  const passing = Effect.mapError((error: TokenError): CallFailure => ({ error, isFinal: false }))
  const plainly = Effect.mapError(({ error }: CallFailure) => error)

  const call = Effect.fnUntraced(function* <A>(
    what: "introspection" | "revocation" | "pushed_authorization_request",
    secret: string,
    build: (
      as: oauth.AuthorizationServer,
      authenticate: oauth.ClientAuth,
      options: RequestOptions
    ) => Promise<Response>,
    read: (as: oauth.AuthorizationServer, response: Response) => Promise<A>
  ) {
    const as: oauth.AuthorizationServer =
      what === "pushed_authorization_request" ? (yield* passing(link.described())).as : yield* passing(link.server())
    const name = `${what}_endpoint` as const
    const isOffered = (as[name] ?? as.mtls_endpoint_aliases?.[name]) !== undefined
    const endpoint = yield* Effect.mapError(link.endpointOf(as, name), (error): CallFailure => ({
      error,
      isFinal: !isOffered
    }))
    const ask = Effect.fnUntraced(function* (reference: string | undefined) {
      const { authenticate, secrets } = yield* link.authentication(as, reference)
      const form = yield* link.capture((options) => build(as, authenticate, options), endpoint)
      const { body = "" } = Redacted.value(form.contents)
      const wire = inProvidersForm(settings, form)
      const answer: WireResponse = yield* Effect.mapError(link.send(endpoint, wire), ({ error }) => error)
      return { answer, known: [...secrets, secret, new URLSearchParams(body).get("client_assertion") ?? ""] }
    })
    const [reference, other] = link.secretsToTry()
    const first = yield* passing(ask(reference))
    const second = first.answer.status === 401 && other !== undefined ? yield* passing(ask(other)) : first
    if (second !== first && second.answer.status !== 401) link.prefer(other)
    const { answer, known } = second
    const now = yield* Clock.currentTimeMillis
    if (answer.status === 429 || answer.status >= 500) {
      const error = link.failure(
        endpoint,
        {
          failureClass: answer.status === 429 ? "throttled" : "transient",
          problem: `the server answered ${answer.status}.`,
          advice: "Try again later."
        },
        retryAfter(answer.headers["retry-after"], now)
      )
      return yield* passing(error)
    }
    return yield* Effect.tryPromise({
      try: () => read(as, asResponse(answer)),
      catch: (error): CallFailure => ({
        error: link.failure(endpoint, {
          failureClass: "misconfigured",
          problem: clean(`the server answered ${answer.status} ${said(error)}.`, known),
          advice:
            error instanceof oauth.ResponseBodyError && !refusesRequest(error)
              ? "Check client_id, client_secret (or the client's key or certificate) and `client_auth`."
              : `Check the client's settings, and whether the server lets this client use ${what.replaceAll("_", " ")}.`
        }),
        isFinal: refusesRequest(error)
      })
    })
  })

  const tryRevoke = Effect.fn("ServerCalls.revoke")(function* (token: Redacted.Redacted<string>, hint?: TokenHint) {
    const value = Redacted.value(token)
    yield* call(
      "revocation",
      value,
      (as, authenticate, options) =>
        oauth.revocationRequest(as, link.client, authenticate, value, { ...options, ...hinted(hint) }),
      async (_as, response) => {
        await oauth.processRevocationResponse(response)
      }
    )
    if (trail === undefined) return
    yield* trail.record({
      authorization: authorization.id,
      connectors: [],
      what: "revoked",
      outcome: "ok",
      ...(hint === undefined ? {} : { detail: hint.replace("_", " ") })
    })
  })

  return {
    metadata: link.server(),
    introspect: Effect.fn("ServerCalls.introspect")(function* (token, hint) {
      const value = Redacted.value(token)
      const found = yield* call(
        "introspection",
        value,
        (as, authenticate, options) =>
          oauth.introspectionRequest(as, link.client, authenticate, value, { ...options, ...hinted(hint) }),
        (as, response) => oauth.processIntrospectionResponse(as, link.client, response)
      ).pipe(plainly)
      const { active, aud, client_id, cnf, exp, scope, sub } = found
      return {
        isActive: active,
        scopes: (scope ?? "").split(" ").filter((word) => word !== ""),
        clientId: client_id,
        subject: sub,
        audience: aud === undefined ? [] : typeof aud === "string" ? [aud] : aud,
        expiresAt: exp === undefined ? undefined : exp * 1000,
        boundTo: cnf?.["x5t#S256"] ?? cnf?.jkt
      }
    }),
    revoke: (token, hint) => plainly(tryRevoke(token, hint)),
    tryRevoke,
    push: Effect.fn("ServerCalls.push")(function* (parameters) {
      const { expires_in, request_uri } = yield* call(
        "pushed_authorization_request",
        "",
        (as, authenticate, options) =>
          oauth.pushedAuthorizationRequest(as, link.client, authenticate, { ...parameters }, options),
        (as, response) => oauth.processPushedAuthorizationResponse(as, link.client, response)
      ).pipe(plainly)
      const now = yield* Clock.currentTimeMillis
      return { requestUri: request_uri, expiresAt: now + expires_in * 1000 }
    }),
    protectedResource: Effect.fn("ServerCalls.protectedResource")(function* (resource) {
      const wrong = (problem: string) =>
        link.failure(resource, {
          failureClass: "misconfigured",
          problem,
          advice: "Check the address; the API may publish no metadata (RFC 9728)."
        })
      if (!isAcceptable(resource, limits.allowHttp)) return yield* wrong("its address is not https.")
      const wire = yield* link.capture((options) => oauth.resourceDiscoveryRequest(resource, options), resource)
      const answer = yield* Effect.mapError(link.send(resource, wire), ({ error }) => error)
      if (answer.status !== 200) return yield* wrong(`it answered ${answer.status} when asked for its metadata.`)
      const response = new Response(answer.body, { headers: { "content-type": "application/json" } })
      const found = yield* Effect.tryPromise({
        try: () => oauth.processResourceDiscoveryResponse(resource, response),
        catch: (error) =>
          wrong(
            codeOf(error) === oauth.JSON_ATTRIBUTE_COMPARISON
              ? "its metadata names another resource."
              : "its metadata is not what RFC 9728 prescribes."
          )
      })
      return {
        resource: found.resource,
        issuers: found.authorization_servers ?? [],
        scopes: found.scopes_supported ?? [],
        needsDpop: found.dpop_bound_access_tokens_required === true,
        needsCertificate: found.tls_client_certificate_bound_access_tokens === true
      }
    })
  }
})
