import { isConsentGrant } from "@tributary/domain"
import { Secrets } from "@tributary/secrets"
import { Budgets } from "@tributary/vault"
import { Clock, Duration, Effect, Option, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import { clean } from "./clean.ts"
import { consentAdvice } from "./consent/consentedGrant.ts"
import { fingerprint } from "./fingerprint.ts"
import { defectProblem } from "./defectProblem.ts"
import { asSent, formatRate } from "./EndpointRate.ts"
import type { GrantRequest } from "./Grant.ts"
import { inProvidersForm } from "./requestForm.ts"
import { type EndpointLimits, type ExchangeFailure, makeServerLink } from "./ServerLink.ts"
import type { Settings } from "./Settings.ts"
import type { TokenError } from "./TokenError.ts"
import type { Authorization } from "./TokenManager.ts"
import { normalise, type Refusal, type TokenBody, type WireResponse } from "./TokenResponse.ts"
import type { WireRequest } from "./TokenTransport.ts"

export type { EndpointLimits, ExchangeFailure } from "./ServerLink.ts"

/** The token endpoint of one authorization. */
export interface TokenEndpoint {
  /**
   * Sends one token request, once, if it may be sent (`TokenTransport`) when everything is ready for it. The answer is redacted
   * because spans keep the values that their effects end with. `askedAt` is when the request left at the earliest, in
   * milliseconds since 1970: after it had waited for the endpoint's budget.
   */
  readonly exchange: (
    request: GrantRequest,
    mayBeSent?: Effect.Effect<boolean>
  ) => Effect.Effect<{ readonly body: Redacted.Redacted<TokenBody>; readonly askedAt: number }, ExchangeFailure>
}

/** A pause of the endpoint is waited for so long; a longer one is told. It is more than Redis may take to answer or not. */
const patience = Duration.seconds(5)
/** Longest pause that one answer of the server brings about, in milliseconds. */
const longestPause = 3_600_000

/** Names the budget of a token endpoint: apart from that of an API at the same host, whose limits are its own. */
const budgetOf = ({ host, pathname }: URL): string => `token ${host}${pathname}`

/** What to do when the server refuses the client or the grant, where that is not the client's secret. */
const adviceFor = ({ clientAuth, grant }: Settings, code: string | undefined): string | undefined => {
  if (code === "invalid_client") {
    switch (clientAuth) {
      case "client_secret_jwt":
        return "Check client_id and client_secret, that the server lets this client sign with it (client_secret_jwt), and the clocks."
      case "private_key_jwt":
        return "Check client_id and client_key (key, key_id, algorithm, audience), that the server knows its public key, and the clocks."
      case "tls_client_auth":
      case "self_signed_tls_client_auth":
        return "Check client_id, and that the server knows the certificate of auth.tls."
      case "none":
        return "Check client_id, and whether the server wants this client to authenticate (`client_auth`)."
      default:
        return undefined
    }
  }
  if (code !== "invalid_grant") return undefined
  switch (grant) {
    case "jwt_bearer":
      return "Check `assertion` (key, issuer, subject, audience, claims), that the server knows its public key, and the clocks."
    case "token_exchange":
      return "Check `exchange`: the token may have expired, or be for another server."
    case "custom":
      return "Check `custom.params`."
    default:
      return undefined
  }
}

/** Codes by which servers refuse a client and not what it asks for; many send them without the status 401. */
export const clientCodes: ReadonlySet<string> = new Set([
  "invalid_client",
  "invalid_client_id",
  "invalid_client_secret",
  "incorrect_client_credentials",
  "bad_client_secret",
  "unauthorized_client"
])

/** A request, and what no message may repeat of it. */
interface Built {
  readonly wire: WireRequest
  readonly known: ReadonlyArray<string>
}

/** What a body says, as far as it is JSON. */
const field = (body: string, name: string): unknown => {
  const parsed = Option.liftThrowable((text: string): unknown => JSON.parse(text))(body)
  if (Option.isNone(parsed) || typeof parsed.value !== "object" || parsed.value === null) return undefined
  return Reflect.get(parsed.value, name)
}

/** The server refuses a proof for want of its nonce (RFC 9449, section 8), and so has carried out nothing. */
const wantsNonce = ({ body, headers, status }: WireResponse): boolean =>
  status >= 400 && status < 500 && headers["dpop-nonce"] !== undefined && field(body, "error") === "use_dpop_nonce"

/** The server does not take the client for who it says it is, and so has carried out nothing (RFC 6749, section 5.2). */
const refusesClient = ({ body, status }: WireResponse): boolean =>
  status >= 400 && status < 500 && field(body, "error") === "invalid_client"

/** Makes the endpoint of an authorization. Discovery happens with the first request, not before. */
export const makeTokenEndpoint = Effect.fnUntraced(function* (
  authorization: Authorization,
  settings: Settings,
  limits: EndpointLimits
) {
  const budgets = yield* Budgets
  const secrets = yield* Secrets
  const link = yield* makeServerLink(authorization, settings, limits)
  const { client, failure, prover } = link
  const { id, oauth2 } = authorization

  const refusalToFailure = (
    endpoint: URL,
    refusal: Refusal,
    status: number,
    known: ReadonlyArray<string>
  ): ExchangeFailure => ({
    error: failure(
      endpoint,
      {
        failureClass: refusal.failureClass,
        problem: clean(refusal.problem, known),
        advice:
          (refusal.failureClass === "misconfigured" ? adviceFor(settings, refusal.code) : undefined) ??
          (refusal.failureClass === "needs-consent" && isConsentGrant(settings.grant)
            ? consentAdvice(id)
            : refusal.advice)
      },
      refusal.retryAfter
    ),
    isUncertain: refusal.isUncertain,
    isClientRefused:
      refusal.failureClass === "misconfigured" && (status === 401 || clientCodes.has(refusal.code ?? "")),
    code: refusal.code
  })

  const certain = Effect.mapError((error: TokenError): ExchangeFailure => ({ error, isUncertain: false }))

  /** A request with a proof and an assertion of its own, and what no message may repeat of it. */
  const build = Effect.fnUntraced(function* (
    request: GrantRequest,
    as: oauth.AuthorizationServer,
    endpoint: URL,
    reference: string | undefined
  ) {
    const { authenticate, secrets } = yield* link.authentication(as, reference)
    const late = request.late === undefined ? {} : Redacted.value(yield* request.late(link.namesOf(as)))
    const parameters = { ...Redacted.value(request.parameters), ...late }
    const { DPoP } = yield* prover.options
    const headers = new Headers({ ...Redacted.value(request.headers) })
    const to = { ...as, token_endpoint: endpoint.href }
    const form = yield* link.capture(
      (options) =>
        oauth.genericTokenEndpointRequest(to, client, authenticate, request.grantType, parameters, {
          ...options,
          headers,
          ...(DPoP === undefined ? {} : { DPoP })
        }),
      endpoint
    )
    const { body = "" } = Redacted.value(form.contents)
    const sent = new URLSearchParams(body)
    const known = [
      ...secrets,
      ...["refresh_token", "client_assertion", "assertion", "subject_token", "actor_token"].map(
        (name) => sent.get(name) ?? ""
      ),
      ...Redacted.value(request.secrets)
    ]
    return { wire: inProvidersForm(settings, form), known }
  })

  const judge = Effect.fnUntraced(function* (
    as: oauth.AuthorizationServer,
    endpoint: URL,
    answer: WireResponse,
    grantType: string,
    known: ReadonlyArray<string>
  ) {
    const isBound = oauth2.dpop !== undefined
    const normalised = normalise(answer, grantType, yield* Clock.currentTimeMillis, {
      ...settings.quirks,
      ...(isBound ? { is_bearer: true } : {})
    })
    if (normalised._tag === "Refusal") {
      if (normalised.failureClass === "misconfigured") link.forget()
      return yield* Effect.fail(refusalToFailure(endpoint, normalised, answer.status, known))
    }
    if (isBound && !/^dpop$/iu.test(String(field(answer.body, "token_type")))) {
      return yield* Effect.fail<ExchangeFailure>({
        error: failure(endpoint, {
          failureClass: "misconfigured",
          problem: "the server issued a token that is not bound to the key of `dpop`; it was not used.",
          advice: "Let the server bind tokens of this client (DPoP), or remove `dpop`."
        }),
        isUncertain: true
      })
    }
    // The strict library has the last word on what was made of the answer; ID tokens are judged where one is asked for.
    const { id_token: _unused, ...plain } = normalised.body
    const response = new Response(JSON.stringify(plain), { headers: { "content-type": "application/json" } })
    yield* Effect.tryPromise({
      try: () => oauth.processGenericTokenEndpointResponse(as, client, response),
      catch: (error): ExchangeFailure => ({
        error: failure(endpoint, {
          failureClass: "misconfigured",
          problem: `the answer breaks RFC 6749 (${error instanceof Error && "code" in error ? String(error.code) : "unknown"}).`,
          advice: "Check token_url (or issuer)."
        }),
        // Tokens were issued, whatever is wrong with them.
        isUncertain: true
      })
    })
    return Redacted.make(normalised.body)
  })

  /** Whether a secret of this client was replaced where it is kept since it was read. */
  const isReplaced = Effect.map(secrets.renew(JSON.stringify(oauth2)), (renewal) => renewal === "changed")

  /** Sends a request, and once more with the nonce that the server wants in its proof, or with a secret that was replaced. */
  const perform = Effect.fnUntraced(function* (
    request: GrantRequest,
    as: oauth.AuthorizationServer,
    endpoint: URL,
    reference: string | undefined,
    first: Built,
    mayBeSent: Effect.Effect<boolean> | undefined
  ) {
    const send = ({ wire }: Built) => link.send(endpoint, mayBeSent === undefined ? wire : { ...wire, mayBeSent })
    const answer = yield* send(first)
    yield* prover.learn(endpoint, answer.headers)
    const isWorthAnother =
      (oauth2.dpop !== undefined && wantsNonce(answer)) || (refusesClient(answer) && (yield* isReplaced))
    if (!isWorthAnother) {
      return yield* judge(as, endpoint, answer, request.grantType, first.known)
    }
    const second = yield* certain(build(request, as, endpoint, reference))
    yield* certain(inTime(endpoint))
    const last = yield* send(second)
    yield* prover.learn(endpoint, last.headers)
    return yield* judge(as, endpoint, last, request.grantType, second.known)
  })

  const rate = limits.rate === undefined ? undefined : asSent(limits.rate)

  /**
   * Sends a request, and where the server refuses the client and there are two secrets, once more with the other one: nothing was
   * carried out. The one that was taken is the first from then on.
   */
  const performWithSecrets = Effect.fnUntraced(function* (
    request: GrantRequest,
    as: oauth.AuthorizationServer,
    endpoint: URL,
    [reference, other]: ReturnType<typeof link.secretsToTry>,
    first: Built,
    mayBeSent: Effect.Effect<boolean> | undefined
  ) {
    const withFirst = perform(request, as, endpoint, reference, first, mayBeSent)
    if (other === undefined) return yield* withFirst
    return yield* Effect.catchIf(
      withFirst,
      ({ isClientRefused }) => isClientRefused === true,
      (refused) =>
        certain(build(request, as, endpoint, other)).pipe(
          // A secret that cannot be read is no help; that the first one was refused says more.
          Effect.mapError(() => refused),
          Effect.flatMap((built) => perform(request, as, endpoint, other, built, mayBeSent)),
          Effect.tap(() => Effect.sync(() => link.prefer(other))),
          Effect.tapError((error) =>
            // A server that judges the grant has taken the client.
            Effect.sync(() => error.error.failureClass === "needs-consent" && link.prefer(other))
          ),
          Effect.mapError((error) => (error.isClientRefused === true ? refused : error))
        )
    )
  })

  /** The provider's own limit, as far as its profile knows it, and whose requests count against it. */
  const limitOf = (endpoint: URL) => {
    const limit = settings.lifecycle.token_requests
    if (limit === undefined) return undefined
    const whose = {
      address: [],
      client: [`client ${fingerprint(settings.clientId)}`],
      user: [`of ${id}`],
      refresh_token: [`of ${id}`]
    }[limit.by]
    return {
      key: [budgetOf(endpoint), ...whose].join(" "),
      rate: { requests: limit.requests, per: Duration.seconds(limit.per) }
    }
  }

  /** Waits for the endpoint's budget, while it asked for a pause, whichever process it told that, and for a place in the provider's limit. */
  const inTime = Effect.fnUntraced(function* (endpoint: URL) {
    const isFree = yield* Effect.timeoutOption(budgets.take(budgetOf(endpoint), rate), patience)
    if (Option.isNone(isFree) && limits.rate !== undefined) {
      return yield* failure(endpoint, {
        failureClass: "throttled",
        problem: `its budget of ${formatRate(limits.rate)} is used up by other authorizations, or it asked to be spared.`,
        advice: "It is tried again. If this stays, raise TRIBUTARY_OAUTH_RATE as far as the server allows."
      })
    }
    if (Option.isNone(isFree)) {
      return yield* failure(endpoint, {
        failureClass: "throttled",
        problem: "it asked to be spared, here or in another process, and the time it named is not over.",
        advice: "It is tried again. If this stays, ask for fewer tokens: share one authorization among connectors."
      })
    }
    const limit = limitOf(endpoint)
    if (limit === undefined) return
    const place = yield* Effect.timeoutOption(budgets.take(limit.key, asSent(limit.rate)), patience)
    if (Option.isSome(place)) return
    const { per, requests } = limit.rate
    return yield* failure(endpoint, {
      failureClass: "throttled",
      problem: `the provider answers ${requests} token requests in ${Duration.format(per)}, and so many were sent; this one was not.`,
      advice: "It is tried again. If this stays, ask for fewer tokens: share one authorization among connectors."
    })
  })

  /** Where a request goes: some providers refresh elsewhere. */
  const endpointFor = (request: GrantRequest, as: oauth.AuthorizationServer) =>
    request.grantType === "refresh_token" && settings.refreshUrl !== undefined
      ? Effect.succeed(settings.refreshUrl)
      : link.endpointOf(as, "token_endpoint")
  const paused = (endpoint: URL, { failureClass, retryAfter }: TokenError) =>
    failureClass === "throttled" && retryAfter !== undefined
      ? budgets.pause(budgetOf(endpoint), Duration.millis(Math.min(retryAfter, longestPause)))
      : Effect.void

  const exchange = Effect.fn("TokenEndpoint.exchange")(function* (
    request: GrantRequest,
    mayBeSent?: Effect.Effect<boolean>
  ) {
    yield* Effect.annotateCurrentSpan({ authorization: id, grant: request.grantType })
    const as = yield* certain(link.server())
    const endpoint = yield* certain(endpointFor(request, as))
    const references = link.secretsToTry()
    const first = yield* certain(build(request, as, endpoint, references[0]))
    yield* certain(inTime(endpoint))
    const askedAt = yield* Clock.currentTimeMillis
    return yield* performWithSecrets(request, as, endpoint, references, first, mayBeSent).pipe(
      Effect.map((body) => ({ body, askedAt })),
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
      Effect.tapError(({ error }) => paused(endpoint, error)),
      (sent) => limits.watch?.request(sent, ({ error }) => error.failureClass) ?? sent
    )
  })

  return { exchange } satisfies TokenEndpoint
})
