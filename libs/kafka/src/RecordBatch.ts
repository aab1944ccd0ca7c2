import type { LogRecord, NewRecord, Offset } from "@tributary/log"
import { Reader, Writer } from "./Bytes.ts"
import { compress, compressionCode, type Compression, decompress } from "./Compression.ts"
import { crc32c } from "./KafkajsInternals.ts"
import type { ProducerIdentity } from "./TransactionRequests.ts"

/*
 * Record batches, version 2 (https://kafka.apache.org/documentation/#recordbatch):
 *   0 base offset (8), 8 length of what follows (4), 12 leader epoch (4), 16 version (1), 17 CRC-32C of what follows (4),
 *  21 attributes (2), 23 last offset delta (4), 27 first timestamp (8), 35 last timestamp (8), 43 producer id (8),
 *  51 producer epoch (2), 53 first sequence number (4), 57 number of records (4), 61 records
 */
const headLength = 61
const checksumAt = 17
const attributesAt = 21
const beforeLength = 12

const compressionMask = 0x07
const appendTimeFlag = 0x08
const transactionalFlag = 0x10
const controlFlag = 0x20
/** Type of the marker that ends an aborted transaction. */
const abortMarker = 0

type Headers = Readonly<Record<string, string>>
const noHeaders: Headers = Object.freeze({})

const encodeHeaders = (headers: Headers | undefined): Buffer => {
  const names = headers === undefined ? [] : Object.keys(headers)
  const writer = new Writer(64).varint(names.length)
  for (const name of names) {
    const bytes = Buffer.from(name)
    const value = Buffer.from(headers![name]!)
    writer.varint(bytes.length).raw(bytes).varint(value.length).raw(value)
  }
  return writer.bytes
}

const varintLength = (value: number): number => {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  return zigzag < 0x80 ? 1 : zigzag < 0x4000 ? 2 : zigzag < 0x200000 ? 3 : zigzag < 0x10000000 ? 4 : 5
}
const fieldLength = (value: Uint8Array | null): number =>
  value === null ? 1 : varintLength(value.length) + value.length

const writeField = (writer: Writer, value: Uint8Array | null): void => {
  if (value === null) writer.varint(-1)
  else writer.varint(value.length).raw(value)
}

export interface BatchContext {
  readonly producer: ProducerIdentity
  readonly sequence: number
  /** Milliseconds since 1970, for all records. */
  readonly timestamp: number
  readonly compression: Compression
}

/** Encodes records as one batch of a transaction. */
export const encodeBatch = (records: ReadonlyArray<NewRecord>, context: BatchContext): Buffer => {
  const { compression, producer, sequence, timestamp } = context
  let size = 64
  for (const { key, value } of records) size += (key?.length ?? 0) + (value?.length ?? 0) + 32
  const body = new Writer(size)
  let headers: Headers | undefined
  let block = encodeHeaders(undefined)
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!
    if (record.headers !== headers) {
      headers = record.headers
      block = encodeHeaders(headers)
    }
    const { key, value } = record
    body
      .varint(2 + varintLength(i) + fieldLength(key) + fieldLength(value) + block.length)
      // No attributes; the timestamp is the batch's.
      .int8(0)
      .varint(0)
      .varint(i)
    writeField(body, key)
    writeField(body, value)
    body.raw(block)
  }
  const packed = compress(compression, body.bytes)
  const batch = new Writer(headLength + packed.length)
    .int64(0)
    .int32(headLength - beforeLength + packed.length)
    .int32(-1)
    .int8(2)
    .int32(0)
    .int16(compressionCode(compression) | transactionalFlag)
    .int32(records.length - 1)
    .int64(timestamp)
    .int64(timestamp)
    .int64(producer.id)
    .int16(producer.epoch)
    .int32(sequence)
    .int32(records.length)
    .raw(packed)
  batch.patchInt32(checksumAt, crc32c(batch.bytes.subarray(attributesAt)))
  return batch.bytes
}

/** Fetched bytes are not what a broker writes. */
export class CorruptBatch extends Error {
  override readonly name = "CorruptBatch"
}

