/**
 * A strict RFC 8259 scanner over bytes. It finds where values begin and end and says where a document is wrong; it makes no
 * objects, so that a record can stay the bytes that the API sent. Positions are byte offsets.
 */

const theEnd = "the end"

/** Objects and arrays inside one another that are followed. */
export const maxDepth = 512
const noDeeper = `at most ${maxDepth} levels of nesting`

/** The bytes are not JSON: `offset` is where, `expected` what should stand there. */
export class JsonSyntaxError extends Error {
  override readonly name = "JsonSyntaxError"
  readonly offset: number
  readonly expected: string
  /** All bytes up to the end are right: the document is cut off. */
  readonly atEnd: boolean
  /** The document may be right, but goes deeper than is followed. */
  readonly tooDeep: boolean
  constructor(offset: number, expected: string, found: string) {
    super(`Invalid JSON at byte ${offset}: expected ${expected}, found ${found}.`)
    this.offset = offset
    this.expected = expected
    this.atEnd = found === theEnd
    this.tooDeep = expected === noDeeper
  }
}

/** Throws the error that says what stands at `at` and what should. */
export const fail = (bytes: Uint8Array, at: number, expected: string): never => {
  const byte = bytes[at]
  const found =
    byte === undefined || at >= bytes.length
      ? theEnd
      : byte > 0x20 && byte < 0x7f
        ? `"${String.fromCharCode(byte)}"`
        : `byte 0x${byte.toString(16).padStart(2, "0")}`
  throw new JsonSyntaxError(at, expected, found)
}

/** First position at or after `at` that is not white space. */
export const skipSpace = (bytes: Uint8Array, at: number): number => {
  let i = at
  for (;;) {
    const c = bytes[i]!
    if (c > 0x20 || (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09)) return i
    i++
  }
}

/** `at` is the opening quote; returns the position after the closing one. */
export const skipString = (bytes: Uint8Array, at: number): number => {
  if (bytes[at] !== 0x22) return fail(bytes, at, "a string")
  const length = bytes.length
  let i = at + 1
  while (i < length) {
    const c = bytes[i]!
    if (c === 0x22) return i + 1
    if (c === 0x5c) {
      const escape = bytes[i + 1]
      if (escape === 0x75) {
        for (let k = 2; k < 6; k++) {
          const h = bytes[i + k] ?? 0
          if (!((h >= 0x30 && h <= 0x39) || (h >= 0x41 && h <= 0x46) || (h >= 0x61 && h <= 0x66)))
            return fail(bytes, i + k, "a hexadecimal digit")
        }
        i += 6
      } else if (
        escape === 0x22 ||
        escape === 0x5c ||
        escape === 0x2f ||
        escape === 0x62 ||
        escape === 0x66 ||
        escape === 0x6e ||
        escape === 0x72 ||
        escape === 0x74
      ) {
        i += 2
      } else return fail(bytes, i + 1, "an escape character")
    } else if (c < 0x20) return fail(bytes, i, "a character that is not a control character")
    else i++
  }
  return fail(bytes, length, "the end of a string")
}

/** `at` is the first character of a number; returns the position after its last. */
export const skipNumber = (bytes: Uint8Array, at: number): number => {
  let i = at
  if (bytes[i] === 0x2d) i++
  let c = bytes[i] ?? 0
  if (c === 0x30) i++
  else if (c >= 0x31 && c <= 0x39) {
    do c = bytes[++i] ?? 0
    while (c >= 0x30 && c <= 0x39)
  } else return fail(bytes, i, "a value")
  if (bytes[i] === 0x2e) {
    c = bytes[++i] ?? 0
    if (!(c >= 0x30 && c <= 0x39)) return fail(bytes, i, "a digit")
    do c = bytes[++i] ?? 0
    while (c >= 0x30 && c <= 0x39)
  }
  c = bytes[i] ?? 0
  if (c === 0x65 || c === 0x45) {
    c = bytes[++i] ?? 0
    if (c === 0x2b || c === 0x2d) c = bytes[++i] ?? 0
    if (!(c >= 0x30 && c <= 0x39)) return fail(bytes, i, "a digit")
    do c = bytes[++i] ?? 0
    while (c >= 0x30 && c <= 0x39)
  }
  return i
}

