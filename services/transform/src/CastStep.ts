import { LosslessJson } from "@tributary/codec"
import { type FieldTypeInfo, readFieldType } from "@tributary/domain"
import { decimalText, exactNumber, wholeNumber } from "./ExactNumber.ts"
import { changeField, fieldPath } from "./FieldPath.ts"
import { instantFromSeconds, instantFromText, isDate, utcDate, utcText } from "./Instant.ts"
import type { JsonValue } from "./RecordTransform.ts"
import { kindOf, Rejection, shown, type Step } from "./Step.ts"

/** A value as another type, or `undefined` when it cannot be that without loss. */
type Cast = (value: JsonValue) => JsonValue | undefined

/** A number's or a text's characters: what can be read as a number. */
const numberText = (value: JsonValue): string | undefined =>
  typeof value === "string" || (typeof value !== "boolean" && kindOf(value) === "a number") ? String(value) : undefined

const toWhole =
  (least: bigint, most: bigint): Cast =>
  (value) => {
    const text = numberText(value)
    const number = text === undefined ? undefined : exactNumber(text)
    const whole = number === undefined ? undefined : wholeNumber(number)
    if (whole === undefined || whole < least || whole > most) return undefined
    return whole >= BigInt(Number.MIN_SAFE_INTEGER) && whole <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(whole) : whole
  }

const toFloat: Cast = (value) => {
  if (typeof value === "number") return value
  const text = numberText(value)
  if (text === undefined || exactNumber(text) === undefined) return undefined
  const number = Number(text)
  return Number.isFinite(number) ? number : undefined
}

const toDecimal =
  (precision: number, scale: number): Cast =>
  (value) => {
    const text = numberText(value)
    const number = text === undefined ? undefined : exactNumber(text)
    return number === undefined ? undefined : decimalText(number, precision, scale)
  }

const toBool: Cast = (value) => {
  switch (typeof value === "object" && value !== null ? undefined : value) {
    case true:
    case 1:
    case "true":
    case "1":
      return true
    case false:
    case 0:
    case "false":
    case "0":
      return false
    default:
      return undefined
  }
}

const toText: Cast = (value) =>
  typeof value === "string"
    ? value
    : typeof value === "object" && !(value instanceof LosslessJson.JsonNumber)
      ? undefined
      : String(value)

const toDate: Cast = (value) => {
  if (typeof value !== "string") return undefined
  if (isDate(value)) return value
  const instant = instantFromText(value)
  return instant === undefined ? undefined : utcDate(instant)
}

const toTimestamp =
  (precision: number): Cast =>
  (value) => {
    const text = numberText(value)
    if (text === undefined) return undefined
    const instant =
      typeof value !== "string"
        ? instantFromSeconds(text)
        : isDate(text)
          ? instantFromText(`${text}T00:00:00Z`)
          : instantFromText(text)
    return instant === undefined ? undefined : utcText(instant, precision)
  }

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/iu
const toUuid: Cast = (value) => (typeof value === "string" && uuid.test(value) ? value.toLowerCase() : undefined)

interface Target {
  readonly cast: Cast
  /** What the value should have been, for the message. */
  readonly expected: string
}

const target = (type: FieldTypeInfo): Target => {
  switch (type.kind) {
    case "int":
    case "uint": {
      const span = 2n ** BigInt(type.bits)
      const [least, most] = type.kind === "uint" ? [0n, span - 1n] : [-span / 2n, span / 2n - 1n]
      return { cast: toWhole(least, most), expected: `a whole number from ${least} to ${most}` }
    }
    case "decimal": {
      const { precision, scale } = type
      const expected = `a number with at most ${precision - scale} digits before and ${scale} after the point`
      return { cast: toDecimal(precision, scale), expected }
    }
    case "timestamp":
      return { cast: toTimestamp(type.precision), expected: "an RFC 3339 time, or seconds since 1970" }
    case "bool":
      return { cast: toBool, expected: 'true or false (or 1, 0, "true", "false")' }
    case "float":
      return { cast: toFloat, expected: "a number" }
    case "string":
      return { cast: toText, expected: "text, a number or a boolean" }
    case "date":
      return { cast: toDate, expected: "a date (YYYY-MM-DD) or an RFC 3339 time" }
    case "uuid":
      return { cast: toUuid, expected: "a UUID" }
    case "json":
      return { cast: (value) => LosslessJson.stringify(value), expected: "a value" }
  }
}

/**
 * Converts fields to declared types, without loss or not at all: a value that does not fit rejects the record.
 *
 * - whole numbers and `decimal`: from a number or its text; `decimal` becomes text with exactly its digits after the point
 * - `float64`: the nearest double; `bool`: also from 1, 0, "true", "false"; `string`: a number's JSON text
 * - `date`: a time becomes its day in UTC; `uuid`: in lower case; `json`: the value's JSON text
 * - `timestamp`: RFC 3339 in UTC; a text without an offset is UTC, a number is seconds since 1970; it has
 *   the digits after the point that the type says (6 if it does not), more are cut off
 *
 * `null` needs a type with `?` and stays `null`; a missing field stays missing. Returns a sentence when a type does not exist.
 */
export const castStep = (types: Readonly<Record<string, string>>): Step | string => {
  const fields: Array<{
    readonly path: ReturnType<typeof fieldPath>
    readonly change: (value: JsonValue) => JsonValue | Rejection
  }> = []
  for (const [text, type] of Object.entries(types)) {
    const info = readFieldType(type)
    if (info === undefined) return `There is no type "${type}" (field ${text}).`
    const { cast, expected } = target(info)
    fields.push({
      path: fieldPath(text),
      change: (value) => {
        if (value === null && info.nullable) return null
        const converted = value === null ? undefined : cast(value)
        if (converted !== undefined) return converted
        const hint = value === null ? `; "${type}?" would allow null` : ""
        return new Rejection(
          "cast",
          `Cannot cast ${text} to ${type}: found ${shown(value)}, expected ${expected}${hint}.`
        )
      }
    })
  }
  return {
    changes: true,
    apply: (record) => {
      for (let i = 0; i < fields.length; i++) {
        const { change, path } = fields[i]!
        const rejection = changeField(record, path, change)
        if (rejection !== undefined) return rejection
      }
      return record
    }
  }
}
