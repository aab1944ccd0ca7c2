import { PyDate, PyDateTime, PyTimeDelta, roundedDivision, scaleDelta } from "./DateTime.ts"
import { PySet } from "./Dict.ts"
import { addDelta, addDuration, PyDecimal, PyDuration, subtractDelta, subtractDuration } from "./Duration.ts"
import { grow, tick } from "./Meter.ts"
import * as N from "./Numbers.ts"
import { printf } from "./Printf.ts"
import { PyError, typeError, valueError } from "./PyError.ts"
import { escapeHtml } from "./Html.ts"
import {
  float,
  floatOf,
  intOf,
  PyBytes,
  PyComplex,
  PyMarkup,
  PyTuple,
  PyUndefined,
  strOf,
  typeName,
  type Value
} from "./Value.ts"

export type Binary = "+" | "-" | "*" | "/" | "//" | "%" | "**"

const unsupported = (operator: string, a: Value, b: Value): PyError =>
  typeError(`unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`)

const undefinedFirst = (a: Value, b: Value): void => {
  if (a instanceof PyUndefined) throw a.error()
  if (b instanceof PyUndefined) throw b.error()
}

/** Both numbers as floats, when one of them is a float. */
const floats = (a: Value, b: Value): readonly [number, number] | undefined => {
  const x = floatOf(a)
  const y = floatOf(b)
  if (x === undefined) {
    if (y === undefined) return undefined
    const whole = intOf(a)
    return whole === undefined ? undefined : [N.toFloat(whole), y]
  }
  if (y !== undefined) return [x, y]
  const whole = intOf(b)
  return whole === undefined ? undefined : [x, N.toFloat(whole)]
}

const joinText = (a: Value, b: Value): Value | undefined => {
  const x = strOf(a)
  const y = strOf(b)
  if (x === undefined || y === undefined) return undefined
  grow(x.length + y.length)
  if (a instanceof PyMarkup || b instanceof PyMarkup) {
    return new PyMarkup((a instanceof PyMarkup ? x : escapeHtml(x)) + (b instanceof PyMarkup ? y : escapeHtml(y)))
  }
  return x + y
}

const complexOf = (value: Value): PyComplex | undefined => {
  if (value instanceof PyComplex) return value
  const real = floatOf(value) ?? intOf(value)
  return real === undefined ? undefined : new PyComplex(N.toFloat(real), 0)
}

const complexes = (a: Value, b: Value, operator: Binary): Value | undefined => {
  if (!(a instanceof PyComplex) && !(b instanceof PyComplex)) return undefined
  const x = complexOf(a)
  const y = complexOf(b)
  if (x === undefined || y === undefined) return undefined
  switch (operator) {
    case "+":
      return new PyComplex(x.re + y.re, x.im + y.im)
    case "-":
      return new PyComplex(x.re - y.re, x.im - y.im)
    case "*":
      return new PyComplex(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re)
    default:
      return undefined
  }
}

/** A duration with a part of a month or year can be added to nothing but another one. */
const checkWhole = (value: Value): void => {
  if (value instanceof PyDuration && !(Number.isInteger(value.years) && Number.isInteger(value.months))) {
    throw valueError("fractional years or months not supported for date calculations")
  }
}

export const add = (a: Value, b: Value): Value => {
  if (typeof a === "number" && typeof b === "number") {
    return Number.isSafeInteger(a) && Number.isSafeInteger(b) ? N.addInts(a, b) : float(a + b)
  }
  tick()
  const text = joinText(a, b)
  if (text !== undefined) return text
  const x = intOf(a)
  const y = intOf(b)
  if (x !== undefined && y !== undefined) return N.addInts(x, y)
  const pair = floats(a, b)
  if (pair !== undefined) return float(pair[0] + pair[1])
  if (a instanceof PyUndefined) throw a.error()
  if (a instanceof PyDuration !== b instanceof PyDuration) checkWhole(a instanceof PyDuration ? a : b)
  undefinedFirst(a, b)
  if (Array.isArray(a)) {
    if (!Array.isArray(b)) throw typeError(`can only concatenate list (not "${typeName(b)}") to list`)
    grow(a.length + b.length)
    return [...a, ...b]
  }
  if (a instanceof PyTuple && b instanceof PyTuple) {
    grow(a.items.length + b.items.length)
    return new PyTuple([...a.items, ...b.items])
  }
  if (a instanceof PyDate && b instanceof PyTimeDelta) return addDelta(a, b)
  if (a instanceof PyTimeDelta) {
    if (b instanceof PyTimeDelta) return new PyTimeDelta(a.micros + b.micros)
    if (b instanceof PyDate) return addDelta(b, a)
    if (b instanceof PyDuration) return new PyDuration(b.years, b.months, new PyTimeDelta(a.micros + b.delta.micros))
  }
  if (a instanceof PyDate && b instanceof PyDuration) return addDuration(a, b)
  if (a instanceof PyDuration) {
    if (b instanceof PyDuration) {
      return new PyDuration(a.years + b.years, a.months + b.months, new PyTimeDelta(a.delta.micros + b.delta.micros))
    }
    if (b instanceof PyDate) return addDuration(b, a)
    if (b instanceof PyTimeDelta) return new PyDuration(a.years, a.months, new PyTimeDelta(a.delta.micros + b.micros))
  }
  if (a instanceof PyBytes && b instanceof PyBytes) return new PyBytes(Buffer.concat([a.bytes, b.bytes]))
  return complexes(a, b, "+") ?? fail("+", a, b)
}

