import { type DecimalText, decimalText, isExactDouble } from "@tributary/codec"

/**
 * Checks of single values, as bytes. ClickHouse wraps, clamps, truncates or defaults values that do not fit a column without
 * saying so; these checks let through only what arrives as it was sent.
 *
 * Each returns the position after the value, `unfit` when the column cannot hold it, or `rewrite` when it can under another
 * spelling, which `spelling()` then gives. They never fail: whether an unfit value is JSON at all is asked afterwards.
 */
export const unfit = -1
export const rewrite = -2

let spelled = ""
let spelledEnd = 0
/** The value as it must be written, after a check returned `rewrite`. */
export const spelling = (): string => spelled
/** The position after the original value, after a check returned `rewrite`. */
export const spellingEnd = (): number => spelledEnd

export const spell = (text: string, end: number): number => {
  spelled = text
  spelledEnd = end
  return rewrite
}

const isDigit = (c: number | undefined): boolean => c !== undefined && c >= 0x30 && c <= 0x39

const textOf = (bytes: Buffer, from: number, to: number): string => bytes.toString("latin1", from, to)

/** Position after the digits that begin at `at`. */
const digitsEnd = (bytes: Buffer, at: number): number => {
  let i = at
  while (isDigit(bytes[i])) i++
  return i
}

/** Position after a JSON number, or -1. */
const numberEnd = (bytes: Buffer, at: number): number => {
  const whole = bytes[at] === 0x2d ? at + 1 : at
  let i = digitsEnd(bytes, whole)
  if (i === whole || (bytes[whole] === 0x30 && i > whole + 1)) return -1
  if (bytes[i] === 0x2e) {
    const fraction = i + 1
    i = digitsEnd(bytes, fraction)
    if (i === fraction) return -1
  }
  if (bytes[i] === 0x65 || bytes[i] === 0x45) {
    const exponent = bytes[i + 1] === 0x2b || bytes[i + 1] === 0x2d ? i + 2 : i + 1
    i = digitsEnd(bytes, exponent)
    if (i === exponent) return -1
  }
  return i
}

/** No column holds more digits than this, and no longer spelling is made. */
const maxDigits = 80

/** The number without exponent, or `undefined` when that would be too long. */
const plain = ({ negative, digits, scale }: DecimalText): string | undefined => {
  if (digits === "") return "0"
  if (scale < -maxDigits || scale > maxDigits || digits.length > maxDigits) return undefined
  const sign = negative ? "-" : ""
  if (scale <= 0) return sign + digits + "0".repeat(-scale)
  return (
    sign +
    (digits.length > scale ? `${digits.slice(0, -scale)}.` : `0.${"0".repeat(scale - digits.length)}`) +
    digits.slice(-scale)
  )
}

/** Largest magnitudes of an integer type, as digits. */
export interface IntegerLimits {
  readonly signed: boolean
  readonly max: string
  readonly min: string
}

export const integerLimits = (signed: boolean, bits: number): IntegerLimits => ({
  signed,
  max: ((1n << BigInt(signed ? bits - 1 : bits)) - 1n).toString(),
  min: signed ? (1n << BigInt(bits - 1)).toString() : "0"
})

const exceeds = (bytes: Buffer, from: number, limit: string): boolean => {
  for (let k = 0; k < limit.length; k++) {
    const d = (bytes[from + k] ?? 0) - limit.charCodeAt(k)
    if (d !== 0) return d > 0
  }
  return false
}

/** An integer within the limits, bare or in quotes. `1.0` and `1e3` are written out; leading zeros in quotes do not fit. */
export const checkInteger = (bytes: Buffer, at: number, limits: IntegerLimits): number => {
  const quoted = bytes[at] === 0x22
  const start = quoted ? at + 1 : at
  const negative = bytes[start] === 0x2d
  const first = negative ? start + 1 : start
  const i = digitsEnd(bytes, first)
  const length = i - first
  if (length === 0 || (length > 1 && bytes[first] === 0x30)) return unfit
  const next = bytes[i]
  if (next === 0x2e || next === 0x65 || next === 0x45 || (negative && !limits.signed))
    return quoted ? unfit : respelledInteger(bytes, at, limits)
  const limit = negative ? limits.min : limits.max
  if (length > limit.length || (length === limit.length && exceeds(bytes, first, limit))) return unfit
  if (!quoted) return i
  return next === 0x22 ? i + 1 : unfit
}

const respelledInteger = (bytes: Buffer, at: number, limits: IntegerLimits): number => {
  const end = numberEnd(bytes, at)
  if (end < 0) return unfit
  const value = decimalText(textOf(bytes, at, end))
  const text = value.scale > 0 ? undefined : plain(value)
  if (text === undefined) return unfit
  const magnitude = text.startsWith("-") ? text.slice(1) : text
  const limit = text.startsWith("-") ? limits.min : limits.max
  return magnitude.length < limit.length || (magnitude.length === limit.length && magnitude <= limit)
    ? spell(text, end)
    : unfit
}

