import { grow } from "./Meter.ts"
import { PyError, valueError } from "./PyError.ts"
import { asciiDigits, trim } from "./Text.ts"
import { float, int, PyComplex, type Value } from "./Value.ts"

/** Python refuses to turn longer digit strings into ints, and the other way round. */
export const maxDigits = 4300
/** Ints beyond this many bits end the evaluation: nothing an API sends is near. */
const maxBits = 200_000

const zeroDivision = (message: string): PyError => new PyError("ZeroDivisionError", message)
const tooLarge = (): PyError => new PyError("OverflowError", "int too large to convert to float")

/** The nearest float of an int. */
export const toFloat = (value: number | bigint): number => {
  const result = Number(value)
  if (!Number.isFinite(result)) throw tooLarge()
  return result
}

const bounded = (value: bigint): number | bigint => {
  const result = int(value)
  if (typeof result === "bigint") grow(64)
  return result
}

export const addInts = (a: number | bigint, b: number | bigint): number | bigint => {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b
    if (Number.isSafeInteger(sum)) return sum
  }
  return bounded(BigInt(a) + BigInt(b))
}

export const subtractInts = (a: number | bigint, b: number | bigint): number | bigint => {
  if (typeof a === "number" && typeof b === "number") {
    const difference = a - b
    if (Number.isSafeInteger(difference)) return difference
  }
  return bounded(BigInt(a) - BigInt(b))
}

/** Number of bits of the absolute value. */
export const bitLength = (value: number | bigint): number => {
  const magnitude = BigInt(value) < 0n ? -BigInt(value) : BigInt(value)
  return magnitude === 0n ? 0 : magnitude.toString(2).length
}

const roughBits = (value: bigint): number => value.toString(16).length * 4

export const multiplyInts = (a: number | bigint, b: number | bigint): number | bigint => {
  if (typeof a === "number" && typeof b === "number") {
    const product = a * b
    if (Number.isSafeInteger(product)) return product === 0 ? 0 : product
  }
  const x = BigInt(a)
  const y = BigInt(b)
  const bits = roughBits(x) + roughBits(y)
  if (bits > maxBits) throw new PyError("LimitError", `an int of more than ${maxBits} bits`)
  grow(bits >> 3)
  return int(x * y)
}

export const floorDivideInts = (a: number | bigint, b: number | bigint): number | bigint => {
  if (b === 0 || b === 0n) throw zeroDivision("integer division or modulo by zero")
  if (typeof a === "number" && typeof b === "number") {
    const remainder = a % b
    const quotient = (a - remainder) / b
    const result = remainder !== 0 && remainder < 0 !== b < 0 ? quotient - 1 : quotient
    return result === 0 ? 0 : result
  }
  const x = BigInt(a)
  const y = BigInt(b)
  const remainder = x % y
  return int(remainder !== 0n && remainder < 0n !== y < 0n ? x / y - 1n : x / y)
}

export const moduloInts = (a: number | bigint, b: number | bigint): number | bigint => {
  if (b === 0 || b === 0n) throw zeroDivision("integer modulo by zero")
  if (typeof a === "number" && typeof b === "number") {
    const remainder = a % b
    const result = remainder !== 0 && remainder < 0 !== b < 0 ? remainder + b : remainder
    return result === 0 ? 0 : result
  }
  const y = BigInt(b)
  const remainder = BigInt(a) % y
  return int(remainder !== 0n && remainder < 0n !== y < 0n ? remainder + y : remainder)
}

export const negateInt = (value: number | bigint): number | bigint =>
  typeof value === "number" ? (value === 0 ? 0 : -value) : int(-value)

/** True division of ints, correctly rounded as Python's. */
export const divideInts = (a: number | bigint, b: number | bigint): number => {
  if (b === 0 || b === 0n) throw zeroDivision("division by zero")
  if (typeof a === "number" && typeof b === "number") return a / b
  let x = BigInt(a)
  let y = BigInt(b)
  const negative = x < 0n !== y < 0n
  if (x < 0n) x = -x
  if (y < 0n) y = -y
  // Scaled so that the quotient has at least 66 bits; the last one is made sticky, so that one rounding is enough.
  const shift = bitLength(y) - bitLength(x) + 66
  const numerator = shift > 0 ? x << BigInt(shift) : x
  const denominator = shift > 0 ? y : y << BigInt(-shift)
  const quotient = numerator / denominator
  const sticky = numerator % denominator === 0n ? quotient : quotient | 1n
  const result = Number(sticky) * 2 ** -shift
  if (!Number.isFinite(result)) throw new PyError("OverflowError", "integer division result too large for a float")
  return negative ? -result : result
}

