import * as Calendar from "./Calendar.ts"
import { checkedDays, checkedMicros, fixedZone, PyDate, PyDateTime } from "./DateTime.ts"
import { valueError } from "./PyError.ts"

const datePart = /^(\d{4})(?:-(\d{2})-(\d{2})|(\d{2})(\d{2})|-W(\d{2})(?:-(\d))?|W(\d{2})(\d)?)/
const timePart = /^(\d{2})(?:(?::(\d{2})(?::(\d{2})(?:[.,](\d+))?)?)|(?:(\d{2})(?:(\d{2})(?:[.,](\d+))?)?))?$/

const clock = (text: string, invalid: () => Error): number => {
  const match = timePart.exec(text)
  if (match === null) throw invalid()
  const fraction = match[4] ?? match[7] ?? ""
  const [hour, minute, second] = [match[1], match[2] ?? match[5], match[3] ?? match[6]].map((part) => Number(part ?? 0))
  return checkedMicros(hour ?? 0, minute ?? 0, second ?? 0, Number(fraction.slice(0, 6).padEnd(6, "0")))
}

/** datetime.fromisoformat and date.fromisoformat of Python 3.11. */
export const fromIsoFormat = (text: string, withTime: boolean): PyDate => {
  const invalid = (): Error => valueError(`Invalid isoformat string: '${text}'`)
  const match = datePart.exec(text)
  if (match === null) throw invalid()
  const year = Number(match[1])
  const week = match[6] ?? match[8]
  let days: number
  if (week === undefined) {
    days = checkedDays(year, Number(match[2] ?? match[4]), Number(match[3] ?? match[5]))
  } else {
    const start = Calendar.isoWeekStart(year)
    const day = Number(match[7] ?? match[9] ?? 1)
    if (Number(week) < 1 || Number(week) > (Calendar.isoWeekStart(year + 1) - start) / 7 || day < 1 || day > 7) {
      throw valueError(`Invalid week: ${week}`)
    }
    days = start + (Number(week) - 1) * 7 + day - 1
  }
  const rest = text.slice(match[0].length)
  if (!withTime) {
    if (rest !== "") throw invalid()
    return new PyDate(days)
  }
  if (rest === "") return new PyDateTime(days, 0)
  const [, ...chars] = rest
  const time = chars.join("")
  const zoneAt = time.search(/[-+Z]/)
  const micros = clock(zoneAt < 0 ? time : time.slice(0, zoneAt), invalid)
  if (zoneAt < 0) return new PyDateTime(days, micros)
  const zone = time.slice(zoneAt)
  if (zone === "Z") return new PyDateTime(days, micros, fixedZone(0))
  if (zone.startsWith("Z")) throw invalid()
  const offset = clock(zone.slice(1), invalid)
  return new PyDateTime(days, micros, fixedZone(zone.startsWith("-") ? -offset : offset))
}
