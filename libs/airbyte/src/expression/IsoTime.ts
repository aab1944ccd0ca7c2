import * as Calendar from "./Calendar.ts"
import {
  checkedDays,
  checkedMicros,
  fixedZone,
  PyDateTime,
  pytzUtc,
  PyTimeDelta,
  type PyZone,
  utc
} from "./DateTime.ts"
import { parseInteger } from "./Numbers.ts"
import { PyError, valueError } from "./PyError.ts"

const whole = (text: string): number => (/^[0-9]+$/.test(text) ? Number(text) : Number(parseInteger(text, 10)))

const ordinalOrWeek = (text: string): { readonly days: number; readonly end: number } => {
  if (text.length < 4) throw valueError("ISO string too short")
  const year = whole(text.slice(0, 4))
  const dashed = text[4] === "-"
  let at = dashed ? 5 : 4
  if (text[at] === "W") {
    const week = whole(text.slice(at + 1, at + 3))
    at += 3
    let day = 1
    if (text.length > at) {
      if ((text[at] === "-") !== dashed) throw valueError("Inconsistent use of dash separator")
      if (dashed) at++
      day = whole(text.slice(at, at + 1))
      at++
    }
    if (!(week > 0 && week < 54)) throw valueError(`Invalid week: ${week}`)
    if (!(day > 0 && day < 8)) throw valueError(`Invalid weekday: ${day}`)
    checkedDays(year, 1, 4)
    return { days: Calendar.isoWeekStart(year) + (week - 1) * 7 + day - 1, end: at }
  }
  if (text.length - at < 3) throw valueError("Invalid ordinal day")
  const ordinal = whole(text.slice(at, at + 3))
  if (ordinal < 1 || ordinal > (Calendar.isLeap(year) ? 366 : 365)) {
    throw valueError(`Invalid ordinal day ${ordinal} for year ${year}`)
  }
  return { days: checkedDays(year, 1, 1) + ordinal - 1, end: at + 3 }
}

interface DateParts {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly end: number
}

const commonDate = (text: string): DateParts => {
  if (text.length < 4) throw valueError("ISO string too short")
  const year = whole(text.slice(0, 4))
  let at = 4
  if (at >= text.length) return { year, month: 1, day: 1, end: at }
  const dashed = text[at] === "-"
  if (dashed) at++
  if (text.length - at < 2) throw valueError("Invalid common month")
  const month = whole(text.slice(at, at + 2))
  at += 2
  if (at >= text.length) {
    if (dashed) return { year, month, day: 1, end: at }
    throw valueError("Invalid ISO format")
  }
  if (dashed) {
    if (text[at] !== "-") throw valueError("Invalid separator in ISO string")
    at++
  }
  if (text.length - at < 2) throw valueError("Invalid common day")
  return { year, month, day: whole(text.slice(at, at + 2)), end: at + 2 }
}

const isoDateParts = (text: string): DateParts => {
  try {
    return commonDate(text)
  } catch (error) {
    if (!(error instanceof PyError) || !error.is("ValueError")) throw error
    const { days, end } = ordinalOrWeek(text)
    return { ...Calendar.civilFromDays(days), end }
  }
}

const isoZone = (text: string): PyZone => {
  if (text === "Z" || text === "z") return utc
  if (text.length !== 3 && text.length !== 5 && text.length !== 6) {
    throw valueError("Time zone offset must be 1, 3, 5 or 6 characters")
  }
  const sign = text.startsWith("-") ? -1 : text.startsWith("+") ? 1 : 0
  if (sign === 0) throw valueError("Time zone offset requires sign")
  const hours = whole(text.slice(1, 3))
  const minutes = text.length === 3 ? 0 : whole(text.slice(text[3] === ":" ? 4 : 3))
  if (hours === 0 && minutes === 0) return utc
  if (minutes > 59) throw valueError("Invalid minutes in time zone offset")
  if (hours > 23) throw valueError("Invalid hours in time zone offset")
  return fixedZone(sign * (hours * 60 + minutes) * 60_000_000)
}

