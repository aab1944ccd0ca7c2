import { type LosslessJson, type Scan, scalarText, LosslessJson as Lossless } from "@tributary/codec"
import type { Position } from "../Checkpoint.ts"
import { readableText } from "../Charset.ts"
import type { Answer } from "../Transport.ts"
import type { Slice } from "./Slice.ts"

/**
 * Records as spans of bytes. `body` is the answer's own body where that is JSON, else JSON text that was made of it; `scan`
 * says where its records, their fields and the paginator's values stand.
 */
export interface Extracted {
  readonly body: Buffer
  readonly scan: Scan
}

/** One page as slots see it. */
export class PageView {
  readonly answer: Answer
  readonly slice: Slice
  /** Where the page was asked for; `undefined` is the first. */
  readonly position: Position | undefined
  readonly extracted: Extracted
  /** Of an answer that comes in parts: what tells its first records. */
  readonly start: string | undefined
  readonly #total: number | undefined
  readonly #last: Buffer | undefined
  #json: { readonly value: LosslessJson.Json | undefined } | undefined

  constructor(
    answer: Answer,
    slice: Slice,
    position: Position | undefined,
    extracted: Extracted,
    parts?: { readonly soFar: { readonly records: number }; readonly start: string; readonly last: Buffer | undefined }
  ) {
    this.answer = answer
    this.slice = slice
    this.position = position
    this.extracted = extracted
    this.#total = parts?.soFar.records
    this.#last = parts?.last
    this.start = parts?.start
  }

  /** Number of records of the answer, before any are left out; of one that comes in parts, of all so far. */
  get count(): number {
    const { rows, stride } = this.extracted.scan
    if (this.#total !== undefined) return this.#total
    return rows.length / stride
  }

  /** Bytes of the answer's last record, of one that comes in parts of the last so far; `undefined` where there is none. */
  get last(): Buffer | undefined {
    const { rows, stride } = this.extracted.scan
    // The last part of a body may have no record.
    return this.record(rows.length / stride - 1) ?? this.#last
  }

  /** Bytes of a record of this part, from 0; `undefined` behind the last. */
  record(index: number): Buffer | undefined {
    const { body, scan } = this.extracted
    const start = scan.rows[index * scan.stride]
    return start === undefined ? undefined : body.subarray(start, scan.rows[index * scan.stride + 1])
  }

  /** The paginator's value with this number as bytes of JSON; `undefined` where there is none. */
  value(index: number): Buffer | undefined {
    const { body, scan } = this.extracted
    const start = scan.values[2 * index] ?? -1
    return start < 0 ? undefined : body.subarray(start, scan.values[2 * index + 1])
  }

  /** A scalar as text, `null` for null, `undefined` for anything else and for nothing. */
  valueText(index: number): string | null | undefined {
    const bytes = this.value(index)
    return bytes === undefined ? undefined : scalarText(bytes, { start: 0, end: bytes.length })
  }

  /**
   * The answer's body as a value; `undefined` if it is not JSON. Parsed when it is first asked for: for slots in code, which
   * need more than the values that a paginator names.
   */
  get json(): LosslessJson.Json | undefined {
    if (this.#json === undefined) {
      try {
        this.#json = { value: Lossless.parse(readableText(this.answer.headers, this.answer.body, this.answer.charset)) }
      } catch {
        this.#json = { value: undefined }
      }
    }
    return this.#json.value
  }
}
