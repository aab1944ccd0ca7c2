import { isUtf8 } from "node:buffer"
import { JsonSyntaxError, skipSpace, skipString, skipValue } from "@tributary/codec"
import type { Rejected } from "@tributary/domain"

const start = 16

/** Finds the fields of records, one record after the other, without making objects: each is the bytes that the API sent. */
export class RecordScan {
  /** Where the value of each known field begins in the last record, and ends; -1 where it is absent. */
  readonly from: Int32Array
  readonly to: Int32Array
  /** Places of the fields that are not known: key from and to (with its quotes), value from and to, for each. */
  others: Int32Array = new Int32Array(4 * start)
  otherCount = 0
  readonly #byKey = new Map<string, number>()
  readonly #keys: ReadonlyArray<Buffer>
  /** Field that stood n-th in the last record, as a guess for this one. */
  #guess: Int32Array = new Int32Array(start).fill(-1)

  constructor(keys: ReadonlyArray<string>) {
    this.from = new Int32Array(keys.length)
    this.to = new Int32Array(keys.length)
    this.#keys = keys.map((key) => Buffer.from(JSON.stringify(key)))
    for (const [index, key] of keys.entries()) this.#byKey.set(key, index)
  }

  /** Scans a record; says why it is none. */
  scan(value: Buffer): Rejected | undefined {
    this.from.fill(-1)
    this.otherCount = 0
    if (!isUtf8(value))
      return {
        code: "invalid_utf8",
        reason: "The record is not valid UTF-8, as JSON has to be (RFC 8259, section 8.1)."
      }
    try {
      return this.#scan(value)
    } catch (error) {
      if (error instanceof JsonSyntaxError) return { code: "invalid_json", reason: error.message }
      throw error
    }
  }

  #scan(value: Buffer): Rejected | undefined {
    let i = skipSpace(value, 0)
    if (value[i] !== 0x7b)
      return {
        code: "not_an_object",
        reason: `The record is not a JSON object; found ${shortened(value, 0, value.length) || "nothing"}.`
      }
    i = skipSpace(value, i + 1)
    if (value[i] === 0x7d) i++
    else {
      for (let n = 0; ; n++) {
        const key = i
        const index = this.#fieldAt(value, key, n)
        i = skipSpace(value, index < 0 ? skipString(value, key) : this.#keyEnd)
        const keyEnd = this.#keyEnd
        if (value[i] !== 0x3a) throw new JsonSyntaxError(i, '":"', "something else")
        const from = skipSpace(value, i + 1)
        i = skipValue(value, from)
        if (index < 0) this.#other(key, keyEnd, from, i)
        else if (this.from[index]! >= 0) return duplicate(value, key, keyEnd)
        else {
          this.from[index] = from
          this.to[index] = i
        }
        i = skipSpace(value, i)
        if (value[i] === 0x2c) {
          i = skipSpace(value, i + 1)
          continue
        }
        if (value[i] !== 0x7d) throw new JsonSyntaxError(i, '"," or "}"', "something else")
        i++
        break
      }
    }
    const end = skipSpace(value, i)
    if (end < value.length) throw new JsonSyntaxError(end, "the end", "more")
    return this.#doubled(value)
  }

  #keyEnd = 0

  /** The field whose key stands at `at`, -1 for none; `#keyEnd` is then behind the key. */
  #fieldAt(value: Buffer, at: number, n: number): number {
    const guess = n < this.#guess.length ? this.#guess[n]! : -1
    const expected = guess < 0 ? undefined : this.#keys[guess]
    if (expected !== undefined && sameBytes(value, at, expected)) {
      this.#keyEnd = at + expected.length
      return guess
    }
    this.#keyEnd = skipString(value, at)
    const index = this.#byKey.get(keyText(value, at, this.#keyEnd)) ?? -1
    if (n >= this.#guess.length) {
      const wider = new Int32Array(this.#guess.length * 2).fill(-1)
      wider.set(this.#guess)
      this.#guess = wider
    }
    this.#guess[n] = index
    return index
  }

  #other(key: number, keyEnd: number, from: number, to: number): void {
    const at = 4 * this.otherCount++
    if (at === this.others.length) {
      const wider = new Int32Array(at * 2)
      wider.set(this.others)
      this.others = wider
    }
    this.others.set([key, keyEnd, from, to], at)
  }

  /** A key that is not known may come twice as well. */
  #doubled(value: Buffer): Rejected | undefined {
    if (this.otherCount < 2) return undefined
    const seen = new Set<string>()
    for (let n = 0; n < this.otherCount; n++) {
      const [from, to] = [this.others[4 * n]!, this.others[4 * n + 1]!]
      const key = keyText(value, from, to)
      if (seen.has(key)) return duplicate(value, from, to)
      seen.add(key)
    }
    return undefined
  }
}

const sameBytes = (value: Buffer, at: number, key: Buffer): boolean => {
  for (let k = 0; k < key.length; k++) if (value[at + k] !== key[k]) return false
  return true
}

/** What a key with its quotes means. */
export const keyText = (value: Buffer, from: number, to: number): string => {
  const text = value.toString("utf8", from, to)
  return text.includes("\\") ? String(JSON.parse(text)) : text.slice(1, -1)
}

const duplicate = (value: Buffer, from: number, to: number): Rejected => ({
  code: "duplicate_field",
  reason: `Field ${value.toString("utf8", from, to)} comes twice; which value counts is not defined (RFC 8259, section 4).`
})

/** The beginning of a value, for a message. */
export const shortened = (value: Buffer, from: number, to: number): string => {
  const text = value.toString("utf8", from, Math.min(to, from + 200))
  return text.length > 60 || to - from > 200 ? `${text.slice(0, 60)}...` : text
}

export const missing = (key: string, found: string, expected: string): Rejected => ({
  code: "missing_field",
  reason: `Field "${key}": found ${found}, expected ${expected}; its type does not allow null.`
})

export const misfit = (key: string, found: string, expected: string): Rejected => ({
  code: "type_mismatch",
  reason: `Field "${key}": found ${found}, expected ${expected}.`
})
