import { civilFromDays, dayNames, daysFromCivil, monthNames } from "@tributary/codec"

/** A form of times: codes as in strftime, of which `%s`, `%ms` (`%_ms`) and `%epoch_microseconds` count from 1970. */
export interface TimeFormat {
  /** Milliseconds since 1970 and the fraction of the last one; `undefined` if the text has not the form. */
  readonly read: (text: string) => { readonly millis: number; readonly fine: number } | undefined
  readonly write: (millis: number) => string
}

const months = monthNames.map((name) => name.slice(0, 3))
/** From Sunday. */
const days = [...dayNames.slice(-1), ...dayNames.slice(0, -1)]

const pad = (value: number, width: number): string => String(value).padStart(width, "0")

/** The parts of a time in UTC. */
interface Parts {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly yearDay: number
  readonly weekDay: number
  readonly hour: number
  readonly minute: number
  readonly second: number
  readonly milli: number
  readonly millis: number
}

const partsOf = (millis: number): Parts => {
  const day = Math.floor(millis / 86_400_000)
  const rest = millis - day * 86_400_000
  const civil = civilFromDays(day)
  return {
    ...civil,
    yearDay: day - daysFromCivil(civil.year, 1, 1) + 1,
    weekDay: (((day + 4) % 7) + 7) % 7,
    hour: Math.floor(rest / 3_600_000),
    minute: Math.floor(rest / 60_000) % 60,
    second: Math.floor(rest / 1000) % 60,
    milli: Math.floor(rest % 1000),
    millis
  }
}

/** How a code is written, and the pattern of what is read for it. */
interface Code {
  readonly pattern: string
  readonly write: (parts: Parts) => string
}

const codes: Readonly<Record<string, Code>> = {
  Y: { pattern: "\\d{4}", write: ({ year }) => pad(year, 4) },
  y: { pattern: "\\d{2}", write: ({ year }) => pad(year % 100, 2) },
  m: { pattern: "\\d{1,2}", write: ({ month }) => pad(month, 2) },
  d: { pattern: "\\d{1,2}", write: ({ day }) => pad(day, 2) },
  e: { pattern: " ?\\d{1,2}", write: ({ day }) => String(day).padStart(2, " ") },
  j: { pattern: "\\d{1,3}", write: ({ yearDay }) => pad(yearDay, 3) },
  H: { pattern: "\\d{1,2}", write: ({ hour }) => pad(hour, 2) },
  I: { pattern: "\\d{1,2}", write: ({ hour }) => pad(hour % 12 === 0 ? 12 : hour % 12, 2) },
  p: { pattern: "[AaPp][Mm]", write: ({ hour }) => (hour < 12 ? "AM" : "PM") },
  M: { pattern: "\\d{1,2}", write: ({ minute }) => pad(minute, 2) },
  S: { pattern: "\\d{1,2}", write: ({ second }) => pad(second, 2) },
  f: { pattern: "\\d{1,9}", write: ({ milli }) => `${pad(milli, 3)}000` },
  z: { pattern: "Z|[+-]\\d{2}:?\\d{2}", write: () => "+0000" },
  Z: { pattern: "Z|UTC|GMT", write: () => "UTC" },
  b: { pattern: months.join("|"), write: ({ month }) => months[month - 1]! },
  B: { pattern: monthNames.join("|"), write: ({ month }) => monthNames[month - 1]! },
  a: { pattern: "[A-Za-z]{3}", write: ({ weekDay }) => days[weekDay]!.slice(0, 3) },
  A: { pattern: "[A-Za-z]+", write: ({ weekDay }) => days[weekDay]! },
  s: { pattern: "-?\\d+(?:\\.\\d+)?", write: ({ millis }) => String(Math.floor(millis / 1000)) },
  ms: { pattern: "-?\\d+", write: ({ millis }) => String(Math.floor(millis)) },
  _ms: { pattern: "-?\\d+", write: ({ millis }) => String(Math.floor(millis)) },
  epoch_microseconds: { pattern: "-?\\d+", write: ({ millis }) => `${Math.floor(millis)}000` }
}

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/gu, "\\$&")

/** Seconds since 1970 may have decimals, of which a double would lose some. */
const epochOf = (text: string, perMilli: number): { readonly millis: number; readonly fine: number } => {
  const value = Number(text) / perMilli
  const millis = Math.floor(value)
  return { millis, fine: value - millis }
}

const formats = new Map<string, TimeFormat>()

/** The form that a text of codes describes. */
export const timeFormat = (format: string): TimeFormat => {
  const known = formats.get(format)
  if (known !== undefined) return known
  const names: Array<string> = []
  const pieces: Array<string | Code> = []
  let pattern = ""
  for (const [piece, name, percent] of format.matchAll(/%(epoch_microseconds|_ms|ms|[A-Za-z])|%(%)|[^%]+/gu)) {
    const code = name === undefined ? undefined : codes[name]
    if (code === undefined || name === undefined) {
      const text = percent ?? piece
      pieces.push(text)
      pattern += escaped(text)
    } else {
      pieces.push(code)
      names.push(name)
      pattern += `(${code.pattern})`
    }
  }
  const expression = new RegExp(`^${pattern}$`, "u")
  const read: TimeFormat["read"] = (text) => {
    const match = expression.exec(text)
    if (match === null) return undefined
    const found = new Map(names.map((name, index) => [name, match[index + 1] ?? ""]))
    const epoch = found.get("s")
    if (epoch !== undefined) return epochOf(epoch, 0.001)
    const millis = found.get("ms") ?? found.get("_ms")
    if (millis !== undefined) return epochOf(millis, 1)
    const micros = found.get("epoch_microseconds")
    if (micros !== undefined) return epochOf(micros, 1000)
    const number = (name: string): number | undefined => {
      const value = found.get(name)
      return value === undefined ? undefined : Number(value)
    }
    const short = number("y")
    const year = number("Y") ?? (short === undefined ? 1970 : short < 69 ? 2000 + short : 1900 + short)
    const named = months.indexOf((found.get("b") ?? found.get("B") ?? "").slice(0, 3)) + 1
    const month = number("m") ?? (named === 0 ? 1 : named)
    const day = number("d") ?? number("e") ?? 1
    const half = found.get("p")?.toLowerCase()
    const twelve = number("I")
    const hour = number("H") ?? (twelve === undefined ? 0 : (twelve % 12) + (half === "pm" ? 12 : 0))
    const minute = number("M") ?? 0
    const second = number("S") ?? 0
    const date = civilFromDays(daysFromCivil(year, month, day))
    if (date.month !== month || date.day !== day || hour > 24 || minute > 59 || second > 60) return undefined
    const digits = (found.get("f") ?? "").padEnd(3, "0")
    const zone = found.get("z") ?? ""
    const offset = /^[+-]/u.test(zone)
      ? (zone.startsWith("-") ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2)))
      : 0
    const start = daysFromCivil(year, month, day) + (number("j") === undefined ? 0 : Number(found.get("j")) - 1)
    return {
      millis:
        start * 86_400_000 + hour * 3_600_000 + (minute - offset) * 60_000 + second * 1000 + Number(digits.slice(0, 3)),
      fine: digits.length > 3 ? Number(`0.${digits.slice(3)}`) : 0
    }
  }
  const write: TimeFormat["write"] = (millis) => {
    const parts = partsOf(millis)
    return pieces.map((piece) => (typeof piece === "string" ? piece : piece.write(parts))).join("")
  }
  const made = { read, write }
  formats.set(format, made)
  return made
}
