import { daysFromCivil, isCivilDate } from "@tributary/codec"
import { spell, unfit } from "./ValueCheck.ts"

const digit = (bytes: Buffer, at: number): number => {
  const c = (bytes[at] ?? 0) - 0x30
  return c >= 0 && c <= 9 ? c : -1
}

/** Two digits as a number, or -1. */
const two = (bytes: Buffer, at: number): number => {
  const [a, b] = [digit(bytes, at), digit(bytes, at + 1)]
  return a < 0 || b < 0 ? -1 : a * 10 + b
}

/** Days from 1970-01-01 of a date of the Gregorian calendar, or NaN when there is no such day. */
const epochDay = (bytes: Buffer, at: number): number => {
  const [century, rest, month, day] = [two(bytes, at), two(bytes, at + 2), two(bytes, at + 5), two(bytes, at + 8)]
  if (century < 0 || rest < 0 || bytes[at + 4] !== 0x2d || bytes[at + 7] !== 0x2d) return Number.NaN
  const year = century * 100 + rest
  return isCivilDate(year, month, day) ? daysFromCivil(year, month, day) : Number.NaN
}

const daySeconds = 86_400
/** First and last day that a column holds, in days from 1970: Date32 and DateTime64 1900 to 2299, Date 1970 to 2149-06-06. */
const wideDays = { first: -25_567, last: 120_529 }
const narrowDays = { first: 0, last: 65_535 }
/** A DateTime ends on 2106-02-07T06:28:15Z. */
const narrowSeconds = 4_294_967_295
/** A DateTime64(9) ends on 2262-04-11T23:47:16Z, where nanoseconds leave 64 bits. */
const nanoSeconds = 9_223_372_036

/** A date in quotes, `2026-01-31`. */
export const checkDate = (bytes: Buffer, at: number, wide: boolean): number => {
  if (bytes[at] !== 0x22 || bytes[at + 11] !== 0x22) return unfit
  const day = epochDay(bytes, at + 1)
  const { first, last } = wide ? wideDays : narrowDays
  return day >= first && day <= last ? at + 12 : unfit
}

const inRange = (seconds: number, digits: number, wide: boolean): boolean =>
  wide
    ? seconds >= wideDays.first * daySeconds &&
      seconds < (wideDays.last + 1) * daySeconds &&
      (digits < 9 || seconds < nanoSeconds)
    : seconds >= 0 && seconds <= narrowSeconds

/** Whole seconds and a fraction without zeros at its end, as the integer that ClickHouse takes for a time: ticks. */
const ticks = (seconds: number, fraction: string, digits: number): string => {
  const total = BigInt(seconds) * 10n ** BigInt(digits) + BigInt(fraction.padEnd(digits, "0") || "0")
  return total.toString()
}

/**
 * A time: in quotes by RFC 3339 with its offset (`2026-01-31T12:00:00.5+02:00`), or a bare number of seconds since 1970. More
 * digits of the second than the column has do not fit, unless they are zeros; nor does a leap second or a time without offset.
 */
export const checkTimestamp = (bytes: Buffer, at: number, digits: number, wide: boolean): number =>
  bytes[at] === 0x22 ? checkRfc3339(bytes, at, digits, wide) : checkSeconds(bytes, at, digits, wide)

const checkRfc3339 = (bytes: Buffer, at: number, digits: number, wide: boolean): number => {
  const day = epochDay(bytes, at + 1)
  const [hour, minute, second] = [two(bytes, at + 12), two(bytes, at + 15), two(bytes, at + 18)]
  const separator = bytes[at + 11]
  if (Number.isNaN(day) || bytes[at + 14] !== 0x3a || bytes[at + 17] !== 0x3a) return unfit
  if (separator !== 0x54 && separator !== 0x74 && separator !== 0x20) return unfit
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return unfit
  let i = at + 20
  let fractionEnd = i
  let point = i
  if (bytes[i] === 0x2e) {
    point = ++i
    while (digit(bytes, i) >= 0) i++
    if (i === point) return unfit
    fractionEnd = i
    while (fractionEnd > point && bytes[fractionEnd - 1] === 0x30) fractionEnd--
  }
  const fractionDigits = i - point
  if (fractionEnd - point > digits) return unfit
  const zone = bytes[i]
  let offset = 0
  if (zone === 0x5a || zone === 0x7a) i += 1
  else if (zone === 0x2b || zone === 0x2d) {
    const [hours, minutes] = [two(bytes, i + 1), two(bytes, i + 4)]
    if (bytes[i + 3] !== 0x3a || hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return unfit
    offset = (zone === 0x2b ? 60 : -60) * (hours * 60 + minutes)
    i += 6
  } else return unfit
  if (bytes[i] !== 0x22) return unfit
  const seconds = day * daySeconds + hour * 3600 + minute * 60 + second - offset
  if (!inRange(seconds, digits, wide)) return unfit
  // ClickHouse reads this spelling exactly; the others it refuses or, before 1970 with a fraction, has read differently.
  if (separator === 0x54 && zone !== 0x7a && seconds >= 0 && fractionDigits <= digits) return i + 1
  return spell(ticks(seconds, bytes.toString("latin1", point, fractionEnd), digits), i + 1)
}

const checkSeconds = (bytes: Buffer, at: number, digits: number, wide: boolean): number => {
  let i = at
  const negative = bytes[i] === 0x2d
  if (negative) i++
  const whole = i
  while (digit(bytes, i) >= 0) i++
  const wholeEnd = i
  // More than eleven digits are milliseconds or a mistake: the seconds of the year 5138.
  if (wholeEnd === whole || wholeEnd - whole > 11 || (bytes[whole] === 0x30 && wholeEnd > whole + 1)) return unfit
  let fractionEnd = wholeEnd
  if (bytes[i] === 0x2e) {
    i++
    const point = i
    while (digit(bytes, i) >= 0) i++
    if (i === point) return unfit
    fractionEnd = i
    while (fractionEnd > point && bytes[fractionEnd - 1] === 0x30) fractionEnd--
  }
  const next = bytes[i]
  if (next === 0x65 || next === 0x45) return unfit
  const fraction = fractionEnd > wholeEnd ? bytes.toString("latin1", wholeEnd + 1, fractionEnd) : ""
  if (fraction.length > digits) return unfit
  const seconds = Number(bytes.toString("latin1", whole, wholeEnd))
  if (!inRange(negative ? -seconds : seconds, digits, wide)) return unfit
  const text = ticks(seconds, fraction, digits)
  return spell(negative && text !== "0" ? `-${text}` : text, i)
}
