import * as Calendar from "./Calendar.ts"
import { formatOffset, pad, PyDate, PyDateTime, PyTime, type PyZone } from "./DateTime.ts"
import { grow } from "./Meter.ts"

/** The fields strftime prints, whatever they come from. */
interface Fields {
  readonly date: PyDate
  readonly time: PyTime
  readonly zone: PyZone | undefined
}

interface Code {
  /** The text or number; a number is padded to `width` with `fill`. */
  readonly value: string | number
  readonly width: number
  readonly fill: "0" | " "
}

const digits = (value: number, width: number, fill: "0" | " " = "0"): Code => ({ value, width, fill })
const text = (value: string): Code => ({ value, width: 0, fill: " " })

const weekOfYear = (days: number, year: number, firstWeekday: number): number => {
  const dayOfYear = days - Calendar.daysFromCivil(year, 1, 1)
  return Math.floor((dayOfYear + 7 - ((Calendar.weekday(days) - firstWeekday + 7) % 7)) / 7)
}

const composites: { readonly [code: string]: string } = {
  c: "%a %b %e %H:%M:%S %Y",
  x: "%m/%d/%y",
  D: "%m/%d/%y",
  X: "%H:%M:%S",
  T: "%H:%M:%S",
  R: "%H:%M",
  r: "%I:%M:%S %p",
  F: "%Y-%m-%d"
}

const codeOf = (code: string, { date, time, zone }: Fields): Code | undefined => {
  const { year, month, day } = date.civil
  const { days } = date
  const hour12 = time.hour % 12 === 0 ? 12 : time.hour % 12
  switch (code) {
    case "a":
      return text((Calendar.dayNames[Calendar.weekday(days)] ?? "").slice(0, 3))
    case "A":
      return text(Calendar.dayNames[Calendar.weekday(days)] ?? "")
    case "b":
    case "h":
      return text((Calendar.monthNames[month - 1] ?? "").slice(0, 3))
    case "B":
      return text(Calendar.monthNames[month - 1] ?? "")
    case "C":
      return digits(Math.floor(year / 100), 1)
    case "d":
      return digits(day, 2)
    case "e":
      return digits(day, 2, " ")
    case "g":
      return digits(Calendar.isoWeek(days).year % 100, 2)
    case "G":
      return digits(Calendar.isoWeek(days).year, 1)
    case "H":
      return digits(time.hour, 2)
    case "I":
      return digits(hour12, 2)
    case "j":
      return digits(days - Calendar.daysFromCivil(year, 1, 1) + 1, 3)
    case "k":
      return digits(time.hour, 2, " ")
    case "l":
      return digits(hour12, 2, " ")
    case "m":
      return digits(month, 2)
    case "M":
      return digits(time.minute, 2)
    case "n":
      return text("\n")
    case "p":
      return text(time.hour < 12 ? "AM" : "PM")
    case "P":
      return text(time.hour < 12 ? "am" : "pm")
    case "s":
      return digits(days * 86_400 + Math.floor(time.micros / 1_000_000), 1)
    case "S":
      return digits(time.second, 2)
    case "t":
      return text("\t")
    case "u":
      return digits(Calendar.weekday(days) + 1, 1)
    case "U":
      return digits(weekOfYear(days, year, 6), 2)
    case "V":
      return digits(Calendar.isoWeek(days).week, 2)
    case "w":
      return digits((Calendar.weekday(days) + 1) % 7, 1)
    case "W":
      return digits(weekOfYear(days, year, 0), 2)
    case "y":
      return digits(year % 100, 2)
    case "Y":
      return digits(year, 1)
    case "z":
      return text(zone === undefined ? "" : formatOffset(zone.offset, ""))
    case "Z":
      return text(zone?.name ?? "")
    case "%":
      return text("%")
    default:
      return undefined
  }
}

const directive = /%(?:([fzZ])|([-_0^#]*)([0-9]*)[EO]?([a-zA-Z%]))/g

const render = (format: string, fields: Fields): string =>
  format.replace(directive, (whole, own: string | undefined, flags = "", width = "", code = "") => {
    if (own === "f") return pad(fields.time.microsecond, 6)
    const composite = composites[code]
    const found: Code | undefined =
      composite === undefined ? codeOf(own ?? code, fields) : text(render(composite, fields))
    if (found === undefined || (own === undefined && code === "f")) return whole
    if (own !== undefined) return String(found.value)
    let fill: string = found.fill
    let minimum = found.width
    let upper = false
    let swap = false
    for (const flag of flags) {
      if (flag === "-") minimum = 0
      else if (flag === "_") fill = " "
      else if (flag === "0") fill = "0"
      else if (flag === "^") upper = true
      else swap = true
    }
    if (flags.includes("-")) fill = " "
    if (width !== "") {
      minimum = Math.min(Number(width), 1024)
      if (typeof found.value === "string" && !flags.includes("0")) fill = " "
      grow(minimum)
    }
    // A zone printed with flags has a name only where it is known to have no summer time: the C library is not told it.
    const unnamed = (code === "Z" || code === "z") && fields.zone?.type !== "UTC"
    let value = unnamed ? "" : String(found.value)
    if (upper || (swap && code !== "p" && code !== "Z")) value = value.toUpperCase()
    else if (swap) value = value.toLowerCase()
    return value.padStart(minimum, fill)
  })

const midnight = new PyTime(0)
const firstDay = new PyDate(Calendar.daysFromCivil(1900, 1, 1))

/** strftime of a date, datetime or time, in the C locale. */
export const strftime = (value: PyDate | PyTime, format: string): string => {
  grow(format.length)
  if (value instanceof PyTime) return render(format, { date: firstDay, time: value, zone: value.zone })
  return value instanceof PyDateTime
    ? render(format, { date: value, time: value.time, zone: value.zone })
    : render(format, { date: value, time: midnight, zone: undefined })
}

/** The CDK's format codes on top of strftime: %s, %s_as_float, %ms, %_ms and %epoch_microseconds. */
export const formatCdk = (value: PyDateTime, format: string): string => {
  switch (format) {
    case "%s":
      return String(Math.trunc(value.timestamp()))
    case "%s_as_float":
      return floatText(value.timestamp())
    case "%epoch_microseconds":
      return String(Math.trunc(value.timestamp() * 1_000_000))
    case "%ms":
      return String(Math.trunc(value.timestamp() * 1000))
    default:
  }
  if (!format.includes("%_ms")) return strftime(value, format)
  const micros = pad(value.time.microsecond, 6)
  return strftime(value, format.replaceAll("%_ms", "%f")).replaceAll(
    micros,
    pad(Math.trunc(value.time.microsecond / 1000), 3)
  )
}

const floatText = (value: number): string => (Number.isInteger(value) ? `${value}.0` : String(value))