const fail = (operator: string, a: Value, b: Value): never => {
  undefinedFirst(a, b)
  throw unsupported(operator, a, b)
}

export const subtract = (a: Value, b: Value): Value => {
  if (typeof a === "number" && typeof b === "number") {
    return Number.isSafeInteger(a) && Number.isSafeInteger(b) ? N.subtractInts(a, b) : float(a - b)
  }
  tick()
  const x = intOf(a)
  const y = intOf(b)
  if (x !== undefined && y !== undefined) return N.subtractInts(x, y)
  const pair = floats(a, b)
  if (pair !== undefined) return float(pair[0] - pair[1])
  if (a instanceof PyDate) {
    if (b instanceof PyTimeDelta) return subtractDelta(a, b)
    if (b instanceof PyDuration) return subtractDuration(a, b)
    if (a instanceof PyDateTime && b instanceof PyDateTime) {
      if ((a.zone === undefined) !== (b.zone === undefined)) {
        throw typeError("can't subtract offset-naive and offset-aware datetimes")
      }
      return new PyTimeDelta(a.epochMicros - b.epochMicros)
    }
    if (b instanceof PyDate && !(a instanceof PyDateTime) && !(b instanceof PyDateTime)) {
      return new PyTimeDelta(BigInt(a.days - b.days) * 86_400_000_000n)
    }
  }
  if (a instanceof PyTimeDelta) {
    if (b instanceof PyTimeDelta) return new PyTimeDelta(a.micros - b.micros)
    if (b instanceof PyDuration) return new PyDuration(-b.years, -b.months, new PyTimeDelta(a.micros - b.delta.micros))
  }
  if (a instanceof PyDuration) {
    if (b instanceof PyDuration) {
      return new PyDuration(a.years - b.years, a.months - b.months, new PyTimeDelta(a.delta.micros - b.delta.micros))
    }
    if (b instanceof PyTimeDelta) return new PyDuration(a.years, a.months, new PyTimeDelta(a.delta.micros - b.micros))
  }
  if (a instanceof PySet && b instanceof PySet) {
    return new PySet([...a.members].flatMap(([key, value]) => (b.members.has(key) ? [] : [value])))
  }
  if (a instanceof PyUndefined) throw a.error()
  checkWhole(b)
  return complexes(a, b, "-") ?? fail("-", a, b)
}

const repeatCount = (value: number | bigint): number => {
  const count = Number(value)
  if (count >= 2 ** 63) {
    throw new PyError("OverflowError", "cannot fit 'int' into an index-sized integer")
  }
  return Math.max(0, count)
}

const repeat = (value: Value, times: number | bigint): Value | undefined => {
  const text = strOf(value)
  if (text !== undefined) {
    const count = repeatCount(times)
    grow(text.length * count)
    return value instanceof PyMarkup ? new PyMarkup(text.repeat(count)) : text.repeat(count)
  }
  const items = Array.isArray(value) ? value : value instanceof PyTuple ? value.items : undefined
  if (items === undefined) return undefined
  const count = repeatCount(times)
  grow(items.length * count)
  const result: Array<Value> = []
  if (items.length > 0) for (let turn = 0; turn < count; turn++) for (const item of items) result.push(item)
  return Array.isArray(value) ? result : new PyTuple(result)
}

export const multiply = (a: Value, b: Value): Value => {
  if (typeof a === "number" && typeof b === "number") {
    return Number.isSafeInteger(a) && Number.isSafeInteger(b) ? N.multiplyInts(a, b) : float(a * b)
  }
  tick()
  const x = intOf(a)
  const y = intOf(b)
  if (x !== undefined && y !== undefined) return N.multiplyInts(x, y)
  const pair = floats(a, b)
  if (pair !== undefined) return float(pair[0] * pair[1])
  for (const [value, count, factor] of [[a, y, b] as const, [b, x, a] as const]) {
    if (value instanceof PyTimeDelta) {
      if (count !== undefined) return new PyTimeDelta(value.micros * BigInt(count))
      const scale = floatOf(factor)
      if (scale !== undefined) return scaleDelta(value, scale, false)
    }
    if (count === undefined) continue
    if (value instanceof PyDuration) {
      const factor = Number(count)
      const delta = new PyTimeDelta(value.delta.micros * BigInt(count))
      return new PyDuration(value.years * factor, value.months * factor, delta)
    }
    const repeated = repeat(value, count)
    if (repeated !== undefined) return repeated
  }
  if (a instanceof PyMarkup) throw typeError(`'${typeName(b)}' object cannot be interpreted as an integer`)
  undefinedFirst(a, b)
  const sequence = (value: Value): boolean =>
    strOf(value) !== undefined || Array.isArray(value) || value instanceof PyTuple
  if (sequence(a)) throw typeError(`can't multiply sequence by non-int of type '${typeName(b)}'`)
  if (sequence(b)) throw typeError(`can't multiply sequence by non-int of type '${typeName(a)}'`)
  return complexes(a, b, "*") ?? fail("*", a, b)
}

