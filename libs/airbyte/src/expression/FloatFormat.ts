import { grow } from "./Meter.ts"
import { reprFloat, scaledInt } from "./Numbers.ts"

const maxPrecision = 2000

const bounded = (precision: number): number => {
  grow(precision)
  return Math.min(precision, maxPrecision)
}

const special = (value: number): string | undefined =>
  Number.isNaN(value) ? "nan" : Number.isFinite(value) ? undefined : "inf"

/** `%.{precision}f` of the absolute value. */
export const fixed = (value: number, precision: number): string => {
  const word = special(value)
  if (word !== undefined) return word
  const digits = bounded(precision)
  const scaled = scaledInt(Math.abs(value), digits)
    .toString()
    .padStart(digits + 1, "0")
  return digits === 0 ? scaled : `${scaled.slice(0, -digits)}.${scaled.slice(-digits)}`
}

/** The digits and the decimal exponent of the absolute value, rounded to `count` significant digits. */
const significant = (value: number, count: number): { readonly digits: string; readonly exponent: number } => {
  if (value === 0) return { digits: "0".repeat(count), exponent: 0 }
  const magnitude = Math.abs(value)
  let exponent = Number(magnitude.toExponential().split("e")[1])
  let digits = scaledInt(magnitude, count - 1 - exponent).toString()
  if (digits.length > count) {
    exponent++
    digits = digits.slice(0, count)
  }
  return { digits, exponent }
}

const withExponent = (digits: string, exponent: number, alternate: boolean): string => {
  const rest = digits.length > 1 ? `.${digits.slice(1)}` : alternate ? "." : ""
  return `${digits.charAt(0)}${rest}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`
}

/** `%.{precision}e` of the absolute value. */
export const exponential = (value: number, precision: number, alternate = false): string => {
  const word = special(value)
  if (word !== undefined) return word
  const { digits, exponent } = significant(value, bounded(precision) + 1)
  return withExponent(digits, exponent, alternate)
}

/** `%.{precision}g` of the absolute value; `tail` is the number of exponents below the precision that stay fixed. */
export const general = (value: number, precision: number, alternate = false, pointZero = false): string => {
  const word = special(value)
  if (word !== undefined) return word
  const count = Math.max(bounded(precision), 1)
  const found = significant(value, count)
  const { exponent } = found
  const limit = pointZero ? count - 1 : count
  const digits = alternate ? found.digits : found.digits.replace(/0+$/, "") || "0"
  if (exponent < -4 || exponent >= limit) return withExponent(digits, exponent, alternate)
  if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0")
  const rest = digits.slice(exponent + 1)
  return rest !== "" ? `${whole}.${rest}` : alternate ? `${whole}.` : pointZero ? `${whole}.0` : whole
}

/** repr() of the absolute value. */
export const shortest = (value: number): string => reprFloat(Math.abs(value))

export const isNegative = (value: number): boolean => value < 0 || Object.is(value, -0)