/** A number, bare or in quotes, that a double holds without loss (`isExactDouble`). */
export const checkFloat = (bytes: Buffer, at: number): number => {
  const quoted = bytes[at] === 0x22
  const start = quoted ? at + 1 : at
  const end = numberEnd(bytes, start)
  if (end < 0 || (quoted && bytes[end] !== 0x22)) return unfit
  // Up to 15 digits and no exponent is always exact.
  if (end - start > 15 || !isShortNumber(bytes, start, end)) {
    if (!isExactDouble(textOf(bytes, start, end))) return unfit
  }
  return quoted ? end + 1 : end
}

const isShortNumber = (bytes: Buffer, start: number, end: number): boolean => {
  for (let i = start; i < end; i++) {
    const c = bytes[i]
    if (c === 0x65 || c === 0x45) return false
  }
  return true
}

/** A number, bare or in quotes, whose digits all fit before and after the point. */
export const checkDecimal = (bytes: Buffer, at: number, precision: number, scale: number): number => {
  const quoted = bytes[at] === 0x22
  const start = quoted ? at + 1 : at
  const end = numberEnd(bytes, start)
  if (end < 0 || (quoted && bytes[end] !== 0x22)) return unfit
  const after = quoted ? end + 1 : end
  let i = bytes[start] === 0x2d ? start + 1 : start
  const whole = i
  if (bytes[i] === 0x30) i++
  const zero = i - whole
  i = digitsEnd(bytes, i)
  const wholeDigits = i - whole - zero
  let fraction = 0
  if (bytes[i] === 0x2e) {
    const point = i
    i = digitsEnd(bytes, point + 1)
    let last = i - 1
    while (last > point && bytes[last] === 0x30) last--
    fraction = last - point
  }
  if (i !== end) {
    const value = decimalText(textOf(bytes, start, end))
    const text = plain(value)
    if (text === undefined || value.scale > scale || value.digits.length - value.scale > precision - scale) return unfit
    return spell(text, after)
  }
  return wholeDigits <= precision - scale && fraction <= scale ? after : unfit
}

export const checkBool = (bytes: Buffer, at: number): number => {
  if (bytes[at] === 0x74)
    return bytes[at + 1] === 0x72 && bytes[at + 2] === 0x75 && bytes[at + 3] === 0x65 ? at + 4 : unfit
  if (bytes[at] === 0x66)
    return bytes[at + 1] === 0x61 && bytes[at + 2] === 0x6c && bytes[at + 3] === 0x73 && bytes[at + 4] === 0x65
      ? at + 5
      : unfit
  return unfit
}

const isHex = (c: number): boolean => (c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x66) || (c >= 0x41 && c <= 0x46)

/** A UUID in quotes with its four hyphens (RFC 9562). It is shown in small letters. */
export const checkUuid = (bytes: Buffer, at: number): number => {
  if (bytes[at] !== 0x22 || bytes[at + 37] !== 0x22) return unfit
  for (let k = 1; k <= 36; k++) {
    const c = bytes[at + k] ?? 0
    if (k === 9 || k === 14 || k === 19 || k === 24 ? c !== 0x2d : !isHex(c)) return unfit
  }
  return at + 38
}

/** 1 for the characters that may stand behind a backslash, but for `u`. */
const escapes = new Uint8Array(256)
for (const character of '"\\/bfnrt') escapes[character.charCodeAt(0)] = 1

/** The UTF-16 code unit of an escape `\uXXXX` at `at`, or -1. */
const codeUnit = (bytes: Buffer, at: number): number => {
  if (bytes[at] !== 0x5c || bytes[at + 1] !== 0x75) return -1
  for (let k = 2; k < 6; k++) if (!isHex(bytes[at + k] ?? 0)) return -1
  return Number.parseInt(textOf(bytes, at + 2, at + 6), 16)
}

/** A string that UTF-8 can hold: half a surrogate pair, which JSON can spell, cannot be stored as text. */
export const checkString = (bytes: Buffer, at: number): number => {
  let i = at + 1
  for (;;) {
    const c = bytes[i]!
    if (c === 0x22) return i + 1
    if (c === 0x5c) {
      if (escapes[bytes[i + 1]!] === 1) {
        i += 2
        continue
      }
      const unit = codeUnit(bytes, i)
      if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff)) return unfit
      i += 6
      if (unit < 0xd800 || unit > 0xdbff) continue
      const low = codeUnit(bytes, i)
      if (low < 0xdc00 || low > 0xdfff) return unfit
      i += 6
    } else if (c < 0x20) return unfit
    else i++
  }
}
