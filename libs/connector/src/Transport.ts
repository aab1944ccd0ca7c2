import type { Http } from "@tributary/domain"
import type { Readable } from "node:stream"
import { Clock, Duration, Effect, Redacted } from "effect"
import type { Authorized } from "./Authorizer.ts"
import type { Budgets } from "./Budgets.ts"
import type { Connections } from "./Connections.ts"
import { acceptEncoding, decode } from "./Decode.ts"
import { exchange, type RawAnswer } from "./Exchange.ts"
import { foundIn, scrub, shownUrl } from "./Found.ts"
import { type OpenAnswer, openExchange } from "./OpenExchange.ts"
import { header, waitAsked } from "./RetryAfter.ts"
import { longestWait } from "./RetrySchedule.ts"
import { encodeBody } from "./RequestBody.ts"
import type { Authenticator, Decision, ErrorHandler, RequestDraft } from "./slots/index.ts"
import {
  Decided,
  Forbidden,
  Redirected,
  Refused,
  ServerError,
  type SourceReason,
  Throttled,
  Unauthorized
} from "./SourceError.ts"

/** An answer of the API that the stream can read. */
export interface Answer {
  readonly status: number
  readonly headers: RawAnswer["headers"]
  /** Without content encodings. Empty where `stream` is. */
  readonly body: Buffer
  /** The body as it comes in, for extractors that read in parts. */
  readonly stream: Readable | undefined
  /** Where the answer came from, after redirects. */
  readonly target: URL
  /** `target` as it may be shown. */
  readonly url: string
  /** Secrets that the request carried, the access token among them: an answer may repeat them. */
  readonly secrets: ReadonlyArray<string>
  /** The stream's error handler says that this is no page at all: no records, and the end of its slice. */
  readonly isIgnored: boolean
}

export interface TransportOptions {
  readonly connections: Connections
  readonly http: typeof Http.Type
  readonly budgets: Budgets["Service"]
  readonly authenticator: Authenticator | undefined
}

/** What is the same for all requests of a walk. */
export interface SendSettings {
  readonly secrets: ReadonlyArray<string>
  /** Query parameters that may be shown. */
  readonly ownParameters: ReadonlySet<string>
  /** Value of the Accept header. */
  readonly accept: string
  /** In place of the connector's. */
  readonly authenticator: Authenticator | undefined
  readonly errorHandler: ErrorHandler | undefined
  /** Bodies of successes are read as they come in. */
  readonly streams: boolean
}

const mostRedirects = 3
const redirects = new Set([301, 302, 303, 307, 308])
/** Of the 5xx these say that the request is wrong, not that the server is in trouble. */
const finalServerErrors = new Set([501, 505, 511])

/** What a WWW-Authenticate header says (RFC 6750, section 3). */
const parameterOf = (challenge: string | undefined, name: string): string | undefined =>
  challenge === undefined ? undefined : new RegExp(`\\b${name}="([^"]*)"`, "iu").exec(challenge)?.[1]

const isRedirect = (status: number): boolean => redirects.has(status)

