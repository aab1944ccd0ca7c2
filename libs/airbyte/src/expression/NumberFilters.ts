import { PyDecimal } from "./Duration.ts"
import { filter, type Filter } from "./FilterTypes.ts"
import * as N from "./Numbers.ts"
import { absolute, divide, multiply } from "./Operators.ts"
import { PyError, typeError } from "./PyError.ts"
import { float, floatOf, intOf, PyBytes, PyUndefined, strOf, typeName, type Value } from "./Value.ts"

/** float(value). */
export const toFloatValue = (value: Value): number => {
  const text = strOf(value)
  if (text !== undefined) return N.parseFloating(text)
  const real = floatOf(value)
  if (real !== undefined) return real
  const whole = intOf(value)
  if (whole !== undefined) return N.toFloat(whole)
  if (value instanceof PyUndefined) throw value.error()
  if (value instanceof PyDecimal) return value.value
  if (value instanceof PyBytes) return N.parseFloating(Buffer.from(value.bytes).toString("latin1"))
  throw typeError(`float() argument must be a string or a real number, not '${typeName(value)}'`)
}

const toInt = (value: Value, base: Value): number | bigint => {
  const text = strOf(value)
  if (text !== undefined) {
    const radix = intOf(base)
    if (radix === undefined) throw typeError(`'${typeName(base)}' object cannot be interpreted as an integer`)
    return N.parseInteger(text, radix)
  }
  const whole = intOf(value)
  if (whole !== undefined) return whole
  if (value instanceof PyBytes) return N.parseInteger(Buffer.from(value.bytes).toString("latin1"), 10)
  const real = value instanceof PyDecimal ? value.value : floatOf(value)
  if (real !== undefined) return N.truncate(real)
  if (value instanceof PyUndefined) throw value.error()
  throw typeError(`int() argument must be a string, a bytes-like object or a real number, not '${typeName(value)}'`)
}

const intFilter = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [fallback = 0, base = 10] = args
  try {
    return toInt(value, base)
  } catch (error) {
    if (!(error instanceof PyError) || !error.is("TypeError", "ValueError")) throw error
    try {
      return N.truncate(toFloatValue(value))
    } catch (second) {
      if (!(second instanceof PyError) || !second.is("TypeError", "ValueError", "OverflowError")) throw second
      return fallback
    }
  }
}

const roundFilter = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [precision = 0, method] = args
  const name = method === undefined ? "common" : strOf(method)
  if (name !== "common" && name !== "ceil" && name !== "floor") {
    throw new PyError("FilterArgumentError", "method must be common, ceil or floor")
  }
  const whole = intOf(value)
  const real = floatOf(value)
  const digits = intOf(precision)
  if (name === "common") {
    if (whole === undefined && real === undefined) {
      if (value instanceof PyUndefined) throw typeError("type Undefined doesn't define __round__ method")
      throw typeError(`type ${typeName(value)} doesn't define __round__ method`)
    }
    if (precision === null) return whole ?? N.roundToInt(real ?? 0)
    if (digits === undefined) throw typeError(`'${typeName(precision)}' object cannot be interpreted as an integer`)
    return whole === undefined ? float(N.roundFloat(real ?? 0, Number(digits))) : N.roundInt(whole, Number(digits))
  }
  if (digits === undefined) {
    if (floatOf(precision) === undefined)
      throw typeError(`unsupported operand type(s) for **: 'int' and '${typeName(precision)}'`)
  }
  const scale = digits === undefined ? N.powerFloats(10, floatOf(precision) ?? 0) : N.powerInts(10, digits)
  const scaled = multiply(value, scale)
  const exact = intOf(scaled)
  const inexact = floatOf(scaled)
  if (exact !== undefined) return divide(exact, scale)
  if (inexact === undefined) throw typeError(`must be real number, not ${typeName(scaled)}`)
  return divide(N.truncate(name === "ceil" ? Math.ceil(inexact) : Math.floor(inexact)), scale)
}

/** Filters on numbers. */
export const numberFilters: ReadonlyArray<readonly [string, Filter]> = [
  filter("abs", [], 0, absolute),
  filter("float", ["default"], 0, (value, [fallback = float(0)]) => {
    try {
      return float(toFloatValue(value))
    } catch (error) {
      if (error instanceof PyError && error.is("TypeError", "ValueError")) return fallback
      throw error
    }
  }),
  filter("int", ["default", "base"], 0, intFilter),
  filter("round", ["precision", "method"], 0, roundFilter)
]
