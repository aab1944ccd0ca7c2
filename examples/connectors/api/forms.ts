import { DateTime } from "effect"

/** 2026-01-05T08:00:00.000Z */
export const iso = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))
/** 2026-01-05T08:00:00Z */
export const isoSeconds = (millis: number): string => iso(millis).replace(/\.\d{3}/u, "")
/** 2026-01-05T08:00:00.000+0000 */
export const isoZone = (millis: number): string => iso(millis).replace("Z", "+0000")
/** 2026-01-05 */
export const isoDay = (millis: number): string => iso(millis).slice(0, 10)
export const seconds = (millis: number): number => Math.floor(millis / 1000)

/** When stand-ins that remember forget what they knew: after the first read, which is over within minutes. */
export const forgottenAfter = 6 * 3_600_000

/** Milliseconds since 1970 of a time that a request has; `undefined` for none. */
export const millisOf = (text: string | null | undefined): number | undefined =>
  text === null || text === undefined ? undefined : DateTime.toEpochMillis(DateTime.makeUnsafe(text))

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

/** The value at a path of a JSON body, as in "query.value" or "filters.0.value". */
export const at = (body: string, path: string): unknown =>
  path.split(".").reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), JSON.parse(body))

export const textAt = (body: string, path: string): string | undefined => {
  const value = at(body, path)
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined
}

/** A number in a query, or in a body. */
export const number = (value: unknown, fallback: number): number =>
  value === null || value === undefined || value === "" || !Number.isFinite(Number(value)) ? fallback : Number(value)