const skipWord = (bytes: Uint8Array, at: number, word: string): number => {
  for (let k = 0; k < word.length; k++)
    if (bytes[at + k] !== word.charCodeAt(k)) return fail(bytes, at + k, `"${word}"`)
  return at + word.length
}

/** `at` is the first character of a value; returns the position after its last. Nested values are checked too. */
export const skipValue = (bytes: Uint8Array, at: number, depth = 0): number => {
  switch (bytes[at]) {
    case 0x22:
      return skipString(bytes, at)
    case 0x7b: {
      if (depth >= maxDepth) return fail(bytes, at, noDeeper)
      let i = skipSpace(bytes, at + 1)
      if (bytes[i] === 0x7d) return i + 1
      for (;;) {
        i = skipSpace(bytes, skipString(bytes, i))
        if (bytes[i] !== 0x3a) return fail(bytes, i, '":"')
        i = skipSpace(bytes, skipValue(bytes, skipSpace(bytes, i + 1), depth + 1))
        if (bytes[i] === 0x7d) return i + 1
        if (bytes[i] !== 0x2c) return fail(bytes, i, '"," or "}"')
        i = skipSpace(bytes, i + 1)
      }
    }
    case 0x5b: {
      if (depth >= maxDepth) return fail(bytes, at, noDeeper)
      let i = skipSpace(bytes, at + 1)
      if (bytes[i] === 0x5d) return i + 1
      for (;;) {
        i = skipSpace(bytes, skipValue(bytes, i, depth + 1))
        if (bytes[i] === 0x5d) return i + 1
        if (bytes[i] !== 0x2c) return fail(bytes, i, '"," or "]"')
        i = skipSpace(bytes, i + 1)
      }
    }
    case 0x74:
      return skipWord(bytes, at, "true")
    case 0x66:
      return skipWord(bytes, at, "false")
    case 0x6e:
      return skipWord(bytes, at, "null")
    default:
      return skipNumber(bytes, at)
  }
}

/** Position of the value behind a key and its colon; `at` is the key's opening quote. */
const skipKey = (bytes: Uint8Array, at: number): number => {
  const i = skipSpace(bytes, skipString(bytes, at))
  return bytes[i] === 0x3a ? skipSpace(bytes, i + 1) : fail(bytes, i, '":"')
}

/**
 * The position after the value at `at`, and how many objects and arrays stand inside one another in it: as strict as `skipValue`,
 * but for any depth, and slower.
 */
export const measureValue = (bytes: Uint8Array, at: number): { readonly end: number; readonly depth: number } => {
  /** What closes each open object or array. */
  const open: Array<number> = []
  let depth = 0
  let i = at
  for (;;) {
    const first = bytes[i]
    if (first === 0x7b || first === 0x5b) {
      open.push(first === 0x7b ? 0x7d : 0x5d)
      depth = Math.max(depth, open.length)
      i = skipSpace(bytes, i + 1)
      if (bytes[i] !== open.at(-1)) {
        if (first === 0x7b) i = skipKey(bytes, i)
        continue
      }
    } else i = skipValue(bytes, i)
    for (;;) {
      const close = open.at(-1)
      if (close === undefined) return { end: i, depth }
      i = skipSpace(bytes, i)
      if (bytes[i] === close) {
        open.pop()
        i++
        continue
      }
      if (bytes[i] !== 0x2c) return fail(bytes, i, close === 0x7d ? '"," or "}"' : '"," or "]"')
      i = skipSpace(bytes, i + 1)
      if (close === 0x7d) i = skipKey(bytes, i)
      break
    }
  }
}

/** A JSON document as it is, but for the white space between its values; `undefined` if the bytes are none. */
export const compactJson = (bytes: Uint8Array): string | undefined => {
  try {
    const { end } = measureValue(bytes, skipSpace(bytes, 0))
    if (skipSpace(bytes, end) < bytes.length) return undefined
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined
    throw error
  }
  const kept = Buffer.allocUnsafe(bytes.length)
  let length = 0
  let isText = false
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i]!
    if (!isText && (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09)) continue
    kept[length++] = c
    if (c === 0x22) isText = !isText
    else if (c === 0x5c) kept[length++] = bytes[++i]!
  }
  return kept.toString("utf8", 0, length)
}
