import { Duration, Effect } from "effect"
import { type Catalog, infoOf, invalid, type Partition, partitionAt } from "./Catalog.ts"
import type { Batch, Log, Offset, ReadLimits } from "./Log.ts"
import { LogError, OffsetOutOfRange } from "./LogError.ts"
import { partitionOf } from "./Partitioner.ts"
import { CorruptRecords, decodeBatch, type Page } from "./RecordCodec.ts"
import { blob, integer, type Row, type SqliteFile, text } from "./SqliteFile.ts"

const place = (partition: Partition, offset: Offset): string =>
  `${partition.topic.name}/${partition.index} at offset ${offset}`

const decodeRow = (row: Row, column: string, partition: Partition, from: Offset, page: Page): Offset => {
  const base = integer(row, column)
  try {
    return decodeBatch(blob(row, "records"), base, from, page)
  } catch (cause) {
    if (!(cause instanceof CorruptRecords)) throw cause
    throw new CorruptRecords(`records of ${place(partition, base)}: ${cause.message}`)
  }
}

const readBatches = (file: SqliteFile, partition: Partition, from: Offset, page: Page): Offset => {
  let next = from
  let row = file.get(
    "SELECT base, count, records FROM batches WHERE partition = ? AND base <= ? ORDER BY base DESC LIMIT 1",
    partition.id,
    from
  )
  for (;;) {
    if (row === undefined) throw new CorruptRecords(`the records of ${place(partition, next)} are missing`)
    const end = integer(row, "base") + integer(row, "count")
    if (end <= next) throw new CorruptRecords(`the records of ${place(partition, next)} are missing`)
    next = decodeRow(row, "base", partition, next, page)
    if (next < end || next >= partition.end || page.bytes >= page.maxBytes || page.records.length >= page.maxRecords)
      return next
    row = file.get("SELECT base, count, records FROM batches WHERE partition = ? AND base = ?", partition.id, next)
  }
}

const readKeyed = (file: SqliteFile, partition: Partition, from: Offset, page: Page): Offset => {
  let next = from
  for (;;) {
    const row = file.get(
      "SELECT offset, records FROM keyed WHERE partition = ? AND offset >= ? ORDER BY offset LIMIT 1",
      partition.id,
      next
    )
    if (row === undefined) return partition.end
    const offset = integer(row, "offset")
    const after = decodeRow(row, "offset", partition, offset, page)
    if (after === offset) return offset
    next = after
  }
}

/** Reads one page; throws `LogError` with `OffsetOutOfRange` and `CorruptRecords`. */
const readPage = (file: SqliteFile, partition: Partition, from: Offset, limits: ReadLimits): Batch => {
  if (!Number.isSafeInteger(from)) throw invalid(`The offset to read from must be a whole number, found ${from}.`)
  if (!(limits.maxRecords >= 1)) throw invalid(`maxRecords must be at least 1, found ${limits.maxRecords}.`)
  const { earliest, end } = partition
  if (from < earliest || from > end) {
    const topic = partition.topic.name
    throw new LogError({
      reason: new OffsetOutOfRange({ topic, partition: partition.index, offset: from, earliest, end })
    })
  }
  if (from === end) return { records: [], next: from, end }
  const page: Page = { records: [], bytes: 0, maxRecords: limits.maxRecords, maxBytes: limits.maxBytes }
  const next = partition.topic.compacted
    ? readKeyed(file, partition, from, page)
    : readBatches(file, partition, from, page)
  return { records: page.records, next, end }
}

/** How a reader looks at the database and learns of new records. */
export interface Source {
  readonly file: SqliteFile
  readonly catalog: Catalog
  /** Runs `body` on one state of the database. */
  readonly consistently: <A>(body: () => A) => A
  /** Ends when there may be records beyond `end`. */
  readonly beyond: (partition: Partition, end: Offset) => Effect.Effect<void, LogError>
}

/** Reads from the partition that `find` gives. `find` is asked again after each wait, and throws when there is none any more. */
export const readFrom = Effect.fnUntraced(function* (
  source: Source,
  find: () => Partition,
  from: Offset,
  limits: ReadLimits
): Effect.fn.Return<Batch, LogError> {
  const look = (at: Offset) =>
    source.file.attempt(() =>
      source.consistently(() => {
        const partition = find()
        return { partition, batch: readPage(source.file, partition, at, limits) }
      })
    )
  let last = yield* look(from)
  if (last.batch.records.length > 0 || Duration.isZero(limits.wait)) return last.batch
  const wait = Effect.gen(function* () {
    // A page can be empty before the end of a compacted topic, where tombstones have gone.
    while (last.batch.records.length === 0) {
      yield* source.beyond(last.partition, last.batch.end)
      last = yield* look(last.batch.next)
    }
  })
  yield* Duration.isFinite(limits.wait) ? Effect.timeoutOption(wait, limits.wait) : wait
  return last.batch
})

/** The part of the log that only reads; the same for the process that writes and for others. */
export const reads = (source: Source): Pick<Log["Service"], "topics" | "offsets" | "read" | "latest" | "positions"> => {
  const { catalog, file } = source
  const attempt = <A>(body: () => A) => file.attempt(() => source.consistently(body))
  return {
    topics: attempt(() => catalog.all().map(infoOf)),
    offsets: Effect.fn("Log.offsets")(function* (topic) {
      return yield* attempt(() =>
        catalog.topic(topic).partitions.map(({ index, earliest, end }) => ({ partition: index, earliest, end }))
      )
    }),
    read: Effect.fn("Log.read")(function* (topic, partition, from, limits) {
      return yield* readFrom(source, () => partitionAt(catalog.topic(topic), partition), from, limits)
    }),
    latest: Effect.fn("Log.latest")(function* (name, key) {
      return yield* attempt(() => {
        const topic = catalog.topic(name)
        if (!topic.compacted)
          throw invalid(`Topic ${name} is not compacted: it has no last value of a key. Read it instead.`)
        const partition = partitionAt(topic, partitionOf(key, topic.partitions.length))
        const row = file.get("SELECT offset, records FROM keyed WHERE partition = ? AND key = ?", partition.id, key)
        if (row === undefined) return null
        const page: Page = { records: [], bytes: 0, maxRecords: 1, maxBytes: 0 }
        decodeRow(row, "offset", partition, 0, page)
        return page.records[0]?.value ?? null
      })
    }),
    positions: Effect.fn("Log.positions")(function* (group) {
      return yield* attempt(() =>
        file
          .all(
            `SELECT topics.name, partitions.number, positions.offset, positions.metadata
             FROM positions JOIN partitions ON partitions.id = positions.partition JOIN topics ON topics.id = partitions.topic
             WHERE group_name = ? ORDER BY topics.name, partitions.number`,
            group
          )
          .map((row) => ({
            topic: text(row, "name"),
            partition: integer(row, "number"),
            offset: integer(row, "offset"),
            metadata: text(row, "metadata")
          }))
      )
    })
  }
}
