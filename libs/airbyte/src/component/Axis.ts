import { addDelta, addDuration, PyDuration, subtractDelta, subtractDuration } from "../expression/Duration.ts"
import { PyDateTime, PyTimeDelta } from "../expression/DateTime.ts"
import { compare } from "../expression/Compare.ts"
import { formatCdk } from "../expression/Strftime.ts"
import { parseCdk } from "../expression/Strptime.ts"
import { str } from "../expression/Repr.ts"
import { PyError } from "../expression/PyError.ts"
import { floatOf, intOf, type Value } from "../expression/Value.ts"

/** A point that a cursor has reached: a time, or a count. */
export type Point = Value

/** A distance between points. */
export type Gap = PyTimeDelta | PyDuration | number

/** What a cursor moves along. Its functions throw a `PyError` for what is no point. */
export interface Axis {
  /** Name of this kind of state. */
  readonly stateType: "date-range" | "integer"
  readonly parse: (value: Value) => Point
  /** As it is sent and kept. */
  readonly output: (point: Point) => Value
  readonly zero: () => Point
  /** The next point after one that is included. */
  readonly increment: (point: Point) => Point
  readonly add: (point: Point, gap: Gap) => Point
  readonly subtract: (point: Point, gap: Gap) => Point
}

export const less = (a: Point, b: Point): boolean => compare(a, b, "<")
export const atMost = (a: Point, b: Point): boolean => compare(a, b, "<=")
export const later = (a: Point, b: Point): Point => (less(a, b) ? b : a)
export const earlier = (a: Point, b: Point): Point => (less(b, a) ? b : a)

const noTime = (): PyError => new PyError("TypeError", "a cursor's value is not a time")

const moved = (point: Point, gap: Gap, sign: 1 | -1): Point => {
  if (!(point instanceof PyDateTime) || typeof gap === "number") throw noTime()
  if (gap instanceof PyDuration) return sign === 1 ? addDuration(point, gap) : subtractDuration(point, gap)
  return sign === 1 ? addDelta(point, gap) : subtractDelta(point, gap)
}

/** What Python's int makes of a value, as text; a text is left to the parser. */
const wholeText = (value: Value): string => {
  if (typeof value === "string") return value
  if (typeof value === "boolean") return value ? "1" : "0"
  const real = floatOf(value)
  if (real !== undefined) {
    if (Number.isFinite(real)) return String(BigInt(Math.trunc(real)))
    throw new PyError(Number.isNaN(real) ? "ValueError" : "OverflowError", `cannot convert float ${real} to integer`)
  }
  if (intOf(value) !== undefined) return str(value)
  throw new PyError("TypeError", "a cursor's value is neither a text nor a number")
}

const epochs = new Set(["%s", "%ms", "%epoch_microseconds"])

/** Times in a format; `inputs` are formats that records may have besides. */
export const timeAxis = (
  format: string,
  inputs: ReadonlyArray<string>,
  granularity: PyTimeDelta | PyDuration | undefined
): Axis => {
  const formats = [...inputs, format]
  const step = granularity ?? new PyTimeDelta(1000n)
  return {
    stateType: "date-range",
    parse: (value) => {
      for (const candidate of formats) {
        try {
          return parseCdk(epochs.has(candidate) ? wholeText(value) : str(value), candidate)
        } catch (error) {
          if (!(error instanceof PyError && error.is("ValueError"))) throw error
        }
      }
      throw new PyError("ValueError", `No format in ${formats.join(", ")} matching ${str(value)}`)
    },
    output: (point) => {
      if (!(point instanceof PyDateTime)) throw noTime()
      return formatCdk(point, format)
    },
    zero: () => parseCdk("0001-01-01T00:00:00.000Z", "%Y-%m-%dT%H:%M:%S.%fZ"),
    increment: (point) => moved(point, step, 1),
    add: (point, gap) => moved(point, gap, 1),
    subtract: (point, gap) => moved(point, gap, -1)
  }
}

const count = (point: Point): number => {
  const number = intOf(point)
  return number === undefined ? (typeof point === "number" ? point : Number.NaN) : Number(number)
}

/** Whole numbers. */
export const countAxis: Axis = {
  stateType: "integer",
  parse: (value) => value,
  output: (point) => point,
  zero: () => 0,
  increment: (point) => count(point) + 1,
  add: (point, gap) => count(point) + Number(gap),
  subtract: (point, gap) => count(point) - Number(gap)
}
