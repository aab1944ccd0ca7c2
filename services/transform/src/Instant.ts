import { exactNumber } from "./ExactNumber.ts"

const daysIn = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

const isDay = (year: number, month: number, day: number): boolean =>
  month >= 1 && month <= 12 && day >= 1 && day <= daysIn[month - 1]! && (month !== 2 || day < 29 || isLeap(year))

const datePattern = /^(\d{4})-(\d{2})-(\d{2})$/u

/** `YYYY-MM-DD` that is in the calendar. */
export const isDate = (text: string): boolean => {
  const match = datePattern.exec(text)
  return match !== null && isDay(Number(match[1]), Number(match[2]), Number(match[3]))
}

// RFC 3339, with what APIs also send: a blank for the T, no seconds, no offset (then UTC), an offset without colon.
const timePattern =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9})\d*)?)?(?:([Zz])|([+-])(\d{2}):?(\d{2}))?$/u

/** Days from 1970-01-01 (proleptic Gregorian), after Howard Hinnant's `days_from_civil`. */
const daysFromCivil = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
}

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
  if (!isDay(year, month, day) || hour > 23 || minute > 59 || second > 59 || Number(oh) > 23 || Number(om) > 59)
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

/** `YYYY-MM-DD` of the moment in UTC (the inverse of `daysFromCivil`). */
export const utcDate = ({ seconds }: Instant): string => {
  const days = Math.floor(seconds / 86_400) + 719_468
  const era = Math.floor(days / 146_097)
  const dayOfEra = days - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1)}`
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
