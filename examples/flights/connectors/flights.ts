import type { RecordTransform } from "@tributary/transform"

/**
 * Gives a flight the moments of its departure. The API has the scheduled local time as a number (`515` is 05:15, `2400` midnight)
 * and the hour in UTC; their difference is the offset of New York at that time. The actual time has no date, so it is counted
 * from the scheduled one by the delay: a flight that leaves after midnight leaves on the next day.
 */
export const transform: RecordTransform = ({ departure_hour_utc, ...flight }) => {
  const scheduled = minutes(flight["departure_scheduled"])
  const scheduledAt = moment(departure_hour_utc) + (scheduled % 60)
  const offset = moment(`${String(flight["departure_date"])}T00:00:00Z`) + scheduled - scheduledAt

  const delay = flight["departure_delay"]
  if (typeof delay !== "number") {
    // Cancelled: it never left.
    return { ...flight, departure_scheduled_at: utc(scheduledAt), departure_at: null, departure_local: null }
  }
  if (modulo(scheduled + delay) !== modulo(minutes(flight["departure_actual"]))) {
    throw new Error(
      `departure_actual ${String(flight["departure_actual"])} is not departure_scheduled plus ${delay} minutes`
    )
  }
  return {
    ...flight,
    departure_scheduled_at: utc(scheduledAt),
    departure_at: utc(scheduledAt + delay),
    departure_local: local(scheduledAt + delay, offset)
  }
}

const day = 24 * 60
const modulo = (value: number): number => ((value % day) + day) % day

/** Minutes after midnight of a time like 515 or 2400. */
const minutes = (time: unknown): number => {
  if (typeof time === "number" && time >= 0 && time <= 2400 && time % 100 < 60) {
    return Math.floor(time / 100) * 60 + (time % 100)
  }
  throw new Error(`${String(time)} is not a time of day`)
}

// Moments are counted in minutes, the resolution of the data.
/* oxlint-disable eslint/no-restricted-globals -- calculations with given times; the time of day is not asked for */
const moment = (time: unknown): number => {
  const milliseconds = typeof time === "string" ? Date.parse(time) : Number.NaN
  if (Number.isNaN(milliseconds)) throw new Error(`${String(time)} is not a time`)
  return milliseconds / 60_000
}
const utc = (at: number): string => `${new Date(at * 60_000).toISOString().slice(0, 19)}Z`
/* oxlint-enable eslint/no-restricted-globals */

const two = (value: number): string => String(value).padStart(2, "0")

/** The same moment as the clocks there show it: `2013-01-02T00:16:00-05:00`. */
const local = (at: number, offset: number): string => {
  const size = Math.abs(offset)
  return `${utc(at + offset).slice(0, 19)}${offset < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`
}
