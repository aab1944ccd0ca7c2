import type { FailureClass } from "@tributary/domain"
import { foundIn, scrub } from "./Found.ts"
import { header, waitAsked } from "./RetryAfter.ts"
import type { RawAnswer } from "./Exchange.ts"
import type { Authenticator, Decision } from "./slots/index.ts"
import { Decided, Forbidden, Refused, ServerError, type SourceReason, Throttled, Unauthorized } from "./SourceError.ts"
import type { Answer } from "./Transport.ts"

/** Of the 5xx these say that the request is wrong, not that the server is in trouble. */
const finalServerErrors = new Set([501, 505, 511])

/** What a WWW-Authenticate header says (RFC 6750, section 3). */
const parameterOf = (challenge: string | undefined, name: string): string | undefined =>
  challenge === undefined ? undefined : new RegExp(`\\b${name}="([^"]*)"`, "iu").exec(challenge)?.[1]

/** The reason that an answer which is no success gives. */
export const refusal = (
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
  if (status === 429 || (status === 503 && isRetryAfter) || (status === 403 && (wait !== undefined || isRetryAfter))) {
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

/** The class of a failure that a decision makes of an answer. A new token or a new beginning that does not help is a wrong setting. */
const classOf = (decision: Exclude<Decision, { readonly action: "success" | "ignore" }>): FailureClass => {
  switch (decision.action) {
    case "fail":
      return decision.failureClass
    case "retry":
      return "transient"
    case "throttle":
      return "throttled"
    default:
      return "misconfigured"
  }
}

/** What a decision of the stream's error handler comes to: the answer as it is to be taken, or a failure. */
export const decided = (decision: Decision, answer: Answer): Answer | Decided => {
  const { status, url } = answer
  if (decision.action === "success") return answer
  if (decision.action === "ignore") return { ...answer, isIgnored: true }
  return new Decided({
    action: decision.action,
    url,
    status,
    message: `${url} answered ${status}: ${decision.message}`,
    failureClass: classOf(decision),
    wait: "wait" in decision ? decision.wait : undefined
  })
}
