import type { Http } from "@tributary/domain"
import { Duration } from "effect"
import type { Allowance } from "./Budgets.ts"
import { type AnswerHeaders, header, theirTime, untilReset } from "./RetryAfter.ts"

type Vendor = (typeof Http.Type.limit_headers)[number]

/** A value of a header with its parameters, as `"default";r=50;t=30` (RFC 9651). */
interface Item {
  readonly name: string
  readonly parameters: ReadonlyMap<string, number>
}

const itemsOf = (text: string): ReadonlyArray<Item> =>
  text.split(",").flatMap((part): ReadonlyArray<Item> => {
    const [first = "", ...rest] = part.split(";").map((word) => word.trim())
    if (first === "") return []
    const parameters = new Map<string, number>()
    for (const word of rest) {
      const [, name, value] = /^([a-z][\w-]*)=(\d+)$/u.exec(word) ?? []
      if (name !== undefined) parameters.set(name, Number(value))
    }
    return [{ name: first.replace(/^"(.*)"$/u, "$1"), parameters }]
  })

const whole = (headers: AnswerHeaders, name: string): number | undefined => {
  // `100, 100;w=60` is an older form of a limit.
  const text = /^\s*(\d+)/u.exec(header(headers, name) ?? "")?.[1]
  return text === undefined ? undefined : Number(text)
}

/** Groups of headers that many APIs send: what is left, and when there is more. */
const usual = ["ratelimit", "x-ratelimit", "x-rate-limit"] as const

/** `RateLimit` with `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-08 and later). */
const ofDraft = (headers: AnswerHeaders): ReadonlyArray<Allowance> => {
  const text = header(headers, "ratelimit")
  if (text === undefined) return []
  const policies = itemsOf(header(headers, "ratelimit-policy") ?? "")
  return itemsOf(text).flatMap(({ name, parameters }): ReadonlyArray<Allowance> => {
    const remaining = parameters.get("r")
    const policy = policies.find((other) => other.name === name)
    const seconds = parameters.get("t") ?? policy?.parameters.get("w")
    return remaining === undefined || seconds === undefined
      ? []
      : [{ name: `ratelimit ${name}`, remaining, resetIn: seconds * 1000 }]
  })
}

/** `RateLimit: limit=100, remaining=50, reset=50`, as drafts before wrote it. */
const ofOldDraft = (headers: AnswerHeaders): ReadonlyArray<Allowance> => {
  const text = header(headers, "ratelimit") ?? ""
  const remaining = /(?:^|[,\s])remaining=(\d+)/u.exec(text)?.[1]
  const reset = /(?:^|[,\s])reset=(\d+)/u.exec(text)?.[1]
  return remaining === undefined || reset === undefined
    ? []
    : [{ name: "ratelimit", remaining: Number(remaining), resetIn: Number(reset) * 1000 }]
}

const ofVendor = (vendor: Vendor, headers: AnswerHeaders, now: number): ReadonlyArray<Allowance> => {
  const name = ("used" in vendor ? vendor.used : vendor.remaining).toLowerCase()
  const text = header(headers, name)
  if (text === undefined) return []
  const told = vendor.reset === undefined ? undefined : header(headers, vendor.reset.toLowerCase())
  const reset = told === undefined ? undefined : untilReset(told, now)
  const per = Duration.toMillis(vendor.per)
  if ("remaining" in vendor) {
    const remaining = /^\s*(\d+)/u.exec(text)?.[1]
    return remaining === undefined ? [] : [{ name, remaining: Number(remaining), resetIn: reset ?? per }]
  }
  const [, used, limit] = /^\s*(\d+)\s*\/\s*(\d+)/u.exec(text) ?? []
  if (used === undefined || Number(limit) === 0) return []
  // A bucket that leaks: what is used is free again after its share of the time.
  const resetIn = reset ?? (per * Number(used)) / Number(limit)
  return [{ name, remaining: Math.max(0, Number(limit) - Number(used)), resetIn }]
}

/**
 * What an answer says is left of the API's limits: by `RateLimit` (IETF draft, three forms), `X-RateLimit-*`, `X-Rate-Limit-*`, and
 * the headers that `http.limit_headers` names. Times of resets are measured by the answer's own `Date`.
 */
export const allowancesIn = (
  headers: AnswerHeaders,
  now: number,
  vendors: ReadonlyArray<Vendor>
): ReadonlyArray<Allowance> => {
  const theirNow = theirTime(headers, now)
  const found: Array<Allowance> = []
  for (const vendor of vendors) found.push(...ofVendor(vendor, headers, theirNow))
  if (header(headers, "ratelimit") !== undefined) found.push(...ofDraft(headers), ...ofOldDraft(headers))
  for (const prefix of usual) {
    const remaining = whole(headers, `${prefix}-remaining`)
    if (remaining === undefined) continue
    const reset = header(headers, `${prefix}-reset`)
    const resetIn = reset === undefined ? undefined : untilReset(reset, theirNow)
    if (resetIn !== undefined) found.push({ name: prefix, remaining, resetIn })
  }
  return found
}

/** Of so many that are left, nobody need be told. */
const plenty = 200

/** Whether something may be used up soon. */
export const isTight = (allowances: ReadonlyArray<Allowance>): boolean =>
  allowances.some(({ remaining }) => remaining < plenty)