/** Sends requests of one connector: within the budget, authorized, and every answer that is no success told apart. */
export const makeTransport = ({ authenticator, budgets, connections, http }: TransportOptions) => {
  const rate = http.rate_limit

  /** Where a redirect leads, if it may be followed. */
  const follow = (answer: RawAnswer, target: URL, url: string, hops: number) => {
    const location = header(answer.headers, "location") ?? ""
    const { status } = answer
    if (location === "" || !URL.canParse(location, target.href)) {
      return new Redirected({ url, status, problem: "it redirects, but names no address to go to." })
    }
    const next = new URL(location, target)
    if (next.origin !== target.origin) {
      const problem = `it redirects to ${next.origin}, which was not followed because the credentials would go there. If that is the API, use it in http.base_url.`
      return new Redirected({ url, status, problem })
    }
    return hops < mostRedirects
      ? next
      : new Redirected({ url, status, problem: `it redirects more than ${mostRedirects} times.` })
  }

  /** The reason that an answer which is no success gives. */
  const refusal = (
    answer: RawAnswer,
    url: string,
    secrets: ReadonlyArray<string>,
    now: number,
    authorizer: Authenticator | undefined
  ): SourceReason => {
    const { headers, status } = answer
    const found = foundIn(answer.body, secrets)
    const challenge = header(headers, "www-authenticate")
    const wait = waitAsked(headers, now, status === 403)
    const isRetryAfter = header(headers, "retry-after") !== undefined
    if (
      status === 429 ||
      (status === 503 && isRetryAfter) ||
      (status === 403 && (wait !== undefined || isRetryAfter))
    ) {
      return new Throttled({ url, status, found, retryAfter: wait ?? waitAsked(headers, now, false) })
    }
    const scopes = authorizer?.scopes ?? []
    if (status === 403 || (status === 401 && parameterOf(challenge, "error") === "insufficient_scope")) {
      const needed = parameterOf(challenge, "scope")
      return new Forbidden({
        url,
        status,
        found,
        scopes,
        needed: needed === undefined ? undefined : scrub(needed, secrets)
      })
    }
    if (status === 401) {
      const advice =
        authorizer === undefined
          ? "The connector sends no token; add `auth`, or correct the credentials in http.headers."
          : authorizer.isPlain
            ? "The credentials of `auth` were refused; correct them where they are kept."
            : authorizer.needsPerson
              ? "A new token was refused too. Authorize the connector again, and check that its scopes are those the API wants."
              : "A new token was refused too. Check auth.scopes, audience and resource, and that the token is meant for this API."
      return new Unauthorized({
        url,
        found,
        challenge: challenge === undefined ? undefined : foundIn(Buffer.from(challenge), secrets).replace(/\.$/u, ""),
        advice,
        failureClass: authorizer?.needsPerson === true ? "needs-consent" : "misconfigured"
      })
    }
    if (status === 408 || status === 425 || (status >= 500 && !finalServerErrors.has(status))) {
      return new ServerError({ url, status, found })
    }
    return new Refused({ url, status, found })
  }

  /** What a decision of the stream's error handler comes to; `undefined`: HTTP's meaning stands. */
  const decided = (decision: Decision, answer: Answer): Answer | Decided => {
    const { status, url } = answer
    const said = {
      message: "message" in decision ? `${url} answered ${status}: ${decision.message}` : ""
    }
    switch (decision.action) {
      case "success":
        return answer
      case "ignore":
        return { ...answer, isIgnored: true }
      case "fail":
        return new Decided({
          ...said,
          action: decision.action,
          url,
          status,
          wait: undefined,
          failureClass: decision.failureClass
        })
      case "refresh-token":
      case "restart":
        return new Decided({
          ...said,
          action: decision.action,
          url,
          status,
          wait: undefined,
          failureClass: "misconfigured"
        })
      case "retry":
        return new Decided({
          ...said,
          action: decision.action,
          url,
          status,
          wait: decision.wait,
          failureClass: "transient"
        })
      case "throttle":
        return new Decided({
          ...said,
          action: decision.action,
          url,
          status,
          wait: decision.wait,
          failureClass: "throttled"
        })
    }
  }

  /**
   * Sends one request, follows redirects within the origin, and once tries again with a new token after a 401. Nothing else is
   * tried again here. `failures` counts how often in a row this request has failed before.
   */
  const send = Effect.fn("connector.request")(function* (
    draft: RequestDraft,
    settings: SendSettings,
    failures: number
  ): Effect.fn.Return<Answer, SourceReason> {
    const { errorHandler } = settings
    const authorizer = settings.authenticator ?? authenticator
    const key = rate?.key ?? draft.url.host
    let target = draft.url
    let { method } = draft
    let body = draft.body === undefined ? undefined : encodeBody(draft.body)
    let hops = 0
    let isSecondTry = false
    let hasNonce = false
    for (;;) {
      const url = shownUrl(target, settings.ownParameters)
      yield* budgets.take(key, rate)
      const authorized: Authorized | undefined =
        authorizer === undefined ? undefined : yield* authorizer.authorize(method, target)
      const headers: Record<string, string> = {
        accept: settings.accept,
        "accept-encoding": acceptEncoding,
        ...(body === undefined ? {} : { "content-type": body.contentType }),
        ...draft.headers
      }
      if (authorized !== undefined) Object.assign(headers, Redacted.value(authorized.headers))
      const wire = { method, target, headers, body: body?.bytes }
      const raw: OpenAnswer = settings.streams
        ? yield* openExchange(connections.to(target), wire, http, url)
        : { ...(yield* exchange(connections.to(target), wire, http, url)), stream: undefined }
      const now = yield* Clock.currentTimeMillis
      const secrets =
        authorized === undefined ? settings.secrets : [...settings.secrets, ...Redacted.value(authorized.secrets)]
      const wantsNonce =
        authorized !== undefined &&
        (yield* authorized.answered(raw.status, {
          "dpop-nonce": header(raw.headers, "dpop-nonce"),
          "www-authenticate": header(raw.headers, "www-authenticate")
        }))
      if (wantsNonce && !hasNonce) {
        hasNonce = true
        continue
      }
      const isSuccess = raw.status >= 200 && raw.status < 300
      if (!isSuccess && isRedirect(raw.status)) {
        const next = follow(raw, target, url, hops++)
        if (!(next instanceof URL)) return yield* next
        target = next
        // As fetch does it: only 307 and 308 keep the method (RFC 9110, section 15.4).
        if (method !== "GET" && method !== "HEAD" && raw.status !== 307 && raw.status !== 308) {
          method = "GET"
          body = undefined
        }
        continue
      }
      const encoding = header(raw.headers, "content-encoding")
      const { stream } = raw
      const decoded =
        stream !== undefined
          ? raw.body
          : isSuccess
            ? yield* decode(raw.body, encoding, http.max_page_bytes, url)
            : yield* decode(raw.body, encoding, 1_048_576, url).pipe(Effect.orElseSucceed(() => Buffer.alloc(0)))
      const { status } = raw
      const answer: Answer = {
        status,
        headers: raw.headers,
        body: decoded,
        stream,
        target,
        url,
        secrets,
        isIgnored: false
      }
      const decision =
        errorHandler === undefined || (isSuccess && !errorHandler.seesSuccesses)
          ? undefined
          : yield* decisionOf(errorHandler, answer, failures, now)
      const made = decision === undefined ? undefined : decided(decision, answer)
      if (made === undefined ? isSuccess : !(made instanceof Decided)) {
        const wait = waitAsked(raw.headers, now, true)
        if (wait !== undefined && wait > 0) yield* budgets.pause(key, Duration.millis(Math.min(wait, longestWait)))
        return made instanceof Decided || made === undefined ? answer : made
      }
      const reason = made instanceof Decided ? made : refusal({ ...raw, body: decoded }, url, secrets, now, authorizer)
      const isRefused =
        reason._tag === "Unauthorized" || (reason._tag === "Decided" && reason.action === "refresh-token")
      if (isRefused && authorized !== undefined && !isSecondTry) {
        isSecondTry = true
        yield* authorized.rejected
        continue
      }
      const wait =
        reason._tag === "Throttled"
          ? reason.retryAfter
          : reason._tag === "Decided" && reason.action === "throttle"
            ? reason.wait
            : undefined
      if (wait !== undefined) yield* budgets.pause(key, Duration.millis(Math.min(wait, longestWait)))
      return yield* reason
    }
  })

  return { send }
}

/** The decision, whether it was given as a value or as an effect. */
const decisionOf = (
  handler: ErrorHandler,
  answer: Answer,
  failures: number,
  now: number
): Effect.Effect<Decision | undefined, SourceReason> => {
  const decision = handler.decide(answer, failures, now)
  return Effect.isEffect(decision) ? decision : Effect.succeed(decision)
}

export type Transport = ReturnType<typeof makeTransport>
