import { isUtf8 } from "node:buffer"
import { JsonSyntaxError, skipSpace, skipString, skipValue } from "@tributary/codec"
import { type ColumnKind, parseColumnType } from "./ColumnType.ts"
import type { Column, Encoded, RejectedRecord, SourceRecord } from "./Table.ts"
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
  rewrite,
  spelling,
  spellingEnd,
  unfit
} from "./ValueCheck.ts"

/** A column that fields are loaded into. */
export interface EncoderColumn extends Column {
  /** The column holds JSON text: a string keeps its quotes and escapes. */
  readonly json: boolean
  /** A record without the field, or with null, is rejected. */
  readonly required: boolean
}

/** What the encoder knows of a column while it runs; checks are chosen by `code`, which engines turn into a jump. */
interface Prepared {
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

const prepare = (column: EncoderColumn): Prepared | undefined => {
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
    declared: column.declared,
    required: column.required,
    expected: expectation(kind, column.json)
  }
}

const check = (bytes: Buffer, at: number, column: Prepared): number => {
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

// What becomes of a field of a record that cannot be copied whole.
const keep = 0
const moved = 1
const respelled = 2
const quotedText = 3

const shortened = (bytes: Uint8Array, from: number, to: number): string => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.min(to - from, 200)).toString("utf8")
  return text.length > 60 || to - from > 200 ? `${text.slice(0, 60)}...` : text
}

/** Longest line prefix, `{"_offset":9007199254740991,`, and what follows a row. */
const overhead = 40

/**
 * Encodes records as lines of JSON that ClickHouse reads back without loss. Each record is scanned once, in place, right after
 * it was copied behind its `_offset`; only a record with a field that must be moved or spelled otherwise is written anew.
 */