const zero = (message: string): PyError => new PyError("ZeroDivisionError", message)

export const divide = (a: Value, b: Value): Value => {
  tick()
  const x = intOf(a)
  const y = intOf(b)
  if (x !== undefined && y !== undefined) return float(N.divideInts(x, y))
  const pair = floats(a, b)
  if (pair !== undefined) return float(N.divideFloats(pair[0], pair[1]))
  if (a instanceof PyTimeDelta) {
    if (b instanceof PyTimeDelta) return float(N.divideInts(a.micros, b.micros))
    if (y !== undefined) {
      if (Number(y) === 0) throw zero("integer division or modulo by zero")
      return new PyTimeDelta(roundedDivision(a.micros, BigInt(y)))
    }
    const factor = floatOf(b)
    if (factor !== undefined) return scaleDelta(a, factor, true)
  }
  return fail("/", a, b)
}

export const floorDivide = (a: Value, b: Value): Value => {
  tick()
  const x = intOf(a)
  const y = intOf(b)
  if (x !== undefined && y !== undefined) return N.floorDivideInts(x, y)
  const pair = floats(a, b)
  if (pair !== undefined) return float(N.floorDivideFloats(pair[0], pair[1]))
  if (a instanceof PyTimeDelta) {
    if (b instanceof PyTimeDelta) return N.floorDivideInts(a.micros, b.micros)
    if (y !== undefined) return new PyTimeDelta(BigInt(N.floorDivideInts(a.micros, BigInt(y))))
  }
  return fail("//", a, b)
}

export const modulo = (a: Value, b: Value): Value => {
  tick()
  if (typeof a === "string") return printf(a, b)
  if (a instanceof PyMarkup) return new PyMarkup(printf(a.value, b, true))
  const x = intOf(a)
  const y = intOf(b)
  if (x !== undefined && y !== undefined) return N.moduloInts(x, y)
  const pair = floats(a, b)
  if (pair !== undefined) return float(N.moduloFloats(pair[0], pair[1]))
  if (a instanceof PyTimeDelta && b instanceof PyTimeDelta) {
    return new PyTimeDelta(BigInt(N.moduloInts(a.micros, b.micros)))
  }
  return fail("%", a, b)
}

export const power = (a: Value, b: Value): Value => {
  tick()
  const x = intOf(a)
  const y = intOf(b)
  if (x !== undefined && y !== undefined) return N.powerInts(x, y)
  const pair = floats(a, b)
  if (pair !== undefined) return N.powerFloats(pair[0], pair[1])
  return fail("** or pow()", a, b)
}

export const binary: { readonly [K in Binary]: (a: Value, b: Value) => Value } = {
  "+": add,
  "-": subtract,
  "*": multiply,
  "/": divide,
  "//": floorDivide,
  "%": modulo,
  "**": power
}

export const negate = (value: Value): Value => {
  const whole = intOf(value)
  if (whole !== undefined) return N.negateInt(whole)
  const real = floatOf(value)
  if (real !== undefined) return float(-real)
  if (value instanceof PyUndefined) throw value.error()
  if (value instanceof PyTimeDelta) return new PyTimeDelta(-value.micros)
  if (value instanceof PyDuration) return value.negated()
  if (value instanceof PyComplex) return new PyComplex(-value.re, -value.im)
  if (value instanceof PyDecimal) return new PyDecimal(-value.value)
  throw typeError(`bad operand type for unary -: '${typeName(value)}'`)
}

export const positive = (value: Value): Value => {
  const whole = intOf(value)
  if (whole !== undefined) return whole
  if (value instanceof PyUndefined) throw value.error()
  if (
    floatOf(value) !== undefined ||
    value instanceof PyTimeDelta ||
    value instanceof PyComplex ||
    value instanceof PyDecimal
  ) {
    return value
  }
  throw typeError(`bad operand type for unary +: '${typeName(value)}'`)
}

/** abs(value). */
export const absolute = (value: Value): Value => {
  const whole = intOf(value)
  if (whole !== undefined) return whole < 0 ? N.negateInt(whole) : whole
  const real = floatOf(value)
  if (real !== undefined) return float(Math.abs(real))
  if (value instanceof PyTimeDelta) return value.micros < 0n ? new PyTimeDelta(-value.micros) : value
  if (value instanceof PyComplex) return float(Math.hypot(value.re, value.im))
  throw typeError(`bad operand type for abs(): '${typeName(value)}'`)
}
