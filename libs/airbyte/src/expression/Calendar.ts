import { civilFromDays, daysFromCivil } from "@tributary/codec"

export { type CivilDate, civilFromDays, dayNames, daysFromCivil, monthNames } from "@tributary/codec"

// The proleptic Gregorian calendar, in days since 1970-01-01: beside that of the codec, what Python has of it.

export const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

export const daysInMonth = (year: number, month: number): number =>
  month === 2 ? (isLeap(year) ? 29 : 28) : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31

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
