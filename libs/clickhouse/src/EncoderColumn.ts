import { skipValue } from "@tributary/codec"
import { type ColumnKind, parseColumnType } from "./ColumnType.ts"
import type { Column, RejectedRecord } from "./Table.ts"
import { checkDate, checkTimestamp } from "./TimeCheck.ts"
import {
  checkBool,
  checkDecimal,
  checkFloat,
  checkInteger,
  checkString,
  checkUuid,
  type IntegerLimits,
  integerLimits,
  unfit
} from "./ValueCheck.ts"

/** A column that fields are loaded into. */
export interface EncoderColumn extends Column {
  /** The column holds JSON text: a string keeps its quotes and escapes. */
  readonly json: boolean
  /** A record without the field, or with null, is rejected. */
  readonly required: boolean
}

/** What the encoder knows of a column while it runs; `code` chooses the check. */
export interface Prepared {
  readonly name: string
  /** `"name":` as most senders write it. */
  readonly key: Buffer
  readonly code: number
  readonly limits: IntegerLimits
  /** Precision, digits of the second, or nothing. */
  readonly size: number
  readonly scale: number
  readonly wide: boolean
  readonly nullable: boolean
  readonly json: boolean
  readonly declared: boolean
  readonly required: boolean
  readonly expected: string
}

const Bool = 0
const Integer = 1
const Float = 2
const DecimalKind = 3
const Text = 4
const Json = 5
const DateKind = 6
const Timestamp = 7
const Uuid = 8

const codes: Readonly<Record<ColumnKind["_tag"], number>> = {
  Bool,
  Integer,
  Float,
  Decimal: DecimalKind,
  Text,
  Date: DateKind,
  Timestamp,
  Uuid
}

const expectation = (kind: ColumnKind, json: boolean): string => {
  switch (kind._tag) {
    case "Bool":
      return "true or false"
    case "Integer": {
      const { min, max } = integerLimits(kind.signed, kind.bits)
      return `an integer from ${kind.signed ? `-${min}` : "0"} to ${max}`
    }
    case "Float":
      return "a number that a 64-bit float holds without loss"
    case "Decimal":
      return `a decimal with at most ${kind.precision - kind.scale} digits before the point and ${kind.scale} after it`
    case "Text":
      return json ? "any JSON value" : "a string of Unicode characters"
    case "Date":
      return kind.wide ? "a date from 1900-01-01 to 2299-12-31" : "a date from 1970-01-01 to 2149-06-06"
    case "Timestamp":
      return `an RFC 3339 time with offset, or seconds since 1970, with at most ${kind.digits} digits of a second, from ${
        kind.wide ? `1900 to ${kind.digits === 9 ? "2262" : "2299"}` : "1970 to 2106"
      }`
    case "Uuid":
      return "a UUID with hyphens"
  }
}

export const prepare = (column: EncoderColumn): Prepared | undefined => {
  const parsed = parseColumnType(column.type)
  if (parsed === undefined) return undefined
  const { kind, nullable } = parsed
  return {
    name: column.name,
    key: Buffer.from(`${JSON.stringify(column.name)}:`),
    code: kind._tag === "Text" && column.json ? Json : codes[kind._tag],
    limits: kind._tag === "Integer" ? integerLimits(kind.signed, kind.bits) : integerLimits(true, 64),
    size: kind._tag === "Decimal" ? kind.precision : kind._tag === "Timestamp" ? kind.digits : 0,
    scale: kind._tag === "Decimal" ? kind.scale : 0,
    wide: (kind._tag === "Date" || kind._tag === "Timestamp") && kind.wide,
    nullable,
    json: kind._tag === "Text" && column.json,
    declared: column.declared,
    required: column.required,
    expected: expectation(kind, column.json)
  }
}

/** Position after a value that fits the column, `unfit`, or `rewrite` (see ValueCheck). */
export const check = (bytes: Buffer, at: number, column: Prepared): number => {
  switch (column.code) {
    case Text:
      return bytes[at] === 0x22 ? checkString(bytes, at) : skipValue(bytes, at)
    case Integer:
      return checkInteger(bytes, at, column.limits)
    case Float:
      return checkFloat(bytes, at)
    case DecimalKind:
      return checkDecimal(bytes, at, column.size, column.scale)
    case Timestamp:
      return checkTimestamp(bytes, at, column.size, column.wide)
    case DateKind:
      return checkDate(bytes, at, column.wide)
    case Bool:
      return checkBool(bytes, at)
    case Uuid:
      return checkUuid(bytes, at)
    default:
      return bytes[at] === 0x22 ? unfit : skipValue(bytes, at)
  }
}

/** The beginning of a value, for a message. */
export const shortened = (bytes: Uint8Array, from: number, to: number): string => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.min(to - from, 200)).toString("utf8")
  return text.length > 60 || to - from > 200 ? `${text.slice(0, 60)}...` : text
}

/** Why a record is rejected. */
export type Problem = Omit<RejectedRecord, "index">

export const missing = (column: Prepared, found: string): Problem => ({
  code: "missing_field",
  reason: `Field "${column.name}": found ${found}, expected ${column.expected}; its column cannot be null.`
})

export const misfit = (column: Prepared, bytes: Buffer, from: number, to: number): Problem => ({
  code: "type_mismatch",
  reason: `Field "${column.name}": found ${shortened(bytes, from, to)}, expected ${column.expected}.`
})
