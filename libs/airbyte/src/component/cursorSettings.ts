import { fromTimestamp, PyDateTime, PyTimeDelta, utc } from "../expression/DateTime.ts"
import { parseDuration, type PyDuration } from "../expression/Duration.ts"
import { truthy } from "../expression/Compare.ts"
import { parseCdk } from "../expression/Strptime.ts"
import { intOf, isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { countAxis, earlier, later, type Point, timeAxis } from "./Axis.ts"
import { clampingOf } from "./Clamping.ts"
import type { Component } from "./Component.ts"
import type { CursorSettings } from "./Cursor.ts"
import type { Expressions } from "./Expressions.ts"

const defaultFormat = "%Y-%m-%dT%H:%M:%S.%f%z"

/** A time from a `MinMaxDatetime` or a text: made when it is called, for it may depend on now. */
const timeOf = (given: Value, parameters: PlainDict, expressions: Expressions, format: string): (() => PyDateTime) => {
  const isComponent = isPlainDict(given)
  const read = (name: string): Value | undefined =>
    isComponent && Object.hasOwn(given, name) ? given[name] : undefined
  const inner = read("$parameters")
  const own = isComponent ? (inner !== undefined && isPlainDict(inner) ? inner : {}) : parameters
  const ownFormat = read("datetime_format")
  const used = typeof ownFormat === "string" && ownFormat !== "" ? ownFormat : format || defaultFormat
  const evaluate = (template: Value | undefined): PyDateTime | undefined => {
    if (template === undefined || template === null || template === "") return undefined
    const text = expressions.text(template, own)
    return text === "" ? undefined : parseCdk(text, used)
  }
  return () => {
    let time: Point = parseCdk(expressions.text((isComponent ? read("datetime") : given) ?? "", own), used)
    const least = evaluate(read("min_datetime"))
    if (least !== undefined) time = later(time, least)
    const most = evaluate(read("max_datetime"))
    if (most !== undefined) time = earlier(time, most)
    return time instanceof PyDateTime ? time : parseCdk("0001-01-01", "%Y-%m-%d")
  }
}

/** Now, to the microsecond. */
const now = (expressions: Expressions): PyDateTime =>
  PyDateTime.fromEpoch(BigInt(Math.floor(expressions.environment.ports.nowMicros())), utc)

const durationOf = (
  component: Component,
  name: string,
  expressions: Expressions
): PyTimeDelta | PyDuration | undefined => {
  const template = component.optionalText(name)
  if (template === undefined || template === "") return undefined
  const value = expressions.value(template, component.parameters)
  return truthy(value) ? parseDuration(value) : undefined
}

/** Where a `DatetimeBasedCursor` begins, ends and how it goes on. */
export const timeCursorSettings = (
  component: Component,
  expressions: Expressions,
  chosenField?: string | undefined
): CursorSettings => {
  const { parameters } = component
  const format = component.text("datetime_format")
  const granularityText = component.optionalText("cursor_granularity")
  const granularity =
    granularityText === undefined || granularityText === "" ? undefined : parseDuration(granularityText)
  if (component.isSet("step") !== (granularity !== undefined)) {
    component.fail("step", "step and cursor_granularity are given together or not at all.")
  }
  const axis = timeAxis(format, component.texts("cursor_datetime_formats"), granularity)
  const name = (setting: string, fallback: string) =>
    expressions.text(component.optionalText(setting) ?? fallback, parameters)
  const end = component.get("end_datetime")
  const hasEnd = end !== undefined && truthy(end)
  const endTime: () => Point = hasEnd ? timeOf(end, parameters, expressions, format) : () => now(expressions)
  const clamping = clampingOf(component.child("clamping"), expressions)
  const startTime = timeOf(component.get("start_datetime") ?? "", parameters, expressions, format)
  let start: PyDateTime | undefined
  return {
    axis,
    field: chosenField ?? expressions.text(component.text("cursor_field"), parameters),
    boundaries: [name("partition_field_start", "start_time"), name("partition_field_end", "end_time")],
    // Read when it is needed: a date that cannot be read fails the partitions of a stream, not its discovery.
    get start() {
      return (start ??= startTime())
    },
    end:
      clamping === undefined
        ? endTime
        : () => axis.subtract(clamping.down(endTime()), granularity ?? new PyTimeDelta(clamping.unit)),
    lookback: durationOf(component, "lookback_window", expressions),
    step: durationOf(component, "step", expressions),
    granularity,
    clamp: clamping?.up ?? ((point) => point),
    isCompareStrict: component.isSet("is_compare_strictly")
  }
}

/** Where an `IncrementingCountCursor` begins. */
export const countCursorSettings = (
  component: Component,
  expressions: Expressions,
  chosenField?: string | undefined
): CursorSettings => {
  const given = component.get("start_value")
  const start = given === undefined ? 0 : expressions.value(String(given), component.parameters)
  const whole = intOf(start)
  return {
    axis: countAxis,
    field: chosenField ?? expressions.text(component.text("cursor_field"), component.parameters),
    boundaries: undefined,
    start: whole ?? component.fail("start_value", "it does not come out as a whole number."),
    end: () => Number.POSITIVE_INFINITY,
    lookback: undefined,
    step: undefined,
    granularity: undefined,
    clamp: (point) => point,
    isCompareStrict: false
  }
}

/** Now as a point in time, for what is compared with a cursor. */
export const timeNow = (expressions: Expressions): PyDateTime =>
  fromTimestamp(expressions.environment.ports.nowMicros() / 1e6, utc)
