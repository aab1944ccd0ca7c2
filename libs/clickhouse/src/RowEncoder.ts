import { isUtf8 } from "node:buffer"
import { JsonSyntaxError, skipSpace, skipString, skipValue } from "@tributary/codec"
import {
  check,
  type EncoderColumn,
  missing,
  misfit,
  prepare,
  type Prepared,
  type Problem,
  shortened
} from "./EncoderColumn.ts"
import type { Encoded, RejectedRecord, SourceRecord } from "./Table.ts"
import { rewrite, spelling, spellingEnd, unfit } from "./ValueCheck.ts"

// What becomes of a field of a record that cannot be copied whole.
const keep = 0
const moved = 1
const respelled = 2
const quotedText = 3

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
  /** Whether the record can be copied whole. */
  #plain = true
  /** Whether the places of the fields are noted, as writing the record anew needs. */
  #noting = false

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
  #row(value: Uint8Array, offset: number): Problem | undefined {
    try {
      const problem = this.#scan(value, offset)
      // Streams are regular: the next record will most likely need notes if this one did.
      this.#noting = !this.#plain
      return problem
    } catch (error) {
      if (!(error instanceof JsonSyntaxError)) throw error
      return { code: "invalid_json", reason: syntaxProblem(value, error) }
    }
  }

  #scan(value: Uint8Array, offset: number): Problem | undefined {
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
    const body = writePrefix(out, start, offset) + 1
    out.set(brace === 0 ? value : value.subarray(brace), body - 1)
    out[body - 1] = 0x2c
    const end = body + value.length - brace - 1
    // No scan runs past it: a zero byte ends numbers and words and is not allowed in strings.
    out[end] = 0
    const shift = body - brace - 1
    this.#fields = 0
    this.#plain = true
    let requiredSeen = 0
    let field = 0
    let i = skipSpace(out, body)
    if (out[i] === 0x7d) return { code: "empty_record", reason: "The record is an object without fields." }
    for (;;) {
      const key = i
      const guess = field < this.#guess.length ? this.#guess[field]! : -1
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
            if (prepared.json) action = quotedText
            else if (prepared.declared || prepared.required) {
              // `01` is no JSON, which says more than that the `0` does not fit.
              const next = out[skipSpace(out, i)]
              if (next === 0x2c || next === 0x7d) return misfit(prepared, out, from, i)
            } else action = moved
          }
        }
      }
      if (action !== keep) this.#plain = false
      if (this.#noting) this.#note(column, key, from, i, action)
      else if (!this.#plain) {
        this.#noting = true
        this.#record++
        return this.#scan(value, offset)
      } else if (field < this.#guess.length) this.#guess[field] = column
      field++
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
    if (action === respelled) this.#spellings[n] = spelling()
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

const prefix = Buffer.from('{"_offset":')

/** Writes `{"_offset":<offset>` and returns the position after it. */
const writePrefix = (out: Buffer, start: number, offset: number): number => {
  let at = start
  for (let k = 0; k < prefix.length; k++) out[at++] = prefix[k]!
  let digits = 1
  for (let power = 10; power <= offset; power *= 10) digits++
  let rest = offset
  for (let k = at + digits - 1; k >= at; k--) {
    const tens = Math.floor(rest / 10)
    out[k] = 0x30 + (rest - tens * 10)
    rest = tens
  }
  return at + digits
}

const sameBytes = (out: Buffer, at: number, key: Buffer): boolean => {
  for (let k = 0; k < key.length; k++) if (out[at + k] !== key[k]) return false
  return true
}

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
