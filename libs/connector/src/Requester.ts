import type { Http } from "@tributary/domain"
import { Clock, Duration, Effect, Redacted } from "effect"
import type { Agent } from "undici"
import type { Authorized, Authorizer } from "./Authorizer.ts"
import type { Budgets } from "./Budgets.ts"
import { acceptEncoding, decode } from "./Decode.ts"
import { exchange, type RawAnswer } from "./Exchange.ts"
import { foundIn, scrub, shownUrl } from "./Found.ts"
import { header, waitAsked } from "./RetryAfter.ts"
import { longestWait } from "./RetrySchedule.ts"
import {
  Forbidden,
  Redirected,
  Refused,
  ServerError,
  type SourceReason,
  Throttled,
  Unauthorized
} from "./SourceError.ts"

/** A success of the API. */
export interface Answer {
  readonly status: number
  readonly headers: RawAnswer["headers"]
  /** Without content encodings. */
  readonly body: Buffer
  /** Where the answer came from, after redirects. */
  readonly target: URL
  /** `target` as it may be shown. */
  readonly url: string
  /** Secrets that the request carried, the access token among them: an answer may repeat them. */
  readonly secrets: ReadonlyArray<string>
}

export interface RequesterOptions {
  readonly agent: Agent
  readonly http: typeof Http.Type
  readonly budgets: Budgets["Service"]
  readonly authorizer: Authorizer | undefined
}

/** What differs between streams, and between walks when secrets change. */
export interface RequestSettings {
  readonly headers: Readonly<Record<string, string>>
  readonly secrets: ReadonlyArray<string>
  /** Query parameters that may be shown. */
  readonly ownParameters: ReadonlySet<string>
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
export const makeRequester = ({ agent, authorizer, budgets, http }: RequesterOptions) => {
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
  const refusal = (answer: RawAnswer, url: string, secrets: ReadonlyArray<string>, now: number): SourceReason => {
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

  /**
   * Sends one GET request, follows redirects within the origin, and once tries again with a new token after a 401. Nothing
   * else is tried again here.
   */
  const get = Effect.fn("connector.request")(function* (
    first: URL,
    settings: RequestSettings
  ): Effect.fn.Return<Answer, SourceReason> {
    const key = rate?.key ?? first.host
    let target = first
    let hops = 0
    let isSecondTry = false
    let hasNonce = false
    for (;;) {
      const url = shownUrl(target, settings.ownParameters)
      yield* budgets.take(key, rate)
      const authorized: Authorized | undefined =
        authorizer === undefined ? undefined : yield* authorizer.authorize(target)
      const headers: Record<string, string> = {
        accept: "application/json",
        "accept-encoding": acceptEncoding
      }
      for (const [name, value] of Object.entries(settings.headers)) headers[name.toLowerCase()] = value
      if (authorized !== undefined) Object.assign(headers, Redacted.value(authorized.headers))
      const answer = yield* exchange(agent, target, headers, http, url)
      const now = yield* Clock.currentTimeMillis
      const secrets =
        authorized === undefined ? settings.secrets : [...settings.secrets, ...Redacted.value(authorized.secrets)]
      const wantsNonce =
        authorized !== undefined &&
        (yield* authorized.answered(answer.status, {
          "dpop-nonce": header(answer.headers, "dpop-nonce"),
          "www-authenticate": header(answer.headers, "www-authenticate")
        }))
      if (wantsNonce && !hasNonce) {
        hasNonce = true
        continue
      }
      if (answer.status >= 200 && answer.status < 300) {
        const wait = waitAsked(answer.headers, now, true)
        if (wait !== undefined && wait > 0) yield* budgets.pause(key, Duration.millis(Math.min(wait, longestWait)))
        const encoding = header(answer.headers, "content-encoding")
        const body = yield* decode(answer.body, encoding, http.max_page_bytes, url)
        return { status: answer.status, headers: answer.headers, body, target, url, secrets }
      }
      if (isRedirect(answer.status)) {
        const next = follow(answer, target, url, hops++)
        if (!(next instanceof URL)) return yield* next
        target = next
        continue
      }
      const text = yield* decode(answer.body, header(answer.headers, "content-encoding"), 1_048_576, url).pipe(
        Effect.orElseSucceed(() => Buffer.alloc(0))
      )
      const reason = refusal({ ...answer, body: text }, url, secrets, now)
      if (reason._tag === "Unauthorized" && authorized !== undefined && !isSecondTry) {
        isSecondTry = true
        yield* authorized.rejected
        continue
      }
      if (reason._tag === "Throttled" && reason.retryAfter !== undefined) {
        yield* budgets.pause(key, Duration.millis(Math.min(reason.retryAfter, longestWait)))
      }
      return yield* reason
    }
  })

  return { get }
}

export type Requester = ReturnType<typeof makeRequester>
