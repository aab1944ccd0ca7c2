import type { Incremental } from "@tributary/domain"
import { Duration } from "effect"
import { civilFromDays, daysFromCivil } from "@tributary/codec"
import { timeFormat } from "./TimeFormat.ts"

/**
 * A value of an incremental field: what it says (`text`, as the API wrote it) and where it stands among others (`order`, then
 * `fine`). Of a timestamp `order` is milliseconds since 1970 and `fine` the fraction of the last millisecond; of a number it is
 * the number, exactly.
 */
export interface Mark {
  readonly text: string
  readonly order: number | bigint
  readonly fine: number
}

/** How far ahead of the clock a value may be, in milliseconds; numbers are of no clock. */
export const mostAhead = ({ ahead, type }: Pick<Incremental, "ahead" | "type">): number =>
  type === "timestamp" ? Duration.toMillis(ahead ?? Duration.days(1)) : Number.POSITIVE_INFINITY

export const isAfter = (a: Mark, b: Mark): boolean => a.order > b.order || (a.order === b.order && a.fine > b.fine)

const monthDays = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** RFC 3339, also only a date, with a space for the T, without seconds, and without a zone (then UTC). */
const timestamp = /^(\d{4})-(\d\d)-(\d\d)(?:([Tt ])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|z|[+-]\d\d:?\d\d)?)?$/u

const offsetOf = (zone: string): number => {
  if (zone === "" || zone === "Z" || zone === "z") return 0
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2))
  return (zone.startsWith("-") ? -minutes : minutes) * 60_000
}

const timestampMark = (text: string): Mark | undefined => {
  const match = timestamp.exec(text)
  if (match === null) return undefined
  const [, year, month, day, , hour = "0", minute = "0", second = "0", fraction = "", zone = ""] = match
  const [m, d] = [Number(month), Number(day)]
  // A leap second (60) is the first second of the next minute.
  if (
    m < 1 ||
    m > 12 ||
    d < 1 ||
    d > monthDays[m - 1]! ||
    Number(hour) > 24 ||
    Number(minute) > 59 ||
    Number(second) > 60
  ) {
    return undefined
  }
  const digits = fraction.padEnd(3, "0")
  const order =
    daysFromCivil(Number(year), m, d) * 86_400_000 +
    Number(hour) * 3_600_000 +
    Number(minute) * 60_000 +
    Number(second) * 1000 +
    Number(digits.slice(0, 3)) -
    offsetOf(zone)
  return { text, order, fine: digits.length > 3 ? Number(`0.${digits.slice(3)}`) : 0 }
}

const numberMark = (text: string): Mark | undefined => {
  if (!/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/u.test(text)) return undefined
  const value = Number(text)
  if (Number.isSafeInteger(value) || !/^-?\d+$/u.test(text)) {
    return Number.isFinite(value) ? { text, order: value, fine: 0 } : undefined
  }
  return { text, order: BigInt(text), fine: 0 }
}

/** What a value is, and how it is written. */
export type MarkType = Pick<Incremental, "type" | "format">

/** Reads a value; `undefined` if it is none of its type. Positions that Tributary made itself are RFC 3339 whatever the format. */
export const readMark = (text: string, { format, type }: MarkType): Mark | undefined => {
  if (type === "number") return numberMark(text)
  if (format !== undefined) {
    const read = timeFormat(format).read(text)
    if (read !== undefined) return { text, order: read.millis, fine: read.fine }
  }
  return timestampMark(text)
}

const pad = (value: number, width: number): string => String(value).padStart(width, "0")

/** The date of a day since 1970-01-01. */
const dateOf = (days: number): string => {
  const { day, month, year } = civilFromDays(days)
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`
}

/** The time `millis` before, written as `text` is: same zone, same digits. What does not fit is cut off, so it is never later. */
const earlierTimestamp = (mark: Mark, millis: number): string => {
  const [, , , , separator, , minute, second, fraction, zone = ""] = timestamp.exec(mark.text) ?? []
  const local = Number(mark.order) + offsetOf(zone) - millis
  const days = Math.floor(local / 86_400_000)
  if (separator === undefined || minute === undefined) return dateOf(days)
  const rest = local - days * 86_400_000
  const time = `${pad(Math.floor(rest / 3_600_000), 2)}:${pad(Math.floor(rest / 60_000) % 60, 2)}`
  const seconds = second === undefined ? "" : `:${pad(Math.floor(rest / 1000) % 60, 2)}`
  const milliseconds = pad(rest % 1000, 3)
  const digits =
    fraction === undefined
      ? ""
      : `.${fraction.length <= 3 ? milliseconds.slice(0, fraction.length) : milliseconds + fraction.slice(3)}`
  return `${dateOf(days)}${separator}${time}${seconds}${digits}${zone}`
}

/** The number `seconds` smaller. */
const smallerNumber = (mark: Mark, seconds: number): string => {
  if (Number.isInteger(seconds) && /^-?\d+$/u.test(mark.text)) return String(BigInt(mark.text) - BigInt(seconds))
  return String(Number(mark.order) - seconds)
}

/** A time as RFC 3339, for positions that no record has. */
export const timeText = (millis: number): string =>
  `${dateOf(Math.floor(millis / 86_400_000))}T${timeFormat("%H:%M:%S").write(millis)}.${pad(((millis % 1000) + 1000) % 1000, 3)}Z`

/** The value to read from when `mark` is the highest that was seen, as a mark reads it. A lookback on numbers counts in seconds. */
export const lookBack = (mark: Mark, incremental: Pick<Incremental, "type" | "format" | "lookback">): string => {
  const millis = Math.ceil(Duration.toMillis(incremental.lookback))
  if (millis === 0) return mark.text
  if (incremental.type === "number") return smallerNumber(mark, millis / 1000)
  const { format } = incremental
  const isRfc = format === undefined || timeFormat(format).read(mark.text) === undefined
  return isRfc ? earlierTimestamp(mark, millis) : timeFormat(format).write(Number(mark.order) - millis)
}
