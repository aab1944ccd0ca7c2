/** Times as servers write them: seconds, milliseconds, numbers as text, points in time as numbers or dates. */

/** Above this a number cannot be a lifetime in seconds (31 years): it is a point in time. */
const longestSeconds = 1e9
/** Above this a point in time cannot be in seconds since 1970 (the year 5138): it is in milliseconds. */
const latestSeconds = 1e11
/** What lives longer, in seconds, is taken as living for ever: 100 years. */
const forEver = 100 * 366 * 86_400

const number = (value: unknown): number => {
  if (typeof value === "number") return value
  if (typeof value !== "string") return Number.NaN
  const [, digits] = /^\s*(-?\d+(?:\.\d+)?(?:e[+]?\d+)?)\s*(?:s|sec|seconds)?\s*$/iu.exec(value) ?? []
  return digits === undefined ? Number.NaN : Number(digits)
}

/** A date as ISO 8601 or as in HTTP headers; without a zone it is in UTC, since the server's zone is not known. */
const dateOf = (value: unknown): number => {
  if (typeof value !== "string" || !/\d{4}/u.test(value)) return Number.NaN
  const written = value.trim()
  const hasNoZone = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?$/u.test(written)
  // oxlint-disable-next-line eslint/no-restricted-globals -- parses a date, reads no clock
  return Date.parse(hasNoZone ? `${written.replace(" ", "T").replace(",", ".")}Z` : written)
}

const useful = (seconds: number): number | undefined => (seconds > 0 && seconds < forEver ? seconds : undefined)

/**
 * Seconds from `now` (milliseconds since 1970) for which something lives. A number up to 1e9 is a lifetime in `unit`; a
 * larger one is a point in time, and so is a date. `undefined`: nothing is said, what is said makes no sense (zero,
 * negative, in the past), or it lives for ever.
 */
export const lifetimeOf = (value: unknown, now: number, unit: number): number | undefined => {
  const said = number(value)
  if (Number.isFinite(said)) {
    if (said <= longestSeconds) return useful(said * unit)
    // In milliseconds a lifetime of more than 12 days is above the limit, so nothing but a time of this century is a point.
    if (unit < 1 && said < 1e12) return useful(said * unit)
    return said > latestSeconds ? useful((said - now) / 1000) : useful(said - now / 1000)
  }
  const date = dateOf(value)
  return Number.isNaN(date) ? undefined : useful((date - now) / 1000)
}

/** `Retry-After`: seconds or a date (RFC 9110, section 10.2.3), as milliseconds from `now`. */
export const retryAfter = (value: string | undefined, now: number): number | undefined => {
  const written = value?.trim() ?? ""
  if (/^\d+(\.\d+)?$/u.test(written)) return Number(written) * 1000
  // oxlint-disable-next-line eslint/no-restricted-globals -- parses a date, reads no clock
  const date = written === "" ? Number.NaN : Date.parse(written)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
