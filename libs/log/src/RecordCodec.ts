import { crc32 } from "node:zlib"
import type { LogRecord, NewRecord, Offset } from "./Log.ts"

/*
 * Records as they are stored, little endian:
 *
 *   0  version (1)
 *   1  CRC-32 of all that follows
 *   5  timestamp of all records, milliseconds since 1970 (float64)
 *  13  number of records (uint32)
 *  17  per record: key, value: length + 1 (0: null), bytes;
 *                  headers: length of the block (0: none), then name length, name, value length, value for each
 *
 * Lengths are unsigned LEB128. The header block has a length of its own so that records before the wanted offset are stepped
 * over, and so that equal blocks, the usual case, are decoded once.
 */
const version = 1
const headLength = 17

/** Stored bytes are not what was written. */
export class CorruptRecords extends Error {
  override readonly name = "CorruptRecords"
}

type Headers = Readonly<Record<string, string>>
const noHeaders: Headers = Object.freeze({})

const varintLength = (n: number): number => (n < 0x80 ? 1 : n < 0x4000 ? 2 : n < 0x200000 ? 3 : n < 0x10000000 ? 4 : 5)

const writeVarint = (out: Uint8Array, at: number, n: number): number => {
  let rest = n
  let i = at
  while (rest >= 0x80) {
    out[i++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  out[i++] = rest
  return i
}

/** Lengths of 128 and more. */
const readVarint = (bytes: Uint8Array, start: number): { readonly value: number; readonly at: number } => {
  let value = 0
  for (let i = 0; i < 5; i++) {
    const byte = bytes[start + i]!
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return { value, at: start + i + 1 }
  }
  throw new CorruptRecords(`no length at byte ${start}`)
}

const decodeHeaders = (bytes: Uint8Array, start: number, end: number): Headers => {
  const entries: Array<[string, string]> = []
  let name: string | undefined
  for (let i = start; i < end;) {
    const { at, value } = readVarint(bytes, i)
    i = at + value
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + at, value).toString("utf8")
    if (name === undefined) name = text
    else {
      entries.push([name, text])
      name = undefined
    }
  }
  // Defines each name, `__proto__` too.
  return Object.freeze(Object.fromEntries(entries))
}

const encodeHeaders = (headers: Headers): Uint8Array => {
  const texts: Array<Buffer> = []
  let size = 0
  for (const name of Object.keys(headers)) {
    for (const text of [name, headers[name]!]) {
      const bytes = Buffer.from(text, "utf8")
      texts.push(bytes)
      size += varintLength(bytes.length) + bytes.length
    }
  }
  const out = new Uint8Array(size)
  let at = 0
  for (const bytes of texts) {
    at = writeVarint(out, at, bytes.length)
    out.set(bytes, at)
    at += bytes.length
  }
  return out
}

const noBlock: Uint8Array = new Uint8Array(0)

/** Encodes `records` from `start` up to `end` as one batch. */
export const encodeBatch = (
  records: ReadonlyArray<NewRecord>,
  start: number,
  end: number,
  timestamp: number
): Uint8Array => {
  const blocks: Array<Uint8Array> = []
  // Records of a page mostly share one headers object.
  let lastHeaders: Headers | undefined
  let lastBlock = noBlock
  let size = headLength
  for (let i = start; i < end; i++) {
    const { key, value, headers } = records[i]!
    if (headers !== lastHeaders) {
      lastHeaders = headers
      lastBlock = headers === undefined ? noBlock : encodeHeaders(headers)
    }
    blocks.push(lastBlock)
    const keyLength = key === null ? 0 : key.length
    const valueLength = value === null ? 0 : value.length
    size += varintLength(keyLength + 1) + keyLength + varintLength(valueLength + 1) + valueLength
    size += varintLength(lastBlock.length) + lastBlock.length
  }
  const out = Buffer.allocUnsafe(size)
  out[0] = version
  out.writeDoubleLE(timestamp, 5)
  out.writeUInt32LE(end - start, 13)
  let at = headLength
  for (let i = start; i < end; i++) {
    const { key, value } = records[i]!
    if (key === null) out[at++] = 0
    else {
      at = writeVarint(out, at, key.length + 1)
      out.set(key, at)
      at += key.length
    }
    if (value === null) out[at++] = 0
    else {
      at = writeVarint(out, at, value.length + 1)
      out.set(value, at)
      at += value.length
    }
    const block = blocks[i - start]!
    at = writeVarint(out, at, block.length)
    out.set(block, at)
    at += block.length
  }
  out.writeUInt32LE(crc32(out.subarray(5)), 1)
  return out
}

/** A page that is being filled; the limits are those of the read. */
export interface Page {
  readonly records: Array<LogRecord>
  bytes: number
  readonly maxRecords: number
  readonly maxBytes: number
}

const sameBytes = (bytes: Uint8Array, a: number, b: number, length: number): boolean => {
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false
  return true
}

/**
 * Adds the records of a batch from offset `from` on to the page until it is full; keys and values are views on `bytes`.
 * `base` is the offset of the batch's first record. Returns the offset after the last record that was added or stepped over.
 * Throws `CorruptRecords`.
 */
export const decodeBatch = (bytes: Uint8Array, base: Offset, from: Offset, page: Page): Offset => {
  const length = bytes.length
  if (length < headLength) throw new CorruptRecords(`${length} bytes are too few for a batch`)
  if (bytes[0] !== version) throw new CorruptRecords(`version ${bytes[0]} is unknown, ${version} was expected`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  const stored = view.getUint32(1, true)
  const actual = crc32(bytes.subarray(5))
  if (stored !== actual) throw new CorruptRecords(`the checksum is ${actual}, ${stored} was expected`)
  const timestamp = view.getFloat64(5, true)
  const count = view.getUint32(13, true)
  let at = headLength
  const varint = (): number => {
    const first = bytes[at]!
    if (first < 0x80) {
      at++
      return first
    }
    const long = readVarint(bytes, at)
    at = long.at
    return long.value
  }
  let blockAt = 0
  let blockLength = 0
  let headers = noHeaders
  for (let i = 0; i < count; i++) {
    const keyLength = varint() - 1
    const keyAt = at
    if (keyLength > 0) at += keyLength
    const valueLength = varint() - 1
    const valueAt = at
    if (valueLength > 0) at += valueLength
    const headersLength = varint()
    const headersAt = at
    const next = at + headersLength
    if (next > length) throw new CorruptRecords(`record ${i} ends at byte ${next} of ${length}`)
    const offset = base + i
    if (offset >= from) {
      const size = (keyLength > 0 ? keyLength : 0) + (valueLength > 0 ? valueLength : 0) + headersLength
      const taken = page.records.length
      if (taken >= page.maxRecords || (taken > 0 && page.bytes + size > page.maxBytes)) return offset
      if (headersLength === 0) headers = noHeaders
      else if (headersLength !== blockLength || !sameBytes(bytes, blockAt, headersAt, headersLength)) {
        headers = decodeHeaders(bytes, headersAt, next)
      }
      blockAt = headersAt
      blockLength = headersLength
      page.bytes += size
      page.records.push({
        offset,
        timestamp,
        key: keyLength < 0 ? null : bytes.subarray(keyAt, keyAt + keyLength),
        value: valueLength < 0 ? null : bytes.subarray(valueAt, valueAt + valueLength),
        headers
      })
    }
    at = next
  }
  return base + count
}
