import { isUtf8 } from "node:buffer"
import { JsonSyntaxError, skipSpace, skipValue } from "./JsonBytes.ts"

/**
 * JSON whose numbers survive (DESIGN.md, promise 7): `stringify(parse(text))` has every number as `text` had it, and every
 * string. Only white space is not kept, and of a repeated key the last value, as in `JSON.parse`.
 */

// `JSON.rawJSON` is in Node since version 22, not yet in TypeScript's library.
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => object }

/**
 * A number whose text a double would not give back: `1.50`, `1e3`, `-0`, `0.1234567890123456789`. It computes like a number
 * (`valueOf`), prints as its text, and `JSON.stringify` writes its text.
 */
export class JsonNumber {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  valueOf(): number {
    return Number(this.text)
  }
  toString(): string {
    return this.text
  }
  toJSON(): unknown {
    return rawJSON(this.text)
  }
}

/** A JSON value. An integer beyond 2^53 is a `bigint`; another number that a double would change is a `JsonNumber`. */
export type Json =
  | null
  | boolean
  | number
  | string
  | bigint
  | JsonNumber
  | ReadonlyArray<Json>
  | { readonly [key: string]: Json }

/** The value of the text of a JSON number. */
const number = (text: string): number | bigint | JsonNumber => {
  const value = Number(text)
  if (/^-?\d+$/u.test(text)) {
    if (text === "-0") return new JsonNumber(text)
    return Number.isSafeInteger(value) ? value : BigInt(text)
  }
  return String(value) === text ? value : new JsonNumber(text)
}

/** Where a number stands in a document that does not survive as a double. */
interface Risk {
  readonly path: ReadonlyArray<string | number>
  readonly text: string
}

/** With more such numbers than this the document is read number by number. */
const mostRestored = 8

/**
 * Finds the numbers that would change, in one pass over a document that is known to be valid. Keys and indexes of the open
 * containers are kept as positions, so that a document without such numbers costs no strings.
 */
const risks = (bytes: Buffer): Array<Risk> | undefined => {
  let found: Array<Risk> | undefined
  const length = bytes.length
  /** Of each open container: the position of the key last met, or -1 - index in an array. */
  const place: Array<number> = []
  let depth = -1
  let i = 0
  /** Position of the string last met, which is a key if a colon follows. */
  let string = 0
  while (i < length) {
    const c = bytes[i]!
    if (c === 0x22) {
      string = i++
      for (;;) {
        const s = bytes[i]!
        if (s === 0x22) break
        i += s === 0x5c ? 2 : 1
      }
      i++
    } else if (c === 0x3a) {
      place[depth] = string
      i++
    } else if (c === 0x2c) {
      if (place[depth]! < 0) place[depth] = place[depth]! - 1
      i++
    } else if (c === 0x7b) {
      place[++depth] = 0
      i++
    } else if (c === 0x5b) {
      place[++depth] = -1
      i++
    } else if (c === 0x7d || c === 0x5d) {
      depth--
      i++
    } else if (c === 0x2d || (c >= 0x30 && c <= 0x39)) {
      const start = i
      let digits = true
      for (;;) {
        const d = bytes[++i] ?? 0
        if (d >= 0x30 && d <= 0x39) continue
        if (d !== 0x2e && d !== 0x65 && d !== 0x45 && d !== 0x2b && d !== 0x2d) break
        digits = false
      }
      // An integer of up to 15 digits always survives, except -0.
      if (digits && i - start <= 15 && !(c === 0x2d && bytes[start + 1] === 0x30)) continue
      const text = bytes.toString("latin1", start, i)
      if (typeof number(text) === "number") continue
      const path: Array<string | number> = []
      for (let d = 0; d <= depth; d++) {
        const at = place[d]!
        path.push(at < 0 ? -1 - at : keyAt(bytes, at))
      }
      found ??= []
      found.push({ path, text })
      if (found.length > mostRestored) return found
    } else i++
  }
  return found
}

/** The key whose opening quote is at `at`. */
const keyAt = (bytes: Buffer, at: number): string => {
  let end = at + 1
  let plain = true
  for (;;) {
    const c = bytes[end]!
    if (c === 0x22) break
    if (c === 0x5c) {
      plain = false
      end += 2
    } else end++
  }
  return plain ? bytes.toString("utf8", at + 1, end) : String(JSON.parse(bytes.toString("utf8", at, end + 1)))
}

type Holder = Record<string | number, unknown>
const isHolder = (value: unknown): value is Holder => typeof value === "object" && value !== null

/**
 * Whether every key on the way to these numbers stands only once in the document, so that a path leads to its number and not
 * to a later repetition of a key. Keys written with escapes that they do not need count as repeated.
 */
