import { scalarText } from "@tributary/codec"
import { type Mark, type MarkType, readMark } from "./Mark.ts"

const isDigits = (bytes: Uint8Array, from: number, to: number): boolean => {
  for (let i = from; i < to; i++) {
    const c = bytes[i]!
    if (c < 0x30 || c > 0x39) return false
  }
  return true
}
const two = (bytes: Uint8Array, at: number): number => (bytes[at]! - 0x30) * 10 + (bytes[at + 1]! - 0x30)

/**
 * Reads the incremental field of one record after the other, straight from the bytes where the value has its usual form. What
 * was read last is in `order` and `fine` (see `Mark`), to spare an object per record.
 */
export class MarkReader {
  readonly #type: MarkType
  order: number | bigint = 0
  fine = 0
  /** The first 13 bytes of a timestamp (date and hour) read before, and their milliseconds. */
  readonly #hour = new Uint8Array(13)
  #hourMillis = 0

  constructor(type: MarkType) {
    this.#type = type
  }

  /** Whether the JSON value from `start` to `end` is a value of the field's type. */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    if (start < 0) return false
    const { format, type } = this.#type
    // Other forms of times are read as texts, which the next line does.
    if (
      type === "timestamp"
        ? format === undefined && this.#readTimestamp(bytes, start, end)
        : this.#readNumber(bytes, start, end)
    )
      return true
    const mark = this.mark(bytes, start, end)
    if (mark === undefined) return false
    this.order = mark.order
    this.fine = mark.fine
    return true
  }

  /** The value as a `Mark`. */
  mark(bytes: Uint8Array, start: number, end: number): Mark | undefined {
    const isString = bytes[start] === 0x22
    // A timestamp is a string unless it counts from 1970; a number may be one too, as some APIs send large numbers so.
    if (this.#type.type === "timestamp" && this.#type.format === undefined && !isString) return undefined
    const text = scalarText(bytes, { start, end })
    return text === null || text === undefined ? undefined : readMark(text, this.#type)
  }

  #readNumber(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start > 15 || !isDigits(bytes, start, end)) return false
    let value = 0
    for (let i = start; i < end; i++) value = value * 10 + (bytes[i]! - 0x30)
    this.order = value
    this.fine = 0
    return true
  }

  /** `"2026-01-31T12:34:56Z"` and `"2026-01-31T12:34:56.789Z"`, in the hour of the value read before or any other. */
  #readTimestamp(bytes: Uint8Array, start: number, end: number): boolean {
    const at = start + 1
    const length = end - start - 2
    if ((length !== 20 && length !== 24) || bytes[at + length - 1] !== 0x5a || bytes[at + 16] !== 0x3a) return false
    const hour = this.#hour
    for (let i = 0; i < 13; i++) {
      if (bytes[at + i] !== hour[i]) {
        const mark = this.mark(bytes, start, end)
        if (mark === undefined) return false
        for (let k = 0; k < 13; k++) hour[k] = bytes[at + k]!
        this.#hourMillis = Math.floor(Number(mark.order) / 3_600_000) * 3_600_000
        break
      }
    }
    const minute = two(bytes, at + 14)
    const second = two(bytes, at + 17)
    if (!isDigits(bytes, at + 14, at + 16) || !isDigits(bytes, at + 17, at + 19) || minute > 59 || second > 59)
      return false
    let millis = 0
    if (length === 24) {
      if (bytes[at + 19] !== 0x2e || !isDigits(bytes, at + 20, at + 23)) return false
      millis = (bytes[at + 20]! - 0x30) * 100 + two(bytes, at + 21)
    }
    this.order = this.#hourMillis + minute * 60_000 + second * 1000 + millis
    this.fine = 0
    return true
  }
}
