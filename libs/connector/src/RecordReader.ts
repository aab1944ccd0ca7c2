import { isUtf8 } from "node:buffer"
import { maxDepth, scalarText } from "@tributary/codec"
import type { PageRecord, RejectedRecord } from "./Page.ts"
import type { Extracted } from "./slots/index.ts"

/** The records of one page, sorted out. */
export interface ReadRecords {
  readonly records: ReadonlyArray<PageRecord>
  readonly rejected: ReadonlyArray<RejectedRecord>
}

const kinds: Record<number, string> = { 0x7b: "an object", 0x5b: "an array", 0x6e: "null", 0x22: "an empty text" }
const comma = 0x2c
const tooDeep = {
  code: "too_deep",
  reason: `Expected at most ${maxDepth} objects and arrays inside one another, found more.`
} as const

/** Takes the records out of a page: each with its key, without those that a cursor leaves out. */
export class RecordReader {
  readonly #key: ReadonlyArray<string>
  /** How the stream calls the place of its records. */
  readonly #place: string

  constructor(key: ReadonlyArray<string>, place: string) {
    this.#key = key
    this.#place = place
  }

  /** `left`: 1 for each record that is left out. */
  read({ body, scan: { deep, rows, stride } }: Extracted, left: Uint8Array | undefined): ReadRecords {
    const records: Array<PageRecord> = []
    const rejected: Array<RejectedRecord> = []
    const textIsRight = isUtf8(body)
    for (let row = 0, index = 0; row < rows.length; row += stride, index++) {
      if (left?.[index] === 1) continue
      const start = rows[row]!
      const value = body.subarray(start, rows[row + 1])
      const problem = deep?.has(index)
        ? tooDeep
        : body[start] === 0x7b
          ? textIsRight || isUtf8(value)
            ? undefined
            : notUtf8(value)
          : this.#notAnObject(body[start]!)
      const key = problem ?? this.#keyOf(body, rows, row)
      if (key === null || key instanceof Uint8Array) records.push({ key, value })
      else rejected.push({ index, value, ...key })
    }
    return { records, rejected }
  }

  #notAnObject(first: number): Pick<RejectedRecord, "code" | "reason"> {
    const found =
      first === 0x5b ? "an array" : first === 0x6e ? "null" : first === 0x22 ? "a text" : "a number or boolean"
    const text = this.#place
    const advice =
      first === 0x5b && !text.endsWith("[*]") ? ` To read its elements, set the stream's records to ${text}[*].` : ""
    return { code: "not_an_object", reason: `Expected an object at ${text}, found ${found}.${advice}` }
  }

  /** The key of a record, `null` for a stream without one, or what is wrong. */
  #keyOf(body: Buffer, rows: Array<number>, row: number): Uint8Array | null | Pick<RejectedRecord, "code" | "reason"> {
    const fields = this.#key
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
