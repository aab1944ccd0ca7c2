import * as Calendar from "./Calendar.ts"
import { checkedDays, deltaOf, PyDate, PyDateTime, PyTimeDelta } from "./DateTime.ts"
import { PyHashable } from "./Dict.ts"
import { isoDateTimeOfDuration } from "./IsoTime.ts"
import { PyError, typeError, valueError } from "./PyError.ts"
import { strOf, typeName, type Value } from "./Value.ts"

/** Months or years of a duration: a decimal number, which may have a fraction. */
export class PyDecimal extends PyHashable {
  readonly type = "decimal.Decimal"
  readonly value: number
  constructor(value: number) {
    super()
    this.value = value
  }
  hashKey(): string {
    return Number.isInteger(this.value) ? `\0n${this.value}` : `\0decimal${this.value}`
  }
}

/** A duration with years or months, whose length depends on where it is added (isodate's Duration). */
export class PyDuration extends PyHashable {
  readonly type = "Duration"
  readonly years: number
  readonly months: number
  readonly delta: PyTimeDelta
  constructor(years: number, months: number, delta: PyTimeDelta) {
    super()
    this.years = years
    this.months = months
    this.delta = delta
  }
  hashKey(): string {
    return `\0duration${this.delta.micros},${this.months},${this.years}`
  }
  negated(): PyDuration {
    return new PyDuration(-this.years, -this.months, new PyTimeDelta(-this.delta.micros))
  }
  str(): string {
    const parts: Array<string> = []
    if (this.years !== 0) parts.push(`${Math.trunc(this.years)} years`)
    if (this.months !== 0) parts.push(`${Math.trunc(this.months)} month${this.months <= 1 ? "" : "s"}`)
    return [...parts, this.delta.str()].join(", ")
  }
  repr(): string {
    const { days, seconds, microseconds } = this.delta
    const rest = `years=${Math.trunc(this.years)}, months=${Math.trunc(this.months)}`
    return `isodate.duration.Duration(${days}, ${seconds}, ${microseconds}, ${rest})`
  }
}

/** The date moved by the years and months of the duration, on the last day of the month when there is no such day. */
const moved = (date: PyDate, duration: PyDuration, sign: 1 | -1): PyDate => {
  if (!Number.isInteger(duration.years) || !Number.isInteger(duration.months)) {
    throw valueError("fractional years or months not supported for date calculations")
  }
  const { year, month, day } = date.civil
  const total = month + sign * duration.months - 1
  const newYear = year + sign * duration.years + Math.floor(total / 12)
  const newMonth = total - Math.floor(total / 12) * 12 + 1
  const days = checkedDays(newYear, newMonth, Math.min(day, Calendar.daysInMonth(newYear, newMonth)))
  return date instanceof PyDateTime ? new PyDateTime(days, date.time.micros, date.zone) : new PyDate(days)
}

/** date + timedelta: a date moves by whole days only. */
export const addDelta = (date: PyDate, delta: PyTimeDelta): PyDate =>
  date instanceof PyDateTime
    ? PyDateTime.fromWall(date.wallMicros + delta.micros, date.zone)
    : new PyDate(date.days + delta.days)

export const addDuration = (date: PyDate, duration: PyDuration): PyDate =>
  addDelta(moved(date, duration, 1), duration.delta)

export const subtractDelta = (date: PyDate, delta: PyTimeDelta): PyDate =>
  date instanceof PyDateTime
    ? PyDateTime.fromWall(date.wallMicros - delta.micros, date.zone)
    : new PyDate(date.days - delta.days)

export const subtractDuration = (date: PyDate, duration: PyDuration): PyDate =>
  subtractDelta(moved(date, duration, -1), duration.delta)

const number = "[0-9]+(?:[,.][0-9]+)?"
const syntax = new RegExp(
  `^([+-])?P(?!\\b)(?:(${number})Y)?(?:(${number})M)?(?:(${number})W)?(?:(${number})D)?` +
    `(?:T(?:(${number})H)?(?:(${number})M)?(?:(${number})S)?)?\\n?$`
)

/** duration(text): an ISO 8601 duration as a timedelta, or as a Duration when it has years or months. */
export const parseDuration = (value: Value): PyTimeDelta | PyDuration => {
  const text = strOf(value)
  if (text === undefined) throw typeError(`Expecting a string, got ${typeName(value)}`)
  const match = syntax.exec(text)
  if (match === null) {
    if (text.startsWith("P")) {
      const { years, months, delta } = isoDateTimeOfDuration(text.slice(1))
      return new PyDuration(years, months, delta)
    }
    throw new PyError("ISO8601Error", `Unable to parse duration string '${text}'`)
  }
  const part = (index: number): number => Number((match[index] ?? "0").replace(",", "."))
  const [years, months] = [part(2), part(3)]
  const delta = deltaOf([
    [part(8), 1_000_000],
    [part(7), 60_000_000],
    [part(6), 3_600_000_000],
    [part(5), 86_400_000_000],
    [part(4), 604_800_000_000]
  ])
  const negative = match[1] === "-"
  if (years === 0 && months === 0) return negative ? new PyTimeDelta(-delta.micros) : delta
  const result = new PyDuration(years, months, delta)
  return negative ? result.negated() : result
}
