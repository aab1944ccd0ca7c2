import { Log, type LogError, type LogRecord, type Offset } from "@tributary/log"
import { Duration, Effect } from "effect"

const limits = { maxRecords: 1_000, maxBytes: 4 * 1024 * 1024, wait: Duration.zero }
const text = new TextDecoder()

/** The last record of each key of one partition of a compacted topic, as far as it was read. */
export interface KeyedRecords {
  readonly records: ReadonlyMap<string, LogRecord>
  /** Where to read on. */
  readonly next: Offset
}

/** Reads a partition of a compacted topic up to `end`, on from what is known. Keys are text (UTF-8). */
export const readPartition = Effect.fn("catalog.readPartition")(function* (
  topic: string,
  partition: number,
  end: Offset,
  known: KeyedRecords
): Effect.fn.Return<KeyedRecords, LogError, Log> {
  const log = yield* Log
  const records = new Map(known.records)
  let next = known.next
  while (next < end) {
    const batch = yield* log.read(topic, partition, next, limits)
    for (const record of batch.records) {
      if (record.key === null) continue
      const key = text.decode(record.key)
      if (record.value === null) records.delete(key)
      else records.set(key, record)
    }
    // Behind the last record there may be markers of transactions only; then there is nothing more to wait for.
    if (batch.next === next) break
    next = batch.next
  }
  return { records, next }
})

/** The last value of each key of a compacted topic as of now; empty when there is no such topic. Keys are text (UTF-8). */
export const readCompacted = Effect.fn("catalog.readCompacted")(function* (
  topic: string
): Effect.fn.Return<ReadonlyMap<string, LogRecord>, LogError, Log> {
  const log = yield* Log
  if (!(yield* log.topics).some(({ name }) => name === topic)) return new Map()
  const all = new Map<string, LogRecord>()
  for (const { earliest, end, partition } of yield* log.offsets(topic)) {
    const { records } = yield* readPartition(topic, partition, end, { records: new Map(), next: earliest })
    for (const [key, record] of records) {
      const other = all.get(key)
      // A key is in two partitions where somebody changed their number; its last value counts.
      if (other === undefined || other.timestamp <= record.timestamp) all.set(key, record)
    }
  }
  return all
})
