import { civilFromDays, daysFromCivil, isCivilDate } from "@tributary/codec"
import { exactNumber } from "./ExactNumber.ts"

const datePattern = /^(\d{4})-(\d{2})-(\d{2})$/u

/** `YYYY-MM-DD` that is in the calendar. */
export const isDate = (text: string): boolean => {
  const match = datePattern.exec(text)
  return match !== null && isCivilDate(Number(match[1]), Number(match[2]), Number(match[3]))
}

// RFC 3339, with what APIs also send: a blank for the T, no seconds, no offset (then UTC), an offset without colon.
const timePattern =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9})\d*)?)?(?:([Zz])|([+-])(\d{2}):?(\d{2}))?$/u

/** A moment: whole seconds since 1970, and the digits after the point as they were given. */
export interface Instant {
  readonly seconds: number
  readonly fraction: string
}

// Years 0000 to 9999, what RFC 3339 can write.
const first = daysFromCivil(0, 1, 1) * 86_400
const last = daysFromCivil(10_000, 1, 1) * 86_400 - 1

const inRange = (seconds: number, fraction: string): Instant | undefined =>
  seconds >= first && seconds <= last ? { seconds, fraction } : undefined

/** Reads a time's text; `undefined` when it is none, or a date alone. */
export const instantFromText = (text: string): Instant | undefined => {
  const match = timePattern.exec(text)
  if (match === null) return undefined
  const [, y, mo, d, h, mi, s = "0", fraction = "", , sign, oh = "0", om = "0"] = match
  const [year, month, day, hour, minute, second] = [Number(y), Number(mo), Number(d), Number(h), Number(mi), Number(s)]
  if (!isCivilDate(year, month, day) || hour > 23 || minute > 59 || second > 59 || Number(oh) > 23 || Number(om) > 59)
    return undefined
  const offset = (Number(oh) * 60 + Number(om)) * (sign === "-" ? -60 : 60)
  return inRange(daysFromCivil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset, fraction)
}

/** Reads seconds since 1970 from a number's text, its fraction exact to the nanosecond. */
export const instantFromSeconds = (text: string): Instant | undefined => {
  const number = exactNumber(text)
  if (number === undefined || number.scale > 9) return undefined
  const digits = number.digits.padStart(number.scale + 1, "0")
  const whole = Number(digits.slice(0, digits.length - number.scale))
  const fraction = digits.slice(digits.length - number.scale)
  if (!number.negative || fraction === "") return inRange(number.negative ? -whole : whole, fraction)
  const rest = String(10 ** number.scale - Number(fraction)).padStart(number.scale, "0")
  return inRange(-whole - 1, rest)
}

const two = (value: number): string => (value < 10 ? `0${value}` : String(value))

/** `YYYY-MM-DD` of the moment in UTC. */
export const utcDate = ({ seconds }: Instant): string => {
  const { day, month, year } = civilFromDays(Math.floor(seconds / 86_400))
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}`
}

/**
 * RFC 3339 in UTC with `precision` digits after the point: `2026-01-01T00:00:00Z` for none. More are cut off, not rounded, so that
 * a time never moves into the future.
 */
export const utcText = (instant: Instant, precision: number): string => {
  const second = ((instant.seconds % 86_400) + 86_400) % 86_400
  const time = `${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`
  const digits = instant.fraction.padEnd(precision, "0").slice(0, precision)
  return `${utcDate(instant)}T${time}${digits === "" ? "" : `.${digits}`}Z`
}
