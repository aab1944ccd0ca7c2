import * as Calendar from "../expression/Calendar.ts"
import { PyDateTime } from "../expression/DateTime.ts"
import type { Component } from "./Component.ts"
import type { Expressions } from "./Expressions.ts"
import type { Point } from "./Axis.ts"

/** Moves a time to a border of its day, week or month. */
export type Clamp = (point: Point) => Point

const weekdays = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]

const ofDay = (isCeiling: boolean): Clamp => {
  return (point) => {
    if (!(point instanceof PyDateTime)) return point
    const isInside = point.time.micros !== 0
    return new PyDateTime(point.days + (isCeiling && isInside ? 1 : 0), 0, point.zone)
  }
}

/** Days since 1970 count from a Thursday. */
const weekday = (days: number): number => (((days + 3) % 7) + 7) % 7

const ofWeek = (start: number, isCeiling: boolean): Clamp => {
  return (point) => {
    if (!(point instanceof PyDateTime)) return point
    const day = weekday(point.days)
    const ahead = day > start ? 7 - (day - start) : start - day
    return new PyDateTime(point.days + (isCeiling || ahead === 0 ? ahead : ahead - 7), 0, point.zone)
  }
}

const ofMonth = (isCeiling: boolean): Clamp => {
  return (point) => {
    if (!(point instanceof PyDateTime)) return point
    const { day, month, year } = point.civil
    if (day === 1) return new PyDateTime(point.days, 0, point.zone)
    const days = isCeiling
      ? Calendar.daysFromCivil(month === 12 ? year + 1 : year, (month % 12) + 1, 1)
      : Calendar.daysFromCivil(year, month, 1)
    return new PyDateTime(days, 0, point.zone)
  }
}

/** Clamps up for starts of intervals and down for the end; undefined without clamping. */
export interface Clamping {
  readonly up: Clamp
  readonly down: Clamp
  /** What is taken off the clamped end when the cursor has no granularity, in microseconds. */
  readonly unit: bigint
}

export const clampingOf = (component: Component | undefined, expressions: Expressions): Clamping | undefined => {
  if (component === undefined) return undefined
  const target = expressions.text(component.text("target"), component.parameters)
  switch (target) {
    case "DAY":
      return { up: ofDay(true), down: ofDay(false), unit: 1_000_000n }
    case "WEEK": {
      const name = component.child("target_details")?.optionalText("weekday") ?? ""
      const start = weekdays.indexOf(name)
      if (start === -1)
        component.fail("target_details.weekday", `found ${name}, expected one of ${weekdays.join(", ")}.`)
      return { up: ofWeek(start, true), down: ofWeek(start, false), unit: 86_400_000_000n }
    }
    case "MONTH":
      return { up: ofMonth(true), down: ofMonth(false), unit: 86_400_000_000n }
    default:
      return component.fail("target", `found ${target}, expected DAY, WEEK or MONTH.`)
  }
}