const readField = (reader: Reader): Uint8Array | null => {
  const size = reader.varint()
  return size < 0 ? null : reader.raw(size)
}

const readHeaders = (reader: Reader): Headers => {
  const count = reader.varint()
  if (count === 0) return noHeaders
  const entries: Array<[string, string]> = []
  for (let i = 0; i < count; i++) {
    const name = reader.text(reader.varint())
    const size = reader.varint()
    entries.push([name, size < 0 ? "" : reader.text(size)])
  }
  return Object.fromEntries(entries)
}

/** An aborted transaction: its producer, and its first offset in the partition. */
export interface Abort {
  readonly producer: number
  readonly first: Offset
}

export interface PageLimits {
  readonly maxRecords: number
  readonly maxBytes: number
}

export interface CommittedPage {
  readonly records: Array<LogRecord>
  /** Where to read on. */
  readonly next: Offset
}

/**
 * The committed records from `from` on in the fetched bytes of one partition: without those of aborted transactions and
 * without the markers that end transactions. The broker lists the aborts in the order of their markers, so they are sorted:
 * the transactions of several producers interleave, and one producer may have aborted several times. Throws `CorruptBatch`
 * and `UnknownCompression`.
 */
export const committedRecords = (
  bytes: Buffer,
  aborts: ReadonlyArray<Abort>,
  from: Offset,
  limits: PageLimits
): CommittedPage => {
  const pending = [...aborts].sort((a, b) => a.first - b.first)
  const aborted = new Set<number>()
  const records: Array<LogRecord> = []
  let started = 0
  let size = 0
  let next = from
  // The last batch of an answer may be cut off.
  for (let at = 0; at + headLength <= bytes.length;) {
    const head = new Reader(bytes, at)
    const base = head.int64()
    const end = at + beforeLength + head.int32()
    if (end > bytes.length) break
    head.int32()
    const version = head.int8()
    if (version !== 2) throw new CorruptBatch(`A record batch at offset ${base} has version ${version}; expected 2.`)
    const checksum = head.int32() >>> 0
    if (checksum !== crc32c(bytes.subarray(at + attributesAt, end)))
      throw new CorruptBatch(`The record batch at offset ${base} is damaged: its checksum does not match.`)
    const attributes = head.int16()
    const last = base + head.int32()
    const firstTimestamp = head.int64()
    const lastTimestamp = head.int64()
    const producer = head.int64()
    head.int16()
    head.int32()
    const count = head.int32()
    for (; started < pending.length && pending[started]!.first <= last; started++)
      aborted.add(pending[started]!.producer)
    const control = (attributes & controlFlag) !== 0
    if (control) {
      const marker = count > 0 ? controlType(bytes.subarray(at + headLength, end)) : -1
      if (marker === abortMarker) aborted.delete(producer)
    } else if (last >= from && !((attributes & transactionalFlag) !== 0 && aborted.has(producer))) {
      const body = new Reader(decompress(attributes & compressionMask, bytes.subarray(at + headLength, end)))
      for (let i = 0; i < count; i++) {
        const length = body.varint()
        const recordEnd = body.at + length
        body.int8()
        const timestamp =
          (attributes & appendTimeFlag) !== 0 ? (body.varint(), lastTimestamp) : firstTimestamp + body.varint()
        const offset = base + body.varint()
        if (offset >= from) {
          const key = readField(body)
          const value = readField(body)
          const recordSize = (key?.length ?? 0) + (value?.length ?? 0)
          if (records.length > 0 && (records.length >= limits.maxRecords || size + recordSize > limits.maxBytes))
            return { records, next: records[records.length - 1]!.offset + 1 }
          records.push({ offset, timestamp, key, value, headers: readHeaders(body) })
          size += recordSize
        }
        body.at = recordEnd
      }
    }
    next = Math.max(next, last + 1)
    at = end
  }
  return { records, next }
}

const controlType = (record: Buffer): number => {
  const reader = new Reader(record)
  reader.varint()
  reader.int8()
  reader.varint()
  reader.varint()
  const key = readField(reader)
  return key === null || key.length < 4 ? -1 : Buffer.from(key).readInt16BE(2)
}
