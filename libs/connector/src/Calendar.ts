/** Dates of the Gregorian calendar as days since 1970-01-01. */

/** Days to a date (Howard Hinnant, "days_from_civil"). */
export const daysOf = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
}

/** The date of a day (Howard Hinnant, "civil_from_days"). */
export const civilOf = (days: number): { readonly year: number; readonly month: number; readonly day: number } => {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const mp = Math.floor((5 * dayOfYear + 2) / 153)
  const month = mp < 10 ? mp + 3 : mp - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * mp + 2) / 5) + 1
  }
}

/** Calendar units whose beginnings are known in UTC. */
export type Unit = "day" | "week" | "month"

const dayMillis = 86_400_000

/** The beginning of the unit that a time is in, milliseconds since 1970. Weeks begin on Mondays. */
export const floorTo = (unit: Unit, millis: number): number => {
  const day = Math.floor(millis / dayMillis)
  if (unit === "day") return day * dayMillis
  if (unit === "week") return (day - ((((day + 3) % 7) + 7) % 7)) * dayMillis
  const { month, year } = civilOf(day)
  return daysOf(year, month, 1) * dayMillis
}

/** The beginning of the next unit, unless the time is one. */
export const ceilTo = (unit: Unit, millis: number): number => {
  const floor = floorTo(unit, millis)
  if (floor === millis) return millis
  // No unit is longer than 31 days, and none begins less than a day after another.
  return unit === "month" ? floorTo(unit, floor + 31 * dayMillis) : floor + (unit === "day" ? 1 : 7) * dayMillis
}
