import { isUtf8 } from "node:buffer"
import { type JsonSelector, type Plan, type Scan, compilePlan, scalarText } from "@tributary/codec"
import { primaryKey, type SourceStream } from "@tributary/domain"
import { digest, digested, DigestSet } from "./Digest.ts"
import { type Mark, readMark } from "./Mark.ts"
import { MarkReader } from "./MarkReader.ts"
import type { PageRecord, RejectedRecord } from "./Page.ts"
import { Window } from "./Window.ts"

/** What is looked for in each page of a stream. */
export interface ReadPlan {
  readonly plan: Plan
  readonly records: JsonSelector
  readonly key: ReadonlyArray<string>
  /** Number of the incremental field among the plan's fields: one of the key's, or the one behind them; -1 for none. */
  readonly markField: number
}

const fieldPath = (field: string): ReadonlyArray<string> => field.split(".")

/** The plan of a stream: its records with the fields of key and cursor, and `values` of the body (for the pagination). */
export const readPlan = (
  stream: SourceStream,
  records: JsonSelector,
  values: ReadonlyArray<JsonSelector>
): ReadPlan => {
  const key = primaryKey(stream)
  const fields = key.map(fieldPath)
  let markField = -1
  if (stream.incremental !== undefined) {
    // A plan has each field once, and an id may be both.
    markField = key.indexOf(stream.incremental.field)
    if (markField < 0) markField = fields.push(fieldPath(stream.incremental.field)) - 1
  }
  return { plan: compilePlan({ records, fields, values }), records, key, markField }
}

/** The records of one page, sorted out. */
export interface ReadRecords {
  readonly records: ReadonlyArray<PageRecord>
  readonly rejected: ReadonlyArray<RejectedRecord>
  readonly skipped: number
  readonly unmarked: number
}

const kinds: Record<number, string> = { 0x7b: "an object", 0x5b: "an array", 0x6e: "null", 0x22: "an empty text" }
const comma = 0x2c

/** What a walk knows when it begins. */
export interface WalkMemory {
  readonly cursor: string | undefined
  readonly seen: string | undefined
  readonly maxSeen: string | undefined
  readonly met: string | undefined
}

/** Takes the records of a walk out of its pages, without those that an earlier walk read and that have not changed. */
export class RecordReader {
  readonly #plan: ReadPlan
  readonly #marks: MarkReader | undefined
  readonly #cursor: Mark | undefined
  readonly #seen: DigestSet
  /** `undefined` for a stream that is not read incrementally. */
  readonly window: Window | undefined

  constructor(stream: SourceStream, plan: ReadPlan, memory: WalkMemory) {
    this.#plan = plan
    const { incremental } = stream
    if (incremental === undefined) {
      this.#seen = new DigestSet()
      return
    }
    const { type } = incremental
    this.#marks = new MarkReader(type)
    this.#cursor = memory.cursor === undefined ? undefined : readMark(memory.cursor, type)
    this.#seen = DigestSet.decode(memory.seen)
    const maxSeen = memory.maxSeen === undefined ? undefined : readMark(memory.maxSeen, type)
    this.window = new Window(incremental, maxSeen, memory.met)
  }

  read(body: Buffer, scan: Scan): ReadRecords {
    const { rows, stride } = scan
    const records: Array<PageRecord> = []
    const rejected: Array<RejectedRecord> = []
    const known = this.#known(body, scan)
    const textIsRight = isUtf8(body)
    for (let row = 0, index = 0; row < rows.length; row += stride, index++) {
      if (known !== undefined && known.repeated[index] === 1) continue
      const start = rows[row]!
      const value = body.subarray(start, rows[row + 1])
      const problem =
        body[start] === 0x7b
          ? textIsRight || isUtf8(value)
            ? undefined
            : notUtf8(value)
          : this.#notAnObject(body[start]!)
      const key = problem ?? this.#key(body, rows, row)
      if (key === null || key instanceof Uint8Array) records.push({ key, value })
      else rejected.push({ index, value, ...key })
    }
    return { records, rejected, skipped: known?.skipped ?? 0, unmarked: known?.unmarked ?? 0 }
  }

