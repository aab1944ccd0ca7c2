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

/** What a decision of the stream's error handler comes to; `undefined`: HTTP's meaning stands. */
export const decided = (decision: Decision, answer: Answer): Answer | Decided => {
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
    case "reset":
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
