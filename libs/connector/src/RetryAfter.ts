import { DateTime, Option } from "effect"

/** Headers of an answer, names in lower case. */
export type AnswerHeaders = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** A header's value, of several the first. */
export const header = (headers: AnswerHeaders, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === "string" ? value : value?.[0]
}

/** Milliseconds since 1970 of an HTTP date (RFC 9110, section 5.6.7). */
const httpDate = (text: string): number | undefined =>
  /[A-Za-z]{3}/u.test(text) ? Option.getOrUndefined(Option.map(DateTime.make(text), DateTime.toEpochMillis)) : undefined

/** The wait for a reset that is seconds from now, or a time in seconds or milliseconds since 1970. */
export const untilReset = (text: string, now: number): number | undefined => {
  if (!/^\s*\d+(\.\d+)?\s*$/u.test(text)) {
    const at = httpDate(text)
    return at === undefined ? undefined : Math.max(0, at - now)
  }
  const value = Number(text)
  if (value >= 1e12) return Math.max(0, value - now)
  if (value >= 1e9) return Math.max(0, value * 1000 - now)
  return value * 1000
}

/** The API's own time when it answered; where it does not say, ours. */
export const theirTime = (headers: AnswerHeaders, now: number): number => {
  const sent = header(headers, "date")
  return (sent === undefined ? undefined : httpDate(sent)) ?? now
}

const resetHeaders: ReadonlyArray<readonly [remaining: string, reset: string]> = [
  ["ratelimit-remaining", "ratelimit-reset"],
  ["x-ratelimit-remaining", "x-ratelimit-reset"],
  ["x-rate-limit-remaining", "x-rate-limit-reset"]
]

/** `"default";r=0;t=30`, the newer form of the RateLimit header: what is left, and seconds until more. */
const rateLimitParameter = (text: string, name: "r" | "t"): number | undefined => {
  const match = new RegExp(`(?:^|[;,\\s])${name}=(\\d+)`, "u").exec(text)
  return match?.[1] === undefined ? undefined : Number(match[1])
}

/**
 * How many milliseconds an API asks to wait before the next request, `undefined` if it does not: `Retry-After` in seconds or
 * as a date (RFC 9110, section 10.2.3), else the reset of a used-up `RateLimit`, `RateLimit-Reset`, `X-RateLimit-Reset` or
 * `X-Rate-Limit-Reset`. Dates are measured by the answer's own `Date`, so that the clocks need not agree. `onlyIfUsedUp`: the
 * answer was a success, so only what says that nothing is left counts.
 */
export const waitAsked = (headers: AnswerHeaders, now: number, onlyIfUsedUp: boolean): number | undefined => {
  const theirNow = theirTime(headers, now)
  const retryAfter = header(headers, "retry-after")
  if (retryAfter !== undefined && !onlyIfUsedUp) {
    if (/^\s*\d+(\.\d+)?\s*$/u.test(retryAfter)) return Number(retryAfter) * 1000
    const at = httpDate(retryAfter)
    if (at !== undefined) return Math.max(0, at - theirNow)
  }
  const rateLimit = header(headers, "ratelimit")
  if (rateLimit !== undefined && rateLimitParameter(rateLimit, "r") === 0) {
    const seconds = rateLimitParameter(rateLimit, "t")
    if (seconds !== undefined) return seconds * 1000
  }
  for (const [remainingName, resetName] of resetHeaders) {
    const reset = header(headers, resetName)
    const remaining = header(headers, remainingName)
    if (reset === undefined) continue
    if (remaining === undefined ? onlyIfUsedUp : Number(remaining) !== 0) continue
    return untilReset(reset, theirNow)
  }
  return undefined
}
