/** Days, times of day and ticks since 1970 of the proleptic Gregorian calendar in UTC, for the years 0000 to 9999. */

const daySeconds = 86_400n

/** Days from 1970-01-01 (H. Hinnant, days_from_civil); `undefined` when there is no such day. */
const dayOf = (year: number, month: number, day: number): number | undefined => {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const length = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31
  if (month < 1 || month > 12 || day < 1 || day > length) return undefined
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const ofEra = y - era * 400
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468
}

const firstDay = dayOf(0, 1, 1) ?? 0
const lastDay = dayOf(9999, 12, 31) ?? 0

const dateForm = /^(\d{4})-(\d{2})-(\d{2})$/u

/** Days from 1970-01-01 of `2026-01-31`. */
export const readDate = (text: string): number | undefined => {
  const found = dateForm.exec(text)
  return found === null ? undefined : dayOf(Number(found[1]), Number(found[2]), Number(found[3]))
}

const two = (n: number): string => String(n).padStart(2, "0")

/** `2026-01-31` of a number of days from 1970-01-01 (H. Hinnant, civil_from_days). */
export const writeDate = (days: number): string => {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const ofEra = z - era * 146_097
  const ofEraYear = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365
  )
  const ofYear = ofEra - (365 * ofEraYear + Math.floor(ofEraYear / 4) - Math.floor(ofEraYear / 100))
  const m = Math.floor((5 * ofYear + 2) / 153)
  const day = ofYear - Math.floor((153 * m + 2) / 5) + 1
  const month = m < 10 ? m + 3 : m - 9
  const year = ofEraYear + era * 400 + (month <= 2 ? 1 : 0)
  const years = year < 0 ? `-${String(-year).padStart(6, "0")}` : String(year).padStart(4, "0")
  return `${years}-${two(month)}-${two(day)}`
}

const timeForm = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/u
/** More digits are milliseconds, or a mistake. */
const secondsForm = /^(-?)(0|[1-9]\d{0,10})(?:\.(\d+))?$/u

const minInt64 = -(2n ** 63n)
const maxInt64 = 2n ** 63n - 1n

/** Seconds and the digits behind their point as ticks of 10^-`digits` seconds; `undefined` when ticks cannot hold all of it. */
const ticksOf = (seconds: bigint, fraction: string, digits: number, negative: boolean): bigint | undefined => {
  const kept = fraction.replace(/0+$/u, "")
  if (kept.length > digits) return undefined
  const part = BigInt(kept.padEnd(digits, "0") || "0")
  const ticks = seconds * 10n ** BigInt(digits) + part
  const signed = negative ? -ticks : ticks
  const scale = 10n ** BigInt(digits) * daySeconds
  const fits = signed >= BigInt(firstDay) * scale && signed < BigInt(lastDay + 1) * scale
  return fits && signed >= minInt64 && signed <= maxInt64 ? signed : undefined
}

/** Ticks since 1970 of a time by RFC 3339 with its offset. */
export const readTime = (text: string, digits: number): bigint | undefined => {
  const found = timeForm.exec(text)
  if (found === null) return undefined
  const [, date = "", hours, minutes, seconds, fraction = "", sign, offsetHours = "0", offsetMinutes = "0"] = found
  const day = readDate(date)
  const time = [Number(hours), Number(minutes), Number(seconds)] as const
  if (day === undefined || time[0] > 23 || time[1] > 59 || time[2] > 59) return undefined
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return undefined
  const offset = (sign === "-" ? -60 : 60) * (Number(offsetHours) * 60 + Number(offsetMinutes))
  const ofDay = time[0] * 3600 + time[1] * 60 + time[2] - offset
  return ticksOf(BigInt(day) * daySeconds + BigInt(ofDay), fraction, digits, false)
}

/** Ticks since 1970 of a number of seconds. */
export const readSeconds = (text: string, digits: number): bigint | undefined => {
  const found = secondsForm.exec(text)
  if (found === null) return undefined
  const [, sign = "", seconds = "", fraction = ""] = found
  return ticksOf(BigInt(seconds), fraction, digits, sign === "-")
}

/** A time by RFC 3339 in UTC; zeros at the end of the second are left out. */
export const writeTime = (ticks: bigint, digits: number, zone = "Z"): string => {
  const perSecond = 10n ** BigInt(digits)
  const seconds = ticks / perSecond - (ticks % perSecond < 0n ? 1n : 0n)
  const days = seconds / daySeconds - (seconds % daySeconds < 0n ? 1n : 0n)
  const ofDay = Number(seconds - days * daySeconds)
  const fraction = (ticks - seconds * perSecond).toString().padStart(digits, "0").slice(0, digits).replace(/0+$/u, "")
  const time = [Math.floor(ofDay / 3600), Math.floor(ofDay / 60) % 60, ofDay % 60].map(two).join(":")
  return `${writeDate(Number(days))}T${time}${digits === 0 || fraction === "" ? "" : `.${fraction}`}${zone}`
}
