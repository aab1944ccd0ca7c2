import { Budgets, Secrets } from "@tributary/vault"
import { Clock, Duration, Effect, Metric, Option, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import { clean } from "./clean.ts"
import { defectProblem } from "./defectProblem.ts"
import type { GrantRequest } from "./Grant.ts"
import { isAcceptable, misconfigured, secretOf, type Settings } from "./Settings.ts"
import { TokenError } from "./TokenError.ts"
import { tokenRequests } from "./tokenRequests.ts"
import type { Authorization } from "./TokenManager.ts"
import { normalise, type Refusal, retryAfter, type TokenBody, type WireResponse } from "./TokenResponse.ts"
import { maxAnswerBytes, TokenTransport, type TransportError, type WireRequest } from "./TokenTransport.ts"

/** Encodes a value as application/x-www-form-urlencoded does, which leaves letters, digits and `*-._` as they are. */
const formEncoded = (value: string): string => new URLSearchParams({ v: value }).toString().slice(2)

/**
 * HTTP Basic with form-encoded credentials (RFC 6749, section 2.3.1). The library's own also encodes `-`, `.` and `_`, which a
 * server that compares the header as it comes does not recognise; most secrets have one of them.
 */
const basicAuthentication =
  (secret: string): oauth.ClientAuth =>
  (_as, client, _body, headers) => {
    const credentials = `${formEncoded(client.client_id)}:${formEncoded(secret)}`
    headers.set("authorization", `Basic ${Buffer.from(credentials).toString("base64")}`)
  }

/** A refused or failed request. `isUncertain`: the server may have carried it out, and its answer was lost. */
export interface ExchangeFailure {
  readonly error: TokenError
  readonly isUncertain: boolean
}

/** The token endpoint of one authorization. */
export interface TokenEndpoint {
  /**
   * Sends one token request, once, if it may be sent (`TokenTransport`) when everything is ready for it. The answer is redacted
   * because spans keep the values that their effects end with.
   */
  readonly exchange: (
    request: GrantRequest,
    mayBeSent?: Effect.Effect<boolean>
  ) => Effect.Effect<Redacted.Redacted<TokenBody>, ExchangeFailure>
}

/** Limits of requests to authorization servers. */
export interface EndpointLimits {
  /** Longest time for one request, the answer included. */
  readonly timeout: Duration.Duration
  /** Permits plain HTTP to other hosts than this one. */
  readonly allowHttp: boolean
}

/** A pause of the endpoint is waited for so long; a longer one is told. It is more than Redis may take to answer or not. */
const patience = Duration.seconds(5)
/** Longest pause that one answer of the server brings about, in milliseconds. */
const longestPause = 3_600_000

/** How long metadata of a server is used before it is read again. */
const metadataLife = 3_600_000

/** Names the budget of a token endpoint: apart from that of an API at the same host, whose limits are its own. */
const budgetOf = ({ host, pathname }: URL): string => `token ${host}${pathname}`

/** The part of a fetch function that oauth4webapi uses. */
type CustomFetch = (
  url: string,
  options: { readonly method: string; readonly headers: Record<string, string>; readonly body?: unknown }
) => Promise<Response>

const describe = (error: TransportError): readonly [TokenError["failureClass"], string, string] => {
  switch (error.reason) {
    case "timeout":
      return ["transient", `no answer in time (${error.code}).`, "It is tried again; check the server and the network."]
    case "certificate":
      return [
        "misconfigured",
        `its certificate is not trusted (${error.code}).`,
        "Correct the address, or add the authority by NODE_EXTRA_CA_CERTS."
      ]
    case "too-large":
      return [
        "misconfigured",
        `an answer of more than ${maxAnswerBytes} bytes (status ${error.code}).`,
        "Check token_url (or issuer): this does not look like a token endpoint."
      ]
    case "withdrawn":
      return [
        "transient",
        "nothing was sent, because the lease of this process on the authorization was running out.",
        "It is tried again; if this stays, check whether Redis answers in time."
      ]
    case "unreachable":
      return [
        "transient",
        `it cannot be reached (${error.code}).`,
        "It is tried again; check the address and the network."
      ]
  }
}

/** Makes the endpoint of an authorization. Discovery happens with the first request, not before. */
export const makeTokenEndpoint = Effect.fnUntraced(function* (
  authorization: Authorization,
  settings: Settings,
  limits: EndpointLimits
) {
  const secrets = yield* Secrets
  const transport = yield* TokenTransport
  const budgets = yield* Budgets
  const { id, oauth2 } = authorization
  const client: oauth.Client = { client_id: settings.clientId }
  let discovered: { readonly server: oauth.AuthorizationServer; readonly at: number } | undefined

  const failure = (endpoint: URL, parts: Pick<TokenError, "failureClass" | "problem" | "advice">, wait?: number) =>
    new TokenError({ authorization: id, endpoint: endpoint.host, retryAfter: wait, ...parts })

  const send = (endpoint: URL, request: WireRequest): Effect.Effect<WireResponse, ExchangeFailure> =>
    transport.send(request).pipe(
      Effect.mapError((error): ExchangeFailure => {
        const [failureClass, problem, advice] = describe(error)
        return { error: failure(endpoint, { failureClass, problem, advice }), isUncertain: error.isUncertain }
      }),
      Effect.timeoutOrElse({
        duration: limits.timeout,
        orElse: () =>
          Effect.fail<ExchangeFailure>({
            error: failure(endpoint, {
              failureClass: "transient",
              problem: `no answer within ${Duration.toSeconds(limits.timeout)} seconds.`,
              advice: "It is tried again; check the server and the network."
            }),
            isUncertain: true
          })
      })
    )

  /**
   * The request that oauth4webapi would send. The library builds requests and judges answers; what goes over the wire
   * stays an effect that can be timed and interrupted.
   */
  const capture = (build: (options: { [oauth.customFetch]: CustomFetch }) => Promise<unknown>, endpoint: URL) =>
    Effect.tryPromise({
      try: async () => {
        let captured: WireRequest | undefined
        await build({
          [oauth.customFetch]: async (url, { body, headers, method }) => {
            captured = {
              method: method === "POST" ? "POST" : "GET",
              url,
              contents: Redacted.make({ headers, body: body instanceof URLSearchParams ? body.toString() : undefined })
            }
            return new Response()
          }
        })
        if (captured === undefined) throw new TypeError("No request was built.")
        return captured
      },
      catch: (error) =>
        failure(endpoint, {
          failureClass: "misconfigured",
          problem: `no request can be made (${error instanceof Error && "code" in error ? String(error.code) : "unknown"}).`,
          advice: "Check the settings of `auth`."
        })
    })

  const readMetadata = Effect.fnUntraced(function* (issuer: URL, algorithm: "oidc" | "oauth2") {
    const request = yield* capture(
      (options) => oauth.discoveryRequest(issuer, { algorithm, [oauth.allowInsecureRequests]: true, ...options }),
      issuer
    )
    const answer = yield* Effect.mapError(send(issuer, request), ({ error }) => error)
    if (answer.status === 429 || answer.status >= 500) {
      const now = yield* Clock.currentTimeMillis
      return yield* failure(
        issuer,
        {
          failureClass: answer.status === 429 ? "throttled" : "transient",
          problem: `the server answered ${answer.status} when asked for its metadata.`,
          advice: "It is tried again."
        },
        retryAfter(answer.headers["retry-after"], now)
      )
    }
    if (answer.status !== 200) return undefined
    const response = new Response(answer.body, { headers: { "content-type": "application/json" } })
    return yield* Effect.tryPromise({
      try: () => oauth.processDiscoveryResponse(issuer, response),
      catch: (error) => {
        const isOther = error instanceof Error && "code" in error && error.code === oauth.JSON_ATTRIBUTE_COMPARISON
        const problem = isOther ? "its metadata names another issuer." : "its metadata is not what RFC 8414 prescribes."
        return failure(issuer, {
          failureClass: "misconfigured",
          problem,
          advice: "Write `issuer` exactly as the metadata names it, or give token_url instead."
        })
      }
    })
  })

  const server = Effect.fnUntraced(function* () {
    if (settings.tokenUrl !== undefined) {
      return {
        issuer: settings.tokenUrl.origin,
        token_endpoint: settings.tokenUrl.href
      } satisfies oauth.AuthorizationServer
    }
    if (settings.issuer === undefined)
      return yield* misconfigured(id, "no issuer is given.", "Give issuer or token_url.")
    const now = yield* Clock.currentTimeMillis
    if (discovered !== undefined && now - discovered.at < metadataLife) return discovered.server
    const found = (yield* readMetadata(settings.issuer, "oidc")) ?? (yield* readMetadata(settings.issuer, "oauth2"))
    if (found?.token_endpoint === undefined || !URL.canParse(found.token_endpoint)) {
      return yield* failure(settings.issuer, {
        failureClass: "misconfigured",
        problem:
          found === undefined
            ? "there is no metadata under /.well-known/openid-configuration or /.well-known/oauth-authorization-server."
            : "its metadata names no token endpoint.",
        advice: "Check issuer, or give token_url instead."
      })
    }
    if (!isAcceptable(new URL(found.token_endpoint), limits.allowHttp)) {
      return yield* failure(settings.issuer, {
        failureClass: "misconfigured",
        problem: "its metadata names a token endpoint without https.",
        advice: "Let the server publish an https address, or set TRIBUTARY_OAUTH_ALLOW_HTTP=true."
      })
    }
    discovered = { server: found, at: now }
    return found
  })

  const refusalToFailure = (endpoint: URL, refusal: Refusal, known: ReadonlyArray<string>): ExchangeFailure => ({
    error: failure(
      endpoint,
      { failureClass: refusal.failureClass, problem: clean(refusal.problem, known), advice: refusal.advice },
      refusal.retryAfter
    ),
    isUncertain: refusal.isUncertain
  })

  const certain = Effect.mapError((error: TokenError): ExchangeFailure => ({ error, isUncertain: false }))

  const perform = Effect.fnUntraced(function* (
    as: oauth.AuthorizationServer,
    endpoint: URL,
    wire: WireRequest,
    grantType: string,
    known: ReadonlyArray<string>
  ) {
    const answer = yield* send(endpoint, wire)
    const normalised = normalise(answer, grantType, yield* Clock.currentTimeMillis)
    if (normalised._tag === "Refusal") {
      // A server that moved is found again.
      if (normalised.failureClass === "misconfigured") discovered = undefined
      return yield* Effect.fail(refusalToFailure(endpoint, normalised, known))
    }
    // The strict library has the last word on what was made of the answer.
    const response = new Response(JSON.stringify(normalised.body), { headers: { "content-type": "application/json" } })
    yield* Effect.tryPromise({
      try: () => oauth.processGenericTokenEndpointResponse(as, client, response),
      catch: (error): ExchangeFailure => ({
        error: failure(endpoint, {
          failureClass: "misconfigured",
          problem: `the answer breaks RFC 6749 (${error instanceof Error && "code" in error ? String(error.code) : "unknown"}).`,
          advice: "Check token_url (or issuer)."
        }),
        isUncertain: false
      })
    })
    return Redacted.make(normalised.body)
  })

  /** Waits while the endpoint asked for a pause, whichever process it told that. */
  const inTime = Effect.fnUntraced(function* (endpoint: URL) {
    const isFree = yield* Effect.timeoutOption(budgets.take(budgetOf(endpoint), undefined), patience)
    if (Option.isSome(isFree)) return
    return yield* failure(endpoint, {
      failureClass: "throttled",
      problem: "it asked to be spared, here or in another process, and the time it named is not over.",
      advice: "It is tried again. If this stays, ask for fewer tokens: share one authorization among connectors."
    })
  })
  const paused = (endpoint: URL, { failureClass, retryAfter }: TokenError) =>
    failureClass === "throttled" && retryAfter !== undefined
      ? budgets.pause(budgetOf(endpoint), Duration.millis(Math.min(retryAfter, longestPause)))
      : Effect.void

  const count = (outcome: string) =>
    Metric.update(Metric.withAttributes(tokenRequests, { authorization: id, outcome }), 1)

  const exchange = Effect.fn("TokenEndpoint.exchange")(function* (
    request: GrantRequest,
    mayBeSent?: Effect.Effect<boolean>
  ) {
    yield* Effect.annotateCurrentSpan({ authorization: id, grant: request.grantType })
    const as = yield* certain(server())
    const secret = Redacted.value(yield* certain(secretOf(secrets, authorization, oauth2.client_secret)))
    const endpoint = new URL(as.token_endpoint ?? as.issuer)
    const parameters = Redacted.value(request.parameters)
    const authenticate = settings.clientAuth === "basic" ? basicAuthentication(secret) : oauth.ClientSecretPost(secret)
    const wire = yield* certain(
      capture(
        (options) =>
          oauth.genericTokenEndpointRequest(
            as,
            client,
            authenticate,
            request.grantType,
            { ...parameters },
            // Which addresses may be http is decided in Settings.
            { [oauth.allowInsecureRequests]: true, ...options }
          ),
        endpoint
      )
    )
    const known = [secret, `${settings.clientId}:${secret}`, parameters["refresh_token"] ?? ""]
    yield* certain(inTime(endpoint))
    const asked = mayBeSent === undefined ? wire : { ...wire, mayBeSent }
    return yield* perform(as, endpoint, asked, request.grantType, known).pipe(
      // Caught inside of the span, which would record the defect as it is.
      Effect.catchDefect((defect) =>
        Effect.fail<ExchangeFailure>({
          error: failure(endpoint, {
            failureClass: "defect",
            problem: defectProblem(defect),
            advice: "Please report it."
          }),
          isUncertain: true
        })
      ),
      Effect.tap(() => count("granted")),
      Effect.tapError(({ error }) => Effect.andThen(paused(endpoint, error), count(error.failureClass)))
    )
  })

  return { exchange } satisfies TokenEndpoint
})
