import { civilFromDays, daysFromCivil, isCivilDate } from "@tributary/codec"

/** Days, times of day and ticks since 1970 of the proleptic Gregorian calendar in UTC, for the years 0000 to 9999. */

const daySeconds = 86_400n

/** Days from 1970-01-01; `undefined` when there is no such day. */
const dayOf = (year: number, month: number, day: number): number | undefined =>
  isCivilDate(year, month, day) ? daysFromCivil(year, month, day) : undefined

const firstDay = dayOf(0, 1, 1) ?? 0
const lastDay = dayOf(9999, 12, 31) ?? 0

const dateForm = /^(\d{4})-(\d{2})-(\d{2})$/u

/** Days from 1970-01-01 of `2026-01-31`. */
export const readDate = (text: string): number | undefined => {
  const found = dateForm.exec(text)
  return found === null ? undefined : dayOf(Number(found[1]), Number(found[2]), Number(found[3]))
}

const two = (n: number): string => String(n).padStart(2, "0")

/** `2026-01-31` of a number of days from 1970-01-01. */
export const writeDate = (days: number): string => {
  const { day, month, year } = civilFromDays(days)
  const years = year < 0 ? `-${String(-year).padStart(6, "0")}` : String(year).padStart(4, "0")
  return `${years}-${two(month)}-${two(day)}`
}

const timeForm = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/u
/** More digits are milliseconds, or a mistake. */
const secondsForm = /^(-?)(0|[1-9]\d{0,10})(?:\.(\d+))?$/u

const minInt64 = -(2n ** 63n)
const maxInt64 = 2n ** 63n - 1n

/** Seconds and the digits behind their point as ticks of 10^-`digits` seconds; `undefined` when ticks cannot hold all of it. */
const ticksOf = (seconds: bigint, fraction: string, digits: number, negative: boolean): bigint | undefined => {
  const kept = fraction.replace(/0+$/u, "")
  if (kept.length > digits) return undefined
  const part = BigInt(kept.padEnd(digits, "0") || "0")
  const ticks = seconds * 10n ** BigInt(digits) + part
  const signed = negative ? -ticks : ticks
  const scale = 10n ** BigInt(digits) * daySeconds
  const fits = signed >= BigInt(firstDay) * scale && signed < BigInt(lastDay + 1) * scale
  return fits && signed >= minInt64 && signed <= maxInt64 ? signed : undefined
}

/** Ticks since 1970 of a time by RFC 3339 with its offset. */
export const readTime = (text: string, digits: number): bigint | undefined => {
  const found = timeForm.exec(text)
  if (found === null) return undefined
  const [, date = "", hours, minutes, seconds, fraction = "", sign, offsetHours = "0", offsetMinutes = "0"] = found
  const day = readDate(date)
  const time = [Number(hours), Number(minutes), Number(seconds)] as const
  if (day === undefined || time[0] > 23 || time[1] > 59 || time[2] > 59) return undefined
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return undefined
  const offset = (sign === "-" ? -60 : 60) * (Number(offsetHours) * 60 + Number(offsetMinutes))
  const ofDay = time[0] * 3600 + time[1] * 60 + time[2] - offset
  return ticksOf(BigInt(day) * daySeconds + BigInt(ofDay), fraction, digits, false)
}

/** Ticks since 1970 of a number of seconds. */
export const readSeconds = (text: string, digits: number): bigint | undefined => {
  const found = secondsForm.exec(text)
  if (found === null) return undefined
  const [, sign = "", seconds = "", fraction = ""] = found
  return ticksOf(BigInt(seconds), fraction, digits, sign === "-")
}

/** A time by RFC 3339 in UTC; zeros at the end of the second are left out. */
export const writeTime = (ticks: bigint, digits: number, zone = "Z"): string => {
  const perSecond = 10n ** BigInt(digits)
  const seconds = ticks / perSecond - (ticks % perSecond < 0n ? 1n : 0n)
  const days = seconds / daySeconds - (seconds % daySeconds < 0n ? 1n : 0n)
  const ofDay = Number(seconds - days * daySeconds)
  const fraction = (ticks - seconds * perSecond).toString().padStart(digits, "0").slice(0, digits).replace(/0+$/u, "")
  const time = [Math.floor(ofDay / 3600), Math.floor(ofDay / 60) % 60, ofDay % 60].map(two).join(":")
  return `${writeDate(Number(days))}T${time}${digits === 0 || fraction === "" ? "" : `.${fraction}`}${zone}`
}