  /** Compares the records with those of earlier walks, and takes note of those that the next walk may meet. */
  #known(body: Buffer, { rows, stride }: Scan) {
    const marks = this.#marks
    const window = this.window
    if (marks === undefined || window === undefined) return undefined
    const count = rows.length / stride
    const field = 2 + 2 * this.#plan.markField
    const orders: Array<number | bigint | undefined> = []
    /** Bit 1: an earlier walk may have read it. */
    const maybe = new Uint8Array(count)
    const cursor = this.#cursor
    let highest = -1
    let top: number | bigint = 0
    let topFine = 0
    let unmarked = 0
    for (let row = 0, index = 0; row < rows.length; row += stride, index++) {
      if (!marks.read(body, rows[row + field]!, rows[row + field + 1]!)) {
        orders.push(undefined)
        maybe[index] = 1
        unmarked++
        continue
      }
      const { fine, order } = marks
      orders.push(order)
      if (cursor !== undefined && (order < cursor.order || (order === cursor.order && fine <= cursor.fine)))
        maybe[index] = 1
      if (highest < 0 || order > top || (order === top && fine > topFine)) {
        highest = row
        top = order
        topFine = fine
      }
    }
    if (highest >= 0) {
      const mark = marks.mark(body, rows[highest + field]!, rows[highest + field + 1]!)
      if (mark !== undefined) window.raise(mark)
    }
    const repeated = new Uint8Array(count)
    const isFirst = this.#seen.size === 0
    let skipped = 0
    for (let row = 0, index = 0; row < rows.length; row += stride, index++) {
      const order = orders[index]
      const stays = order === undefined || window.includes(order)
      const check = !isFirst && maybe[index] === 1
      if (!stays && !check) continue
      digest(body, rows[row]!, rows[row + 1]!)
      const { high, low } = digested
      if (check && this.#seen.has(high, low)) {
        repeated[index] = 1
        skipped++
      }
      if (stays) window.add(order === undefined ? Number.NEGATIVE_INFINITY : Number(order), high, low)
    }
    return { repeated, skipped, unmarked }
  }

  #notAnObject(first: number): Pick<RejectedRecord, "code" | "reason"> {
    const found =
      first === 0x5b ? "an array" : first === 0x6e ? "null" : first === 0x22 ? "a text" : "a number or boolean"
    const { text } = this.#plan.records
    const advice =
      first === 0x5b && !text.endsWith("[*]") ? ` To read its elements, set the stream's records to ${text}[*].` : ""
    return { code: "not_an_object", reason: `Expected an object at ${text}, found ${found}.${advice}` }
  }

  /** The key of a record, `null` for a stream without one, or what is wrong. */
  #key(body: Buffer, rows: Array<number>, row: number): Uint8Array | null | Pick<RejectedRecord, "code" | "reason"> {
    const fields = this.#plan.key
    if (fields.length === 0) return null
    const parts: Array<Uint8Array> = []
    for (let k = 0; k < fields.length; k++) {
      const start = rows[row + 2 + 2 * k]!
      const end = rows[row + 3 + 2 * k]!
      const first = start < 0 ? undefined : body[start]!
      const isEmpty = first === 0x22 && end === start + 2
      if (first === undefined || first === 0x7b || first === 0x5b || first === 0x6e || isEmpty) {
        const found = first === undefined ? "nothing" : kinds[first]
        return {
          code: "missing_key",
          reason: `Expected a text or a number in ${fields[k]} (the stream's primary_key), found ${found}.`
        }
      }
      if (fields.length === 1) return keyBytes(body, start, end)
      parts.push(partBytes(body, start, end))
    }
    return Buffer.from(`[${parts.map((part) => part.toString()).join(String.fromCharCode(comma))}]`)
  }
}

const isEscaped = (body: Buffer, start: number, end: number): boolean => {
  for (let i = start; i < end; i++) if (body[i] === 0x5c) return true
  return false
}

/** The text of a string, the JSON text of any other scalar. */
const keyBytes = (body: Buffer, start: number, end: number): Uint8Array => {
  if (body[start] !== 0x22) return body.subarray(start, end)
  if (!isEscaped(body, start, end)) return body.subarray(start + 1, end - 1)
  return Buffer.from(scalarText(body, { start, end }) ?? "")
}

/** JSON text of a part of a key, so that equal parts have equal bytes however the API escapes them. */
const partBytes = (body: Buffer, start: number, end: number): Uint8Array =>
  body[start] === 0x22 && isEscaped(body, start, end)
    ? Buffer.from(JSON.stringify(scalarText(body, { start, end })))
    : body.subarray(start, end)

const notUtf8 = (value: Buffer): Pick<RejectedRecord, "code" | "reason"> => {
  const again = Buffer.from(value.toString())
  let at = 0
  while (again[at] === value[at]) at++
  const byte = (value[at] ?? 0).toString(16).padStart(2, "0")
  return { code: "not_utf8", reason: `Expected UTF-8 text, found the byte 0x${byte} at byte ${at} of the record.` }
}
