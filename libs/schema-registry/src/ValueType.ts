import { decimalText, isExactDouble } from "@tributary/codec"
import { parseFieldType } from "@tributary/domain"
import { readDate, readSeconds, readTime } from "./Calendar.ts"

/** What a field of a record holds, as far as its schema says. */
export type ValueType =
  | { readonly kind: "bool" | "float" | "string" | "json" | "uuid" | "date" }
  | { readonly kind: "int"; readonly signed: boolean; readonly bits: 8 | 16 | 32 | 64 }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  /** `digits` of a second. */
  | { readonly kind: "timestamp"; readonly digits: 0 | 3 | 6 | 9 }

export interface DeclaredType {
  readonly type: ValueType
  readonly nullable: boolean
}

/** The type that a connector file declares, by its text. */
export const declaredType = (text: string): DeclaredType => {
  const info = parseFieldType(text)
  const { nullable } = info
  switch (info.kind) {
    case "int":
    case "uint":
      return { type: { kind: "int", signed: info.kind === "int", bits: info.bits }, nullable }
    case "decimal":
      return { type: { kind: "decimal", precision: info.precision, scale: info.scale }, nullable }
    case "timestamp":
      return { type: { kind: "timestamp", digits: info.precision }, nullable }
    default:
      return { type: { kind: info.kind }, nullable }
  }
}

/** What is expected of a value, as the end of the sentence "expected ...". */
export const expectedOf = (type: ValueType): string => {
  switch (type.kind) {
    case "bool":
      return "true or false"
    case "float":
      return "a number that a 64-bit float holds without loss"
    case "string":
      return "a string of Unicode characters"
    case "json":
      return "any JSON value"
    case "uuid":
      return "a UUID with hyphens"
    case "date":
      return "a date, as 2026-01-31"
    case "int":
      return `an integer from ${limits(type).min} to ${limits(type).max}`
    case "decimal":
      return `a decimal with at most ${type.precision - type.scale} digits before the point and ${type.scale} after it`
    case "timestamp":
      return `an RFC 3339 time with offset, or seconds since 1970, with at most ${type.digits} digits of a second`
  }
}

const limits = ({ bits, signed }: Extract<ValueType, { readonly kind: "int" }>) =>
  signed
    ? { min: -(1n << BigInt(bits - 1)), max: (1n << BigInt(bits - 1)) - 1n }
    : { min: 0n, max: (1n << BigInt(bits)) - 1n }

const numberForm = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/u
const integerForm = /^-?(?:0|[1-9]\d*)$/u
const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/iu

/** The inside of a quoted text without escapes, or the bare text. */
const unquoted = (text: string): string => (text.startsWith('"') ? text.slice(1, -1) : text)

/** A JSON string without half surrogate pairs, which UTF-8 cannot hold. */
export const stringOf = (json: string): string | undefined => {
  if (!json.includes("\\")) return json.slice(1, -1)
  const value: unknown = JSON.parse(json)
  return typeof value === "string" && value.isWellFormed() ? value : undefined
}

/** The number as units of 10^-`scale`; `undefined` when it has more digits than the decimal, before or behind its point. */
const unscaled = (text: string, precision: number, scale: number): bigint | undefined => {
  if (!numberForm.test(text)) return undefined
  const number = decimalText(text)
  if (number.digits === "") return 0n
  if (number.scale > scale || number.digits.length - number.scale > precision - scale) return undefined
  const units = BigInt(number.digits) * 10n ** BigInt(scale - number.scale)
  return number.negative ? -units : units
}

/** Numbers of so many characters and no exponent are doubles without loss, and whole ones are counted with exactly. */
const short = 15

const integerOf = (text: string, type: Extract<ValueType, { readonly kind: "int" }>): number | bigint | undefined => {
  let value: bigint | undefined
  if (type.bits === 64 && type.signed && text.length <= short && integerForm.test(text)) return Number(text)
  if (integerForm.test(unquoted(text))) {
    const digits = unquoted(text)
    value = digits.length > 25 ? undefined : BigInt(digits)
  }
  // `1.0` and `1e3` are whole numbers too.
  else if (!text.startsWith('"')) value = unscaled(text, 20, 0)
  if (value === undefined) return undefined
  const { max, min } = limits(type)
  return value >= min && value <= max ? value : undefined
}

/** A value as its type has it. */
export type TypedValue = boolean | number | bigint | string

/**
 * Reads the JSON text of a value that is not null as a value of its declared type; `undefined` when it does not fit without
 * loss. Numbers may stand in quotes, as APIs send large ones, and a time may be a number of seconds. A `string` takes any value
 * as its text; of `json` the text itself is the value. The sink's tables take the same values (libs/clickhouse, ValueCheck).
 */
export const readDeclared = (type: ValueType, json: string): TypedValue | undefined => {
  switch (type.kind) {
    case "bool":
      return json === "true" ? true : json === "false" ? false : undefined
    case "string":
      return json.startsWith('"') ? stringOf(json) : json
    case "json":
      return json
    case "int":
      return integerOf(json, type)
    case "decimal":
      return unscaled(unquoted(json), type.precision, type.scale)
    case "float": {
      const text = unquoted(json)
      if (!numberForm.test(text)) return undefined
      return (text.length <= short && !/e/iu.test(text)) || isExactDouble(text) ? Number(text) : undefined
    }
    case "uuid": {
      const text = json.startsWith('"') ? json.slice(1, -1) : ""
      return uuidForm.test(text) ? text : undefined
    }
    case "date":
      return json.startsWith('"') ? readDate(json.slice(1, -1)) : undefined
    case "timestamp":
      return json.startsWith('"') ? readTime(json.slice(1, -1), type.digits) : readSeconds(json, type.digits)
  }
}

/** As `readDeclared`, for a type that was inferred: only what is read back as the value that was sent. */
export const readInferred = (type: ValueType, json: string): TypedValue | undefined => {
  const quoted = json.startsWith('"')
  switch (type.kind) {
    case "string":
      return quoted ? stringOf(json) : undefined
    case "int":
      return quoted || json === "-0" || !integerForm.test(json) ? undefined : readDeclared(type, json)
    case "float":
      return quoted ? undefined : readDeclared(type, json)
    case "bool":
    case "json":
    case "uuid":
    case "date":
      return readDeclared(type, json)
    case "timestamp":
      return undefined
    case "decimal": {
      // A field that was declared once and is no more.
      const value = quoted ? undefined : readDeclared(type, json)
      return value === 0n && json.startsWith("-") ? undefined : value
    }
  }
}
