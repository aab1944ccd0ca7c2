import * as Calendar from "./Calendar.ts"
import { checkedDays, checkedMicros, fixedZone, fromTimestamp, PyDateTime, utc } from "./DateTime.ts"
import { grow } from "./Meter.ts"
import { parseFloating, parseInteger } from "./Numbers.ts"
import { PyError, valueError } from "./PyError.ts"

const longestFirst = (names: ReadonlyArray<string>): string => names.toSorted((a, b) => b.length - a.length).join("|")

const months = Calendar.monthNames.map((name) => name.toLowerCase())
const days = Calendar.dayNames.map((name) => name.toLowerCase())
const short = (name: string): string => name.slice(0, 3)

const singles: { readonly [code: string]: string } = {
  d: "3[0-1]|[1-2]\\d|0[1-9]|[1-9]| [1-9]",
  f: "[0-9]{1,6}",
  H: "2[0-3]|[0-1]\\d|\\d",
  I: "1[0-2]|0[1-9]|[1-9]",
  G: "\\d\\d\\d\\d",
  j: "36[0-6]|3[0-5]\\d|[1-2]\\d\\d|0[1-9]\\d|00[1-9]|[1-9]\\d|0[1-9]|[1-9]",
  m: "1[0-2]|0[1-9]|[1-9]",
  M: "[0-5]\\d|\\d",
  S: "6[0-1]|[0-5]\\d|\\d",
  U: "5[0-3]|[0-4]\\d|\\d",
  W: "5[0-3]|[0-4]\\d|\\d",
  w: "[0-6]",
  u: "[1-7]",
  V: "5[0-3]|0[1-9]|[1-4]\\d|\\d",
  y: "\\d\\d",
  Y: "\\d\\d\\d\\d",
  z: "[+-]\\d\\d:?[0-5]\\d(?::?[0-5]\\d(?:\\.\\d{1,6})?)?|(?-i:Z)",
  A: longestFirst(days),
  a: longestFirst(days.map(short)),
  B: longestFirst(months),
  b: longestFirst(months.map(short)),
  p: "am|pm",
  Z: "utc|gmt"
}
const composites: { readonly [code: string]: string } = {
  c: "%a %b %d %H:%M:%S %Y",
  x: "%m/%d/%y",
  X: "%H:%M:%S"
}

const patternOf = (format: string, seen: Set<string>, whole: string): string => {
  let pattern = ""
  for (let at = 0; at < format.length; at++) {
    const char = format.charAt(at)
    if (/\s/.test(char)) {
      while (/\s/.test(format.charAt(at + 1))) at++
      pattern += "\\s+"
    } else if (char === "%") {
      const code = format.charAt(++at)
      const single = singles[code]
      const composite = composites[code]
      if (code === "") throw valueError(`stray % in format '${whole}'`)
      if (code === "%") pattern += "%"
      else if (single !== undefined) {
        if (seen.has(code)) throw new PyError("re.error", `redefinition of group name '${code}'`)
        seen.add(code)
        pattern += `(?<${code}>${single})`
      } else if (composite !== undefined) pattern += patternOf(composite, seen, whole)
      else throw valueError(`'${code}' is a bad directive in format '${whole}'`)
    } else {
      pattern += char.replace(/[\\.^$*+?(){}[\]|/]/, "\\$&")
    }
  }
  return pattern
}

const compiled = new Map<string, RegExp>()
const regexOf = (format: string): RegExp => {
  const known = compiled.get(format)
  if (known !== undefined) return known
  const made = new RegExp(patternOf(format, new Set(), format), "iy")
  if (compiled.size >= 100) compiled.clear()
  compiled.set(format, made)
  return made
}

const julianFromWeek = (year: number, week: number, weekday: number, mondayFirst: boolean): number => {
  let first = Calendar.weekday(Calendar.daysFromCivil(year, 1, 1))
  let day = weekday
  if (!mondayFirst) {
    first = (first + 1) % 7
    day = (weekday + 1) % 7
  }
  const weekZero = (7 - first) % 7
  return week === 0 ? 1 + day - first : 1 + weekZero + 7 * (week - 1) + day
}

const offsetOf = (text: string): number => {
  if (text === "Z") return 0
  let z = text
  if (z[3] === ":") {
    z = z.slice(0, 3) + z.slice(4)
    if (z.length > 5) {
      if (z[5] !== ":") throw valueError(`Inconsistent use of : in ${text}`)
      z = z.slice(0, 5) + z.slice(6)
    }
  }
  const second = z.slice(5, 7) === "" ? 0 : Number(parseInteger(z.slice(5, 7), 10))
  const seconds = Number(z.slice(1, 3)) * 3600 + Number(z.slice(3, 5)) * 60 + second
  const micros = seconds * 1_000_000 + Number(z.slice(8).padEnd(6, "0"))
  return z.startsWith("-") ? -micros : micros
}