export const divideFloats = (a: number, b: number): number => {
  if (b === 0) throw zeroDivision("float division by zero")
  return a / b
}

export const moduloFloats = (a: number, b: number): number => {
  if (b === 0) throw zeroDivision("float modulo")
  const remainder = a % b
  if (remainder === 0) return b < 0 ? -0 : 0
  return remainder < 0 !== b < 0 ? remainder + b : remainder
}

export const floorDivideFloats = (a: number, b: number): number => {
  if (b === 0) throw zeroDivision("float floor division by zero")
  const remainder = a % b
  let quotient = (a - remainder) / b
  if (remainder !== 0 && remainder < 0 !== b < 0) quotient -= 1
  if (quotient === 0) return a / b < 0 || Object.is(a / b, -0) ? -0 : 0
  const floor = Math.floor(quotient)
  return quotient - floor > 0.5 ? floor + 1 : floor
}

const complexPower = (base: number, exponent: number): PyComplex => {
  const size = Math.abs(base) ** exponent
  const angle = Math.PI * exponent
  return new PyComplex(size * Math.cos(angle), size * Math.sin(angle))
}

export const powerFloats = (base: number, exponent: number): Value => {
  if (base === 0 && exponent < 0) throw zeroDivision("0.0 cannot be raised to a negative power")
  if (base === 1 || exponent === 0) return float(1)
  if (base === -1 && (exponent === Infinity || exponent === -Infinity)) return float(1)
  if (base < 0 && Number.isFinite(base) && Number.isFinite(exponent) && !Number.isInteger(exponent)) {
    return complexPower(base, exponent)
  }
  const result = base ** exponent
  if (!Number.isFinite(result) && Number.isFinite(base) && Number.isFinite(exponent)) {
    throw new PyError("OverflowError", "(34, 'Numerical result out of range')")
  }
  return float(result)
}

export const powerInts = (base: number | bigint, exponent: number | bigint): Value => {
  if (exponent < 0) {
    if (base === 0) throw zeroDivision("0.0 cannot be raised to a negative power")
    return powerFloats(toFloat(base), toFloat(exponent))
  }
  const x = BigInt(base)
  if (x === 0n || x === 1n || x === -1n) {
    return exponent === 0 || (x === -1n && BigInt(exponent) % 2n === 0n) ? 1 : Number(x)
  }
  const bits = bitLength(x) * Number(exponent)
  if (!(bits <= maxBits)) throw new PyError("LimitError", `an int of more than ${maxBits} bits`)
  grow(bits >> 3)
  return int(x ** BigInt(exponent))
}