const areUnique = (text: string, found: ReadonlyArray<Risk>): boolean => {
  if (found.length > mostRestored || text.includes("\\u") || text.includes("\\/")) return false
  for (const { path } of found) {
    for (const key of path) {
      if (typeof key !== "string") continue
      const quoted = JSON.stringify(key)
      if (text.indexOf(quoted) !== text.lastIndexOf(quoted)) return false
    }
  }
  return true
}

/** Puts the numbers back that `JSON.parse` changed. */
const restore = (root: unknown, found: ReadonlyArray<Risk>): unknown => {
  for (const { path, text } of found) {
    if (path.length === 0) return number(text)
    let holder: unknown = root
    for (let i = 0; i < path.length - 1 && isHolder(holder); i++) holder = holder[path[i]!]
    const last = path[path.length - 1]!
    if (!isHolder(holder)) continue
    // `__proto__` is a key like any other: assigning to it would set the prototype.
    if (last === "__proto__") {
      Object.defineProperty(holder, last, { value: number(text), writable: true, enumerable: true, configurable: true })
    } else holder[last] = number(text)
  }
  return root
}

// The third argument (source text access, ES2026) is in Node since version 22, not yet in TypeScript's library.
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown
) => unknown

/** Reads a document number by number: slower, and right for every document. */
const parseEach = (text: string): unknown =>
  parseWithSource(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined ? number(source) : value
  )

/** Position of the first byte that is not UTF-8: there the decoded text, encoded again, differs. */
const wrongUtf8 = (bytes: Buffer): number => {
  const again = Buffer.from(bytes.toString("utf8", 0, bytes.length))
  let i = 0
  while (i < bytes.length && again[i] === bytes[i]) i++
  return i
}

/** Says where bytes that `JSON.parse` refused are wrong. */
const explain = (bytes: Buffer, cause: unknown): never => {
  const end = skipSpace(bytes, skipValue(bytes, skipSpace(bytes, 0)))
  if (end < bytes.length) throw new JsonSyntaxError(end, "the end of the document", "more")
  throw cause
}

/**
 * Reads one JSON document (RFC 8259, UTF-8). Throws `JsonSyntaxError` with the byte offset when it is not one. `__proto__` is
 * an ordinary key.
 */
export const parse = (source: Uint8Array | string): Json => {
  const bytes =
    typeof source === "string" ? Buffer.from(source) : Buffer.from(source.buffer, source.byteOffset, source.byteLength)
  if (typeof source !== "string" && !isUtf8(bytes)) {
    const at = wrongUtf8(bytes)
    throw new JsonSyntaxError(at, "UTF-8", `byte 0x${bytes[at]!.toString(16)}`)
  }
  const text = typeof source === "string" ? source : bytes.toString()
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    return explain(bytes, cause)
  }
  const found = risks(bytes)
  if (found === undefined) return value as Json
  return (areUnique(text, found) ? restore(value, found) : parseEach(text)) as Json
}

/** The value itself, or a copy in which every `bigint` is JSON's own raw number: natively `JSON.stringify` refuses bigints. */
const writable = (value: unknown): unknown => {
  if (typeof value === "bigint") return rawJSON(String(value))
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${value} is not a JSON number.`)
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) {
    let copy: Array<unknown> | undefined
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i]
      const kind = typeof item
      if (kind !== "object" && kind !== "bigint" && kind !== "number") continue
      const next = writable(item)
      if (next !== item) (copy ??= [...value])[i] = next
    }
    return copy ?? value
  }
  if ("toJSON" in value && typeof value.toJSON === "function") return value
  let copy: Holder | undefined
  const holder = value as Holder
  for (const key in holder) {
    if (!Object.hasOwn(holder, key)) continue
    const item = holder[key]
    const kind = typeof item
    if (kind !== "object" && kind !== "bigint" && kind !== "number") continue
    const next = writable(item)
    if (next === item) continue
    copy ??= { ...holder }
    Object.defineProperty(copy, key, { value: next, writable: true, enumerable: true, configurable: true })
  }
  return copy ?? value
}

/**
 * Writes a value as JSON text, numbers as they were read. Values that are not of type `Json` are written as
 * `JSON.stringify` does (a `Date` as its ISO text, `undefined` members left out), except that a number that is not finite, and
 * a value that has no JSON at all, throw a `TypeError`: nothing becomes `null` in silence.
 */
export const stringify = (value: unknown): string => {
  const text: unknown = JSON.stringify(writable(value))
  if (typeof text !== "string") throw new TypeError(`A value of type ${typeof value} has no JSON text.`)
  return text
}
