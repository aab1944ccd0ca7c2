import { Clock, Effect } from "effect"
import type { Partition } from "./Catalog.ts"
import type { LogError } from "./LogError.ts"
import { integer, type SqliteFile } from "./SqliteFile.ts"
import type { Storage } from "./Storage.ts"

/** Each transaction deletes at most this much, so that writers do not wait for long. */
const stepBytes = 8 * 1024 * 1024
const stepRows = 256

/** How long a deleted key is still read as deleted. The default of Kafka's `delete.retention.ms`. */
const tombstoneMillis = 24 * 60 * 60 * 1000

/** Deletes the oldest batches that have expired, whole ones; true when there may be more. */
const expire = (storage: Storage, partition: Partition, now: number): boolean => {
  const { retentionBytes, retentionMillis } = partition.topic
  const { file } = storage
  const oldest = file.all(
    `SELECT base, count, timestamp, bytes FROM batches WHERE partition = ? ORDER BY base LIMIT ${stepRows}`,
    partition.id
  )
  let { bytes, earliest } = partition
  let rows = 0
  let more = false
  for (const row of oldest) {
    const size = integer(row, "bytes")
    const old = retentionMillis !== undefined && integer(row, "timestamp") < now - retentionMillis
    const beyond = retentionBytes !== undefined && bytes - size >= retentionBytes
    if (!old && !beyond) break
    if (rows > 0 && partition.bytes - bytes + size > stepBytes) {
      more = true
      break
    }
    rows++
    bytes -= size
    earliest = integer(row, "base") + integer(row, "count")
  }
  if (rows === 0) return false
  file.transaction(0, () => {
    file.run("DELETE FROM batches WHERE partition = ? AND base < ?", partition.id, earliest)
    file.run("UPDATE partitions SET earliest = ?, bytes = ? WHERE id = ?", earliest, bytes, partition.id)
  })
  partition.earliest = earliest
  partition.bytes = bytes
  return more || rows === stepRows
}

/** Removes tombstones that have been readable for long enough; true when there may be more. */
const removeTombstones = (file: SqliteFile, now: number): boolean => {
  const rows = file.all(
    `SELECT id FROM keyed WHERE tombstone = 1 AND timestamp < ? ORDER BY timestamp LIMIT ${stepRows}`,
    now - tombstoneMillis
  )
  if (rows.length === 0) return false
  file.transaction(0, () => {
    for (const row of rows) file.run("DELETE FROM keyed WHERE id = ?", integer(row, "id"))
  })
  return rows.length === stepRows
}

/** Removes some of what deleted topics have left; true when there may be more. */
const removeDropped = (file: SqliteFile): boolean => {
  const topic = file.get("SELECT id FROM topics WHERE dropped = 1 LIMIT 1")
  if (topic === undefined) return false
  const partition = file.get("SELECT id FROM partitions WHERE topic = ? LIMIT 1", integer(topic, "id"))
  file.transaction(0, () => {
    if (partition === undefined) {
      file.run("DELETE FROM topics WHERE id = ?", integer(topic, "id"))
      return
    }
    const id = integer(partition, "id")
    const batches = file.all(`SELECT id, bytes FROM batches WHERE partition = ? ORDER BY base LIMIT ${stepRows}`, id)
    let bytes = 0
    let removed = 0
    for (const row of batches) {
      bytes += integer(row, "bytes")
      if (removed > 0 && bytes > stepBytes) break
      removed++
      file.run("DELETE FROM batches WHERE id = ?", integer(row, "id"))
    }
    const keyed = file.all(`SELECT id FROM keyed WHERE partition = ? LIMIT ${stepRows}`, id)
    for (const row of keyed) file.run("DELETE FROM keyed WHERE id = ?", integer(row, "id"))
    if (batches.length === 0 && keyed.length === 0) file.run("DELETE FROM partitions WHERE id = ?", id)
  })
  return true
}

/** Deletes everything whose time has come, in short transactions with room for others between them. */
export const retain = Effect.fn("Retention.retain")(function* (storage: Storage): Effect.fn.Return<void, LogError> {
  const now = yield* Clock.currentTimeMillis
  const { file } = storage
  const repeat = Effect.fnUntraced(function* (step: () => boolean): Effect.fn.Return<void, LogError> {
    while (yield* file.attempt(step)) yield* Effect.yieldNow
  })
  for (const topic of storage.all()) {
    if (topic.compacted || (topic.retentionMillis === undefined && topic.retentionBytes === undefined)) continue
    for (const partition of topic.partitions) yield* repeat(() => expire(storage, partition, now))
  }
  yield* repeat(() => removeTombstones(file, now))
  yield* repeat(() => removeDropped(file))
})
