/** The proleptic Gregorian calendar, in days since 1970-01-01. */

export interface CivilDate {
  readonly year: number
  readonly month: number
  readonly day: number
}

export const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

export const daysInMonth = (year: number, month: number): number =>
  month === 2 ? (isLeap(year) ? 29 : 28) : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31

/** Days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
export const daysFromCivil = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

export const civilFromDays = (days: number): CivilDate => {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1
  }
}

export const minDays = daysFromCivil(1, 1, 1)
export const maxDays = daysFromCivil(9999, 12, 31)

/** 0 is Monday. */
export const weekday = (days: number): number => (((days + 3) % 7) + 7) % 7

export interface IsoWeek {
  readonly year: number
  readonly week: number
  /** 1 is Monday. */
  readonly day: number
}

export const isoWeekStart = (year: number): number => {
  const january4 = daysFromCivil(year, 1, 4)
  return january4 - weekday(january4)
}

export const isoWeek = (days: number): IsoWeek => {
  const { year } = civilFromDays(days)
  const isoYear = days < isoWeekStart(year) ? year - 1 : days >= isoWeekStart(year + 1) ? year + 1 : year
  return { year: isoYear, week: Math.floor((days - isoWeekStart(isoYear)) / 7) + 1, day: weekday(days) + 1 }
}

export const monthNames = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December"
] as const
export const dayNames = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"] as const
