import { type Methods, positional } from "./Arguments.ts"
import { bitLength, fraction } from "./Numbers.ts"
import { PyError, valueError } from "./PyError.ts"
import { float, int, type PyComplex, PyTuple, type Value } from "./Value.ts"

export const intMethods: Methods<number | bigint> = {
  as_integer_ratio: (self, args, kwargs) => {
    positional("as_integer_ratio", args, kwargs, 0, 0)
    return new PyTuple([self, 1])
  },
  bit_count: (self, args, kwargs) => {
    positional("bit_count", args, kwargs, 0, 0)
    const magnitude = BigInt(self) < 0n ? -BigInt(self) : BigInt(self)
    return magnitude.toString(2).replaceAll("0", "").length
  },
  bit_length: (self, args, kwargs) => {
    positional("bit_length", args, kwargs, 0, 0)
    return bitLength(self)
  },
  conjugate: (self, args, kwargs) => {
    positional("conjugate", args, kwargs, 0, 0)
    return self
  }
}

export const intAttribute = (self: number | bigint, name: string): Value | undefined => {
  switch (name) {
    case "real":
    case "numerator":
      return self
    case "imag":
      return 0
    case "denominator":
      return 1
    default:
      return undefined
  }
}

const finite = (self: number): void => {
  if (Number.isNaN(self)) throw valueError("cannot convert NaN to integer ratio")
  if (!Number.isFinite(self)) throw new PyError("OverflowError", "cannot convert Infinity to integer ratio")
}

export const floatMethods: Methods<number> = {
  as_integer_ratio: (self, args, kwargs) => {
    positional("as_integer_ratio", args, kwargs, 0, 0)
    finite(self)
    const { numerator, shift } = fraction(self)
    return new PyTuple([int(numerator), int(1n << BigInt(shift))])
  },
  conjugate: (self, args, kwargs) => {
    positional("conjugate", args, kwargs, 0, 0)
    return float(self)
  },
  hex: (self, args, kwargs) => {
    positional("hex", args, kwargs, 0, 0)
    if (!Number.isFinite(self)) return Number.isNaN(self) ? "nan" : self < 0 ? "-inf" : "inf"
    const sign = self < 0 || Object.is(self, -0) ? "-" : ""
    const magnitude = Math.abs(self)
    if (magnitude === 0) return `${sign}0x0.0p+0`
    let exponent = Math.max(Math.floor(Math.log2(magnitude)), -1022)
    if (2 ** exponent > magnitude && exponent > -1022) exponent--
    if (exponent < 1023 && 2 ** (exponent + 1) <= magnitude) exponent++
    const { numerator, shift } = fraction(magnitude)
    const scaled = (numerator << 52n) * 2n ** BigInt(Math.max(0, -exponent))
    const mantissa = scaled / (1n << BigInt(shift)) / 2n ** BigInt(Math.max(0, exponent))
    const digits = mantissa.toString(16).padStart(14, "0")
    return `${sign}0x${digits.slice(0, 1)}.${digits.slice(1)}p${exponent < 0 ? "-" : "+"}${Math.abs(exponent)}`
  },
  is_integer: (self, args, kwargs) => {
    positional("is_integer", args, kwargs, 0, 0)
    return Number.isInteger(self)
  }
}

export const floatAttribute = (self: number, name: string): Value | undefined =>
  name === "real" ? float(self) : name === "imag" ? float(0) : undefined

export const complexAttribute = (self: PyComplex, name: string): Value | undefined =>
  name === "real" ? float(self.re) : name === "imag" ? float(self.im) : undefined