/** datetime.strptime(text, format). */
export const strptime = (text: string, format: string): PyDateTime => {
  grow(text.length)
  const regex = regexOf(format)
  regex.lastIndex = 0
  const match = regex.exec(text)
  if (match === null) throw valueError(`time data '${text}' does not match format '${format}'`)
  if (match[0].length !== text.length) throw valueError(`unconverted data remains: ${text.slice(match[0].length)}`)
  const groups = match.groups ?? {}
  const num = (code: string): number | undefined => (groups[code] === undefined ? undefined : Number(groups[code]))
  const nameIndex = (code: string, names: ReadonlyArray<string>): number | undefined =>
    groups[code] === undefined ? undefined : names.indexOf(groups[code].toLowerCase())

  const short2 = num("y")
  let year = num("Y") ?? (short2 === undefined ? undefined : short2 <= 68 ? short2 + 2000 : short2 + 1900)
  const isoYear = num("G")
  const monthIndex = nameIndex("B", months) ?? nameIndex("b", months.map(short))
  let month = num("m") ?? (monthIndex === undefined ? 1 : monthIndex + 1)
  let day = num("d") ?? 1
  let hour = num("H") ?? 0
  const hour12 = num("I")
  if (hour12 !== undefined) {
    hour = hour12 % 12
    if ((groups["p"] ?? "").toLowerCase() === "pm") hour += 12
  }
  const sunday = num("w")
  const iso = num("u")
  const weekday =
    nameIndex("A", days) ??
    nameIndex("a", days.map(short)) ??
    (sunday === undefined ? (iso === undefined ? undefined : iso - 1) : (sunday + 6) % 7)
  const week = num("U") ?? num("W")
  const isoWeek = num("V")
  let julian = num("j")
  if (year === undefined && isoYear !== undefined) {
    if (isoWeek === undefined || weekday === undefined) {
      throw valueError("ISO year directive '%G' must be used with '%V' and a weekday directive")
    }
    if (julian !== undefined) throw valueError("Day of the year directive '%j' is not compatible with '%G'")
  } else if (week === undefined && isoWeek !== undefined) {
    throw valueError("ISO week directive '%V' must be used with the ISO year directive '%G'")
  }
  const leapFix = year === undefined && month === 2 && day === 29
  year ??= leapFix ? 1904 : 1900
  if (julian === undefined && weekday !== undefined) {
    if (week !== undefined) julian = julianFromWeek(year, week, weekday, groups["U"] === undefined)
    else if (isoYear !== undefined && isoWeek !== undefined) {
      year = isoYear
      julian = Calendar.isoWeekStart(isoYear) + (isoWeek - 1) * 7 + weekday - Calendar.daysFromCivil(isoYear, 1, 1) + 1
    }
  }
  if (julian === undefined) checkedDays(year, month, day)
  else {
    const moved = Calendar.civilFromDays(checkedDays(year, 1, 1) + julian - 1)
    year = moved.year
    month = moved.month
    day = moved.day
  }
  if (leapFix) year = 1900
  const second = num("S") ?? 0
  const micro = groups["f"] === undefined ? 0 : Number(groups["f"].padEnd(6, "0"))
  const zone =
    groups["z"] === undefined
      ? undefined
      : groups["Z"] === undefined
        ? fixedZone(offsetOf(groups["z"]))
        : fixedZone(offsetOf(groups["z"]), groups["Z"])
  return new PyDateTime(checkedDays(year, month, day), checkedMicros(hour, num("M") ?? 0, second, micro), zone)
}

/** The CDK's datetime parser: strptime, and %s, %s_as_float, %ms, %_ms and %epoch_microseconds; UTC when no zone is given. */
export const parseCdk = (text: string, format: string): PyDateTime => {
  switch (format) {
    case "%s":
      return fromTimestamp(Number(parseInteger(text, 10)), utc)
    case "%s_as_float":
      return fromTimestamp(parseFloating(text), utc)
    case "%epoch_microseconds":
      return PyDateTime.fromEpoch(BigInt(parseInteger(text, 10)), utc)
    case "%ms":
      return PyDateTime.fromEpoch(BigInt(parseInteger(text, 10)) * 1000n, utc)
    default: {
      const parsed = strptime(text, format.replaceAll("%_ms", "%f"))
      return parsed.zone === undefined ? new PyDateTime(parsed.days, parsed.time.micros, utc) : parsed
    }
  }
}