export class RowEncoder {
  readonly columns: ReadonlyArray<Prepared>
  readonly #byKey = new Map<string, number>()
  readonly #required: number
  // Scratch space of one call; calls do not overlap, because encoding is synchronous.
  #out: Buffer = Buffer.alloc(0)
  #at = 0
  /** Record in which a column was seen last, to find a key that comes twice. */
  readonly #seen: Int32Array
  #record = 0
  /** Column of the n-th field of the last record, as a guess for this one. */
  #guess: Int32Array = new Int32Array(64).fill(-1)
  #fields = 0
  #field = {
    column: new Int32Array(64),
    key: new Int32Array(64),
    value: new Int32Array(64),
    end: new Int32Array(64),
    action: new Uint8Array(64)
  }
  #spellings: Array<string> = []
  #plain = true

  constructor(columns: ReadonlyArray<EncoderColumn>) {
    this.columns = columns.map(prepare).filter((column) => column !== undefined)
    for (const [index, column] of this.columns.entries())
      this.#byKey.set(Buffer.from(column.name).toString("latin1"), index)
    this.#required = this.columns.filter((column) => column.required).length
    this.#seen = new Int32Array(this.columns.length)
  }

  encode(records: ReadonlyArray<SourceRecord>): Encoded {
    const encoded = this.#encodeAll(records, false)
    // One look at the whole body is much cheaper than one per record; a broken sequence cannot hide behind ASCII.
    return isUtf8(encoded.body) ? encoded : this.#encodeAll(records, true)
  }

  #encodeAll(records: ReadonlyArray<SourceRecord>, askUtf8: boolean): Encoded {
    let bytes = 64
    for (const record of records) bytes += record.value.length + overhead
    // Never reused: an insert that is tried again still needs the bytes of its batch.
    this.#out = Buffer.allocUnsafeSlow(bytes)
    this.#at = 0
    this.#seen.fill(0)
    this.#record = 0
    const rejected: Array<RejectedRecord> = []
    let rows = 0
    for (let index = 0; index < records.length; index++) {
      const record = records[index]!
      const start = this.#at
      this.#record++
      const problem =
        askUtf8 && !isUtf8(record.value)
          ? {
              code: "invalid_utf8",
              reason: "The record is not valid UTF-8, as JSON has to be (RFC 8259, section 8.1)."
            }
          : this.#row(record.value, record.offset)
      if (problem === undefined) rows++
      else {
        this.#at = start
        rejected.push({ index, code: problem.code, reason: problem.reason })
      }
    }
    const body = this.#out.subarray(0, this.#at)
    this.#out = Buffer.alloc(0)
    return { body, rows, rejected }
  }

  /** Writes one row, or says why not. */
  #row(value: Uint8Array, offset: number): Omit<RejectedRecord, "index"> | undefined {
    try {
      return this.#scan(value, offset)
    } catch (error) {
      if (!(error instanceof JsonSyntaxError)) throw error
      return { code: "invalid_json", reason: syntaxProblem(value, error) }
    }
  }

  #scan(value: Uint8Array, offset: number): Omit<RejectedRecord, "index"> | undefined {
    const brace = skipSpace(value, 0)
    if (value[brace] !== 0x7b)
      return {
        code: "not_an_object",
        reason: `The record is not a JSON object; found ${shortened(value, 0, value.length) || "nothing"}.`
      }
    this.#ensure(value.length + overhead)
    const out = this.#out
    const start = this.#at
    // The record goes where it stays if nothing has to change: behind the prefix, without its own brace.
    const body = start + out.write(`{"_offset":${offset},`, start, "latin1")
    out.set(brace === 0 ? value.subarray(1) : value.subarray(brace + 1), body)
    const end = body + value.length - brace - 1
    // No scan runs past it: a zero byte ends numbers and words and is not allowed in strings.
    out[end] = 0
    const shift = body - brace - 1
    this.#fields = 0
    this.#plain = true
    let requiredSeen = 0
    let i = skipSpace(out, body)
    if (out[i] === 0x7d) return { code: "empty_record", reason: "The record is an object without fields." }
    for (;;) {
      const key = i
      const guess = this.#fields < this.#guess.length ? this.#guess[this.#fields]! : -1
      let column = -1
      const guessed = guess >= 0 ? this.columns[guess]! : undefined
      if (guessed !== undefined && sameBytes(out, key, guessed.key)) {
        column = guess
        i = key + guessed.key.length
      } else {
        const keyEnd = skipString(out, key)
        column = this.#find(out, key, keyEnd)
        i = skipSpace(out, keyEnd)
        if (out[i] !== 0x3a) throw new JsonSyntaxError(i - shift, '":"', "something else")
        i++
      }
      const from = skipSpace(out, i)
      let action = keep
      if (column < 0) {
        i = skipValue(out, from)
        action = moved
      } else {
        const prepared = this.columns[column]!
        if (this.#seen[column] === this.#record)
          return {
            code: "duplicate_field",
            reason: `Field "${prepared.name}" comes twice; which value counts is not defined (RFC 8259, section 4).`
          }
        this.#seen[column] = this.#record
        if (out[from] === 0x6e) {
          i = skipValue(out, from)
          if (!prepared.nullable) {
            if (prepared.required || prepared.declared) return missing(prepared, "null")
            action = moved
          } else if (prepared.required) requiredSeen++
        } else {
          if (prepared.required) requiredSeen++
          i = check(out, from, prepared)
          if (i === rewrite) {
            action = respelled
            i = spellingEnd()
          } else if (i === unfit) {
            i = skipValue(out, from)
            if (prepared.code === Json) action = quotedText
            else if (prepared.declared || prepared.required) return misfit(prepared, out, from, i)
            else action = moved
          }
        }
      }
      this.#note(column, key, from, i, action)
      i = skipSpace(out, i)
      if (out[i] === 0x2c) {
        i = skipSpace(out, i + 1)
        continue
      }
      if (out[i] !== 0x7d) throw new JsonSyntaxError(i - shift, '"," or "}"', "something else")
      i++
      break
    }
    if (skipSpace(out, i) !== end) throw new JsonSyntaxError(i - shift, "the end", "something else")
    if (requiredSeen < this.#required) {
      const absent = this.columns.find((column, index) => column.required && this.#seen[index] !== this.#record)
      if (absent !== undefined) return missing(absent, "nothing")
    }
    if (this.#plain) {
      out[i] = 0x0a
      this.#at = i + 1
    } else this.#rebuild(value, start, shift, offset)
    return undefined
  }

  /** Column of a key that is not where the last record had it; -1 for none. An escaped key is compared by what it means. */
  #find(out: Buffer, key: number, keyEnd: number): number {
    const text = out.toString("latin1", key + 1, keyEnd - 1)
    if (!text.includes("\\")) return this.#byKey.get(text) ?? -1
    const name: unknown = JSON.parse(out.toString("utf8", key, keyEnd))
    const column = typeof name === "string" ? this.#byKey.get(Buffer.from(name).toString("latin1")) : undefined
    if (column === undefined) return -1
    // Written anew under its plain name.
    this.#plain = false
    return column
  }

  #note(column: number, key: number, value: number, end: number, action: number): void {
    const n = this.#fields++
    if (n === this.#guess.length) this.#widen()
    const field = this.#field
    this.#guess[n] = column
    field.column[n] = column
    field.key[n] = key
    field.value[n] = value
    field.end[n] = end
    field.action[n] = action
    if (action !== keep) {
      this.#plain = false
      if (action === respelled) this.#spellings[n] = spelling()
    }
  }

  #widen(): void {
    const grown = (array: Int32Array): Int32Array<ArrayBuffer> => {
      const wider = new Int32Array(array.length * 2)
      wider.set(array)
      return wider
    }
    const { column, key, value, end, action } = this.#field
    const actions = new Uint8Array(action.length * 2)
    actions.set(action)
    this.#guess = grown(this.#guess)
    this.#field = { column: grown(column), key: grown(key), value: grown(value), end: grown(end), action: actions }
  }

  #rebuild(value: Uint8Array, start: number, shift: number, offset: number): void {
    const { column, key, value: from, end, action } = this.#field
    this.#at = start
    this.#text(`{"_offset":${offset}`)
    let extra = false
    for (let n = 0; n < this.#fields; n++) {
      if (action[n] === moved) {
        extra = true
        continue
      }
      this.#byte(0x2c)
      this.#copy(this.columns[column[n]!]!.key)
      if (action[n] === keep) this.#copy(value.subarray(from[n]! - shift, end[n]! - shift))
      else if (action[n] === respelled) this.#text(this.#spellings[n]!)
      else {
        this.#byte(0x22)
        this.#escaped(value, from[n]! - shift, end[n]! - shift)
        this.#byte(0x22)
      }
    }
    if (extra) {
      this.#text(',"_extra":"{')
      let first = true
      for (let n = 0; n < this.#fields; n++) {
        if (action[n] !== moved) continue
        if (!first) this.#byte(0x2c)
        first = false
        this.#escaped(value, key[n]! - shift, skipString(value, key[n]! - shift))
        this.#byte(0x3a)
        this.#escaped(value, from[n]! - shift, end[n]! - shift)
      }
      this.#text('}"')
    }
    this.#text("}\n")
  }

  /** Bytes of JSON as the inside of a JSON string. Control characters can only be white space between tokens. */
  #escaped(bytes: Uint8Array, from: number, to: number): void {
    this.#ensure((to - from) * 2)
    const out = this.#out
    let at = this.#at
    for (let i = from; i < to; i++) {
      const c = bytes[i]!
      if (c === 0x22 || c === 0x5c) out[at++] = 0x5c
      else if (c < 0x20) {
        out[at++] = 0x5c
        out[at++] = c === 0x0a ? 0x6e : c === 0x0d ? 0x72 : 0x74
        continue
      }
      out[at++] = c
    }
    this.#at = at
  }

  #byte(byte: number): void {
    this.#ensure(1)
    this.#out[this.#at++] = byte
  }

  #text(ascii: string): void {
    this.#ensure(ascii.length)
    this.#at += this.#out.write(ascii, this.#at, "latin1")
  }

  #copy(bytes: Uint8Array): void {
    this.#ensure(bytes.length)
    this.#out.set(bytes, this.#at)
    this.#at += bytes.length
  }

  #ensure(bytes: number): void {
    const needed = this.#at + bytes
    if (needed <= this.#out.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, Math.ceil(this.#out.length * 1.5)))
    this.#out.copy(grown, 0, 0, this.#at)
    this.#out = grown
  }
}

const sameBytes = (out: Buffer, at: number, key: Buffer): boolean => {
  for (let k = 0; k < key.length; k++) if (out[at + k] !== key[k]) return false
  return true
}

const missing = (column: Prepared, found: string): Omit<RejectedRecord, "index"> => ({
  code: "missing_field",
  reason: `Field "${column.name}": found ${found}, expected ${column.expected}; its column cannot be null.`
})

const misfit = (column: Prepared, bytes: Buffer, from: number, to: number): Omit<RejectedRecord, "index"> => ({
  code: "type_mismatch",
  reason: `Field "${column.name}": found ${shortened(bytes, from, to)}, expected ${column.expected}.`
})

/** The whole record is scanned again as a document of its own, so that the position is that of the record's byte. */
const syntaxProblem = (value: Uint8Array, error: JsonSyntaxError): string => {
  try {
    skipValue(value, skipSpace(value, 0))
  } catch (again) {
    if (again instanceof JsonSyntaxError) return again.message
    throw again
  }
  return error.message
}