/** repr() of a float: the shortest digits that read back as the same number. */
export const reprFloat = (value: number): string => {
  if (Number.isNaN(value)) return "nan"
  if (value === Infinity) return "inf"
  if (value === -Infinity) return "-inf"
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0"
  const [mantissa = "", power = "0"] = Math.abs(value).toExponential().split("e")
  const digits = mantissa.replace(".", "")
  const point = Number(power) + 1
  const sign = value < 0 ? "-" : ""
  if (point > 16 || point < -3) {
    const exponent = point - 1
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ""
    return `${sign}${digits.charAt(0)}${fraction}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`
  }
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`
  if (point >= digits.length) return `${sign}${digits}${"0".repeat(point - digits.length)}.0`
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

export const reprInt = (value: number | bigint): string => {
  if (typeof value === "bigint" && roughBits(value) > maxDigits * 3) {
    const text = value.toString()
    if (text.replace("-", "").length > maxDigits) {
      throw valueError(`Exceeds the limit (${maxDigits} digits) for integer string conversion`)
    }
    return text
  }
  return value.toString()
}

/** A finite float as an exact fraction: `numerator / 2 ** shift`. */
export const fraction = (value: number): { readonly numerator: bigint; readonly shift: number } => {
  let shift = 0
  let scaled = value
  while (!Number.isInteger(scaled)) {
    scaled *= 2
    shift++
    if (shift > 1074) break
  }
  return { numerator: BigInt(scaled), shift }
}

const roundHalfEven = (numerator: bigint, denominator: bigint): bigint => {
  const quotient = numerator / denominator
  const twice = (numerator % denominator) * 2n
  return twice > denominator || (twice === denominator && quotient % 2n === 1n) ? quotient + 1n : quotient
}

/** `round(value * 10 ** digits)` of a finite non-negative float, exactly, halves to even. */
export const scaledInt = (value: number, digits: number): bigint => {
  const { numerator, shift } = fraction(value)
  const denominator = 1n << BigInt(shift)
  return digits >= 0
    ? roundHalfEven(numerator * 10n ** BigInt(digits), denominator)
    : roundHalfEven(numerator, denominator * 10n ** BigInt(-digits))
}

/** round(value, digits) of a float. */
export const roundFloat = (value: number, digits: number): number => {
  if (!Number.isFinite(value) || value === 0) return value
  if (digits > 323) return value
  if (digits < -309) return value < 0 ? -0 : 0
  const scaled = scaledInt(Math.abs(value), digits)
  const result = Number(`${scaled}e${-digits}`)
  if (!Number.isFinite(result)) throw new PyError("OverflowError", "rounded value too large to represent")
  return value < 0 ? -result : result
}

/** round(value) of a float, as an int. */
export const roundToInt = (value: number): number | bigint => {
  const scaled = scaledInt(Math.abs(value), 0)
  return int(value < 0 ? -scaled : scaled)
}

/** round(value, digits) of an int. */
export const roundInt = (value: number | bigint, digits: number): number | bigint => {
  if (digits >= 0) return value
  if (digits < -maxDigits) return 0
  const big = BigInt(value)
  const unit = 10n ** BigInt(-digits)
  const rounded = roundHalfEven(big < 0n ? -big : big, unit) * unit
  return int(big < 0n ? -rounded : rounded)
}

/** int(value) of a float. */
export const truncate = (value: number): number | bigint => {
  if (Number.isNaN(value)) throw valueError("cannot convert float NaN to integer")
  if (!Number.isFinite(value)) throw new PyError("OverflowError", "cannot convert float infinity to integer")
  const whole = Math.trunc(value)
  return Number.isSafeInteger(whole) ? (whole === 0 ? 0 : whole) : BigInt(whole)
}

const digitSets: { readonly [base: number]: RegExp } = {
  2: /^[01]+$/,
  8: /^[0-7]+$/,
  10: /^[0-9]+$/,
  16: /^[0-9a-f]+$/
}
const prefixes: { readonly [prefix: string]: number } = { "0x": 16, "0o": 8, "0b": 2 }

/** int(text, base). */
export const parseInteger = (text: string, base: number | bigint): number | bigint => {
  if (base === 10 && /^-?[0-9]{1,15}$/.test(text)) return Number(text) + 0
  const fail = (): PyError => valueError(`invalid literal for int() with base ${base}: '${text}'`)
  if (base !== 0 && (base < 2 || base > 36)) throw valueError("int() base must be >= 2 and <= 36, or 0")
  let body = asciiDigits(trim(text)).toLowerCase()
  const negative = body.startsWith("-")
  if (negative || body.startsWith("+")) body = body.slice(1)
  let radix = Number(base)
  const prefix = prefixes[body.slice(0, 2)]
  if (prefix !== undefined && (radix === 0 || radix === prefix)) {
    radix = prefix
    body = body.slice(2)
    if (body.startsWith("_")) body = body.slice(1)
  } else if (radix === 0) {
    radix = 10
    if (/^0[0_]*[1-9]/.test(body)) throw fail()
  }
  if (!/^[0-9a-z](_?[0-9a-z])*$/.test(body)) throw fail()
  const digits = body.replaceAll("_", "")
  if (radix !== 2 && radix !== 4 && radix !== 8 && radix !== 16 && radix !== 32 && digits.length > maxDigits) {
    throw valueError(
      `Exceeds the limit (${maxDigits} digits) for integer string conversion: value has ${digits.length} digits`
    )
  }
  let magnitude = 0n
  const set = digitSets[radix]
  if (set === undefined) {
    for (const digit of digits) {
      const value = Number.parseInt(digit, 36)
      if (value >= radix) throw fail()
      magnitude = magnitude * BigInt(radix) + BigInt(value)
    }
  } else {
    if (!set.test(digits)) throw fail()
    magnitude = BigInt(`${radix === 16 ? "0x" : radix === 8 ? "0o" : radix === 2 ? "0b" : ""}${digits}`)
  }
  return int(negative ? -magnitude : magnitude)
}

const floatSyntax = /^[+-]?((\d+(_\d+)*)?\.\d+(_\d+)*|\d+(_\d+)*\.?)(e[+-]?\d+(_\d+)*)?$/i

/** float(text). */
export const parseFloating = (text: string): number => {
  const body = asciiDigits(trim(text))
  if (floatSyntax.test(body)) return Number(body.replaceAll("_", ""))
  const word = body.toLowerCase()
  const sign = word.startsWith("-") ? -1 : 1
  const name = word.replace(/^[+-]/, "")
  if (name === "inf" || name === "infinity") return sign * Infinity
  if (name === "nan") return Number.NaN
  throw valueError(`could not convert string to float: '${text}'`)
}