/** A date and time in an ISO 8601 form, as dateutil's isoparse reads it. */
export const isoParse = (text: string): PyDateTime => {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 127) throw valueError("ISO-8601 strings should contain only ASCII characters")
  }
  const date = isoDateParts(text)
  const parts = [0, 0, 0, 0]
  let zone: PyZone | undefined
  if (text.length > date.end) {
    const time = text.slice(date.end + 1)
    if (time.length < 2) throw valueError("ISO time too short")
    let at = 0
    let colons = false
    for (let part = 0; at < time.length && part <= 5; part++) {
      if ("-+Zz".includes(time.charAt(at))) {
        zone = isoZone(time.slice(at))
        at = time.length
        break
      }
      if (part === 1 && time[at] === ":") {
        colons = true
        at++
      } else if (part === 2 && colons) {
        if (time[at] !== ":") throw valueError("Inconsistent use of colon separator")
        at++
      }
      if (part < 3) {
        parts[part] = whole(time.slice(at, at + 2))
        at += 2
      }
      if (part === 3) {
        const match = /^[.,]([0-9]+)/.exec(time.slice(at))
        if (match === null) continue
        parts[3] = Number((match[1] ?? "").slice(0, 6).padEnd(6, "0"))
        at += match[0].length
      }
    }
    if (at < time.length) throw valueError("Unused components in ISO string")
  }
  const [hour = 0, minute = 0, second = 0, micro = 0] = parts
  if (hour === 24 && (minute !== 0 || second !== 0 || micro !== 0)) {
    throw valueError("Hour may only be 24 at 24:00:00.000")
  }
  const days = checkedDays(date.year, date.month, date.day)
  return hour === 24
    ? new PyDateTime(days + 1, 0, zone)
    : new PyDateTime(days, checkedMicros(hour, minute, second, micro), zone)
}

/** The CDK's str_to_datetime: UTC is assumed when the text has no zone, and the result is in UTC. */
export const parseToUtc = (text: string): PyDateTime => {
  const parsed = isoParse(text)
  return parsed.zone === undefined ? new PyDateTime(parsed.days, parsed.time.micros, pytzUtc) : parsed.inZone(pytzUtc)
}

const isoErrorOf = (message: string): PyError => new PyError("ISO8601Error", message)

const dateForms: ReadonlyArray<readonly [RegExp, "day" | "ordinal" | "month" | "year"]> = [
  [/^([0-9]{4})-([0-9]{2})-([0-9]{2})/, "day"],
  [/^([0-9]{4})([0-9]{2})([0-9]{2})/, "day"],
  [/^([0-9]{4})-([0-9]{3})/, "ordinal"],
  [/^([0-9]{4})([0-9]{3})/, "ordinal"],
  [/^([0-9]{4})-([0-9]{2})/, "month"],
  [/^([0-9]{4})([0-9]{2})/, "month"],
  [/^([0-9]{4})/, "year"]
]

const durationDate = (text: string): Calendar.CivilDate => {
  for (const [form, kind] of dateForms) {
    const match = form.exec(text)
    if (match === null) continue
    const year = Number(match[1])
    const second = Number(match[2] ?? 1)
    if (kind === "ordinal") return Calendar.civilFromDays(checkedDays(year, 1, 1) + second - 1)
    const day = kind === "day" ? Number(match[3]) : 1
    const month = kind === "year" ? 1 : second === 0 ? 1 : second
    checkedDays(year, month, day)
    return { year, month, day }
  }
  throw isoErrorOf(`Unrecognised ISO 8601 date format: '${text}'`)
}

const timeForms: ReadonlyArray<RegExp> = [
  /^T?([0-9]{2}):([0-9]{2}):([0-9]{2}(?:[,.][0-9]+)?)/,
  /^T?([0-9]{2})([0-9]{2})([0-9]{2}(?:[,.][0-9]+)?)/,
  /^T?([0-9]{2}):([0-9]{2}(?:[,.][0-9]+)?)/,
  /^T?([0-9]{2})([0-9]{2}(?:[,.][0-9]+)?)/,
  /^T?([0-9]{2}(?:[,.][0-9]+)?)/
]

/** The alternative form of an ISO 8601 duration, written like a date and time. */
export const isoDateTimeOfDuration = (
  text: string
): { readonly years: number; readonly months: number; readonly delta: PyTimeDelta } => {
  const parts = text.split("T")
  const [dateText = "", timeText = ""] = parts
  if (parts.length !== 2) throw isoErrorOf(`ISO 8601 time designator 'T' missing. Unable to parse '${text}'`)
  const date = durationDate(dateText)
  for (const form of timeForms) {
    const match = form.exec(timeText)
    if (match === null) continue
    const numbers = [match[1], match[2], match[3]].map((part) => Number((part ?? "0").replace(",", ".")))
    const [hours = 0, minutes = 0, seconds = 0] = numbers
    const micros = Math.round((hours * 3600 + minutes * 60 + seconds) * 1e6)
    if (Math.trunc(hours) > 23) throw valueError("hour must be in 0..23")
    if (Math.trunc(minutes) > 59) throw valueError("minute must be in 0..59")
    if (Math.trunc(seconds) > 59) throw valueError("second must be in 0..59")
    return {
      years: date.year,
      months: date.month,
      delta: new PyTimeDelta(BigInt(date.day) * 86_400_000_000n + BigInt(micros))
    }
  }
  throw isoErrorOf(`Unrecognised ISO 8601 time format: '${timeText}'`)
}
