import { civilFromDays, daysFromCivil } from "@tributary/codec"

/** Calendar units whose beginnings are known in UTC. */
export type Unit = "day" | "week" | "month"

const dayMillis = 86_400_000

/** The beginning of the unit that a time is in, milliseconds since 1970. Weeks begin on Mondays. */
export const floorTo = (unit: Unit, millis: number): number => {
  const day = Math.floor(millis / dayMillis)
  if (unit === "day") return day * dayMillis
  if (unit === "week") return (day - ((((day + 3) % 7) + 7) % 7)) * dayMillis
  const { month, year } = civilFromDays(day)
  return daysFromCivil(year, month, 1) * dayMillis
}

/** The beginning of the next unit, unless the time is one. */
export const ceilTo = (unit: Unit, millis: number): number => {
  const floor = floorTo(unit, millis)
  if (floor === millis) return millis
  // No unit is longer than 31 days, and none begins less than a day after another.
  return unit === "month" ? floorTo(unit, floor + 31 * dayMillis) : floor + (unit === "day" ? 1 : 7) * dayMillis
}
