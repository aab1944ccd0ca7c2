import { isExactDouble, JsonSyntaxError, skipSpace, skipString, skipValue } from "@tributary/codec"

/** What the values of one field looked like. */
interface Seen {
  bool: boolean
  fraction: boolean
  integer: boolean
  text: boolean
  exact: boolean
  min: bigint
  max: bigint
}

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }
const uint64Max = 2n ** 64n - 1n
/** Records that are looked at, and columns that are made at most; what comes later goes to `_extra`. */
const maxRecords = 10_000
const maxColumns = 1_000

const typeOf = (seen: Seen): string => {
  const number = seen.integer || seen.fraction
  if (seen.text || (seen.bool && number)) return "String"
  if (seen.bool) return "Bool"
  if (seen.fraction) return seen.exact ? "Float64" : "String"
  if (!seen.integer) return "String"
  if (seen.min >= int64.min && seen.max <= int64.max) return "Int64"
  return seen.min >= 0n && seen.max <= uint64Max ? "UInt64" : "String"
}

const look = (seen: Seen, value: string): void => {
  const c = value.charCodeAt(0)
  if (c === 0x6e) return
  if (c === 0x74 || c === 0x66) seen.bool = true
  else if (c === 0x22 || c === 0x7b || c === 0x5b) seen.text = true
  else {
    seen.exact &&= isExactDouble(value)
    if (/[.eE]/u.test(value)) seen.fraction = true
    else if (value.length > 40) seen.text = true
    else {
      const integer = BigInt(value)
      if (!seen.integer || integer < seen.min) seen.min = integer
      if (!seen.integer || integer > seen.max) seen.max = integer
      seen.integer = true
    }
  }
}

/**
 * Types of the top-level fields of a sample, in the order in which they were met. Whole numbers become Int64 (UInt64, or String
 * where that is too small), numbers with a fraction Float64 if none loses a digit by it, true and false Bool; all else is a
 * String that holds text, or the JSON of what is not text. Strings are never taken for times or numbers. Records that are not
 * JSON objects are passed over.
 */
export const inferColumns = (sample: ReadonlyArray<Uint8Array>): ReadonlyMap<string, string> => {
  const fields = new Map<string, Seen>()
  for (const record of sample.slice(0, maxRecords)) {
    try {
      lookAt(fields, Buffer.from(record.buffer, record.byteOffset, record.byteLength))
    } catch (error) {
      if (!(error instanceof JsonSyntaxError)) throw error
    }
  }
  return new Map([...fields].map(([name, seen]) => [name, typeOf(seen)]))
}

const lookAt = (fields: Map<string, Seen>, record: Buffer): void => {
  let i = skipSpace(record, 0)
  if (record[i] !== 0x7b) return
  skipValue(record, i)
  i = skipSpace(record, i + 1)
  while (record[i] === 0x22) {
    const keyEnd = skipString(record, i)
    const name: unknown = JSON.parse(record.toString("utf8", i, keyEnd))
    const from = skipSpace(record, skipSpace(record, keyEnd) + 1)
    const end = skipValue(record, from)
    if (typeof name === "string") {
      let seen = fields.get(name)
      if (seen === undefined && fields.size < maxColumns) {
        seen = { bool: false, fraction: false, integer: false, text: false, exact: true, min: 0n, max: 0n }
        fields.set(name, seen)
      }
      if (seen !== undefined) look(seen, record.toString("utf8", from, end))
    }
    i = skipSpace(record, end)
    if (record[i] !== 0x2c) return
    i = skipSpace(record, i + 1)
  }
}
