import { Duration } from "effect"
import { randomUUID } from "node:crypto"
import {
  type Catalog,
  invalid,
  type Partition,
  partitionAt,
  storedCatalog,
  type Topic,
  unknownTopic
} from "./Catalog.ts"
import type { NewRecord, Position, TopicSpec } from "./Log.ts"
import { partitionOf } from "./Partitioner.ts"
import { encodeBatch } from "./RecordCodec.ts"
import { integer, type SqliteFile } from "./SqliteFile.ts"
import type { Tail } from "./Tail.ts"

/** Records of an append that are stored as one row. More would make a read of a few of them load too much. */
const batchBytes = 1024 * 1024
const maxRecordBytes = 64 * 1024 * 1024
const maxPartitions = 10_000
const topicName = /^[a-zA-Z0-9._-]{1,249}$/

const checkSpec = (spec: TopicSpec): void => {
  if (!topicName.test(spec.name) || spec.name === "." || spec.name === "..")
    throw invalid(`"${spec.name}" cannot be a topic's name; use 1 to 249 letters, digits, ".", "_" and "-".`)
  if (!Number.isInteger(spec.partitions) || spec.partitions < 1 || spec.partitions > maxPartitions)
    throw invalid(`Topic ${spec.name}: partitions must be 1 to ${maxPartitions}, found ${spec.partitions}.`)
  if (spec.retentionBytes !== undefined && !(spec.retentionBytes >= 0))
    throw invalid(`Topic ${spec.name}: retentionBytes must not be negative, found ${spec.retentionBytes}.`)
}

type Headers = NewRecord["headers"]

const checkHeaders = (headers: Headers, topic: Topic): number => {
  let size = 0
  if (headers === undefined) return size
  for (const name of Object.keys(headers)) {
    const value = headers[name]!
    if (!name.isWellFormed() || !value.isWellFormed())
      throw invalid(
        `Topic ${topic.name}: header ${JSON.stringify(name)} is not Unicode text (it has half a surrogate pair).`
      )
    size += 3 * (name.length + value.length)
  }
  return size
}

/** Records of one append to one partition, in order. */
interface Part {
  readonly partition: Partition
  readonly records: Array<NewRecord>
  /** Where a row ends and the next begins. */
  readonly cuts: Array<number>
  size: number
}

interface Route {
  readonly parts: ReadonlyArray<Part>
  readonly positions: ReadonlyArray<Position>
  readonly bytes: number
}

/**
 * Topics and records of the process that holds the data directory. It alone writes, so the state of topics and partitions is
 * kept in memory and moves when a transaction has committed. All methods are synchronous; they throw `LogError` and what
 * SQLite throws.
 */
export class Storage implements Catalog {
  readonly file: SqliteFile
  readonly tail: Tail
  readonly #topics = new Map<string, Topic>()
  /** Counts the appends without keys, by topic: they take turns over its partitions. */
  readonly #turns = new Map<string, number>()

  constructor(file: SqliteFile, tail: Tail) {
    this.file = file
    this.tail = tail
    for (const topic of storedCatalog(file).all()) this.#topics.set(topic.name, topic)
  }

  topic(name: string): Topic {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw unknownTopic(name)
    return topic
  }
  all(): ReadonlyArray<Topic> {
    return [...this.#topics.values()]
  }

  /** Returns the topic, and whether it has partitions that were not there before. */
  ensureTopic(spec: TopicSpec): { readonly topic: Topic; readonly grown: boolean } {
    checkSpec(spec)
    const compacted = spec.compacted ?? false
    const retentionMillis =
      spec.retention === undefined || !Duration.isFinite(spec.retention) ? undefined : Duration.toMillis(spec.retention)
    const retentionBytes =
      spec.retentionBytes === undefined || !Number.isFinite(spec.retentionBytes)
        ? undefined
        : Math.trunc(spec.retentionBytes)
    const existing = this.#topics.get(spec.name)
    if (existing !== undefined && existing.compacted !== compacted)
      throw invalid(
        `Topic ${spec.name} is ${existing.compacted ? "" : "not "}compacted, and that cannot change. Delete it and make it again, or use another name.`
      )
    const present = existing?.partitions.length ?? 0
    const wanted = existing !== undefined && compacted ? present : Math.max(spec.partitions, present)
    if (
      existing !== undefined &&
      wanted === present &&
      existing.retentionMillis === retentionMillis &&
      existing.retentionBytes === retentionBytes
    )
      return { topic: existing, grown: false }
    const id = existing?.id ?? randomUUID()
    const made = this.file.transaction(0, () => {
      const row =
        existing?.row ??
        this.file.insert(
          "INSERT INTO topics (name, uuid, compacted) VALUES (?, ?, ?)",
          spec.name,
          id,
          compacted ? 1 : 0
        )
      this.file.run(
        "UPDATE topics SET retention_millis = ?, retention_bytes = ? WHERE id = ?",
        retentionMillis === undefined ? null : Math.trunc(retentionMillis),
        retentionBytes ?? null,
        row
      )
      const ids: Array<number> = []
      for (let index = present; index < wanted; index++) {
        ids.push(
          this.file.insert(
            "INSERT INTO partitions (topic, number, earliest, end, bytes) VALUES (?, ?, 0, 0, 0)",
            row,
            index
          )
        )
      }
      return { row, ids }
    })
    const topic: Topic = existing ?? {
      row: made.row,
      name: spec.name,
      id,
      compacted,
      retentionMillis,
      retentionBytes,
      partitions: []
    }
    topic.retentionMillis = retentionMillis
    topic.retentionBytes = retentionBytes
    for (const [i, partition] of made.ids.entries())
      topic.partitions.push({ id: partition, topic, index: present + i, earliest: 0, end: 0, bytes: 0 })
    this.#topics.set(spec.name, topic)
    return { topic, grown: made.ids.length > 0 }
  }

  /** The topic is gone at once; its records are removed by and by (Retention). */
  deleteTopic(name: string): void {
    const topic = this.topic(name)
    this.file.transaction(0, () => {
      this.file.run("UPDATE topics SET dropped = 1 WHERE id = ?", topic.row)
      for (const partition of topic.partitions) {
        this.file.run("DELETE FROM positions WHERE partition = ?", partition.id)
        this.file.run("DELETE FROM claims WHERE partition = ?", partition.id)
      }
    })
    this.#topics.delete(name)
    this.#turns.delete(name)
    for (const partition of topic.partitions) this.tail.wake(partition)
  }

  #turn(topic: Topic, turns: Map<Topic, number>): number {
    let turn = turns.get(topic)
    if (turn === undefined) {
      turn = (this.#turns.get(topic.name) ?? 0) % topic.partitions.length
      turns.set(topic, turn)
      this.#turns.set(topic.name, turn + 1)
    }
    return turn
  }

  #route(records: ReadonlyArray<NewRecord>): Route {
    const parts = new Map<Partition, Part>()
    const turns = new Map<Topic, number>()
    const positions: Array<Position> = []
    let bytes = 0
    let topic: Topic | undefined
    let part: Part | undefined
    let headers: Headers
    let headerBytes = 0
    for (const record of records) {
      if (topic === undefined || record.topic !== topic.name) topic = this.topic(record.topic)
      const { key } = record
      const index =
        record.partition ?? (key === null ? this.#turn(topic, turns) : partitionOf(key, topic.partitions.length))
      const partition = partitionAt(topic, index)
      if (key === null && topic.compacted)
        throw invalid(`Topic ${topic.name} is compacted: each of its records needs a key.`)
      if (record.headers !== headers) {
        headers = record.headers
        headerBytes = checkHeaders(headers, topic)
      }
      const size = (key?.length ?? 0) + (record.value?.length ?? 0) + headerBytes
      if (size > maxRecordBytes)
        throw invalid(
          `A record for topic ${topic.name} has ${size} bytes; at most ${maxRecordBytes} are accepted. Split it, or leave out a large field.`
        )
      if (part === undefined || part.partition !== partition) {
        part = parts.get(partition)
        if (part === undefined) {
          part = { partition, records: [], cuts: [], size: 0 }
          parts.set(partition, part)
        }
      }
      positions.push({ topic: topic.name, partition: index, offset: partition.end + part.records.length })
      if (part.size > 0 && part.size + size > batchBytes) {
        part.cuts.push(part.records.length)
        part.size = 0
      }
      part.size += size
      part.records.push(record)
      bytes += size
    }
    return { parts: [...parts.values()], positions, bytes }
  }

  /** Returns the stored size. */
  #insertBatches(part: Part, now: number): number {
    const { partition, records } = part
    let start = 0
    let stored = 0
    for (const end of [...part.cuts, records.length]) {
      const bytes = encodeBatch(records, start, end, now)
      this.file.run(
        "INSERT INTO batches (partition, base, count, timestamp, bytes, records) VALUES (?, ?, ?, ?, ?, ?)",
        partition.id,
        partition.end + start,
        end - start,
        now,
        bytes.length,
        bytes
      )
      stored += bytes.length
      start = end
    }
    return stored
  }

  /** Returns 0: the size of compacted partitions is not kept. */
  #upsertKeyed(part: Part, now: number): 0 {
    const { partition, records } = part
    for (let i = 0; i < records.length; i++) {
      const { key, value } = records[i]!
      this.file.run(
        `INSERT INTO keyed (partition, key, offset, timestamp, tombstone, records) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (partition, key) DO UPDATE SET offset = excluded.offset, timestamp = excluded.timestamp,
           tombstone = excluded.tombstone, records = excluded.records`,
        partition.id,
        key,
        partition.end + i,
        now,
        value === null ? 1 : 0,
        encodeBatch(records, i, i + 1, now)
      )
    }
    return 0
  }

  /**
   * Appends all records in one transaction with what `beside` writes; `beside` runs first and throws to refuse it all.
   * Readers that wait are woken when it has committed.
   */
  append(records: ReadonlyArray<NewRecord>, now: number, beside: () => void): ReadonlyArray<Position> {
    const { bytes, parts, positions } = this.#route(records)
    const stored = this.file.transaction(bytes, () => {
      beside()
      return parts.map((part) => {
        const size = part.partition.topic.compacted ? this.#upsertKeyed(part, now) : this.#insertBatches(part, now)
        const end = part.partition.end + part.records.length
        this.file.run("UPDATE partitions SET end = ?, bytes = bytes + ? WHERE id = ?", end, size, part.partition.id)
        return size
      })
    })
    for (const [i, { partition, records: appended }] of parts.entries()) {
      partition.end += appended.length
      partition.bytes += stored[i]!
    }
    for (const { partition } of parts) this.tail.wake(partition)
    return positions
  }

  /** Takes a transactional id and returns its new epoch. */
  fence(transactionalId: string): number {
    return this.file.transaction(0, () =>
      integer(
        this.file.get(
          `INSERT INTO producers (id, epoch) VALUES (?, 1)
           ON CONFLICT (id) DO UPDATE SET epoch = epoch + 1 RETURNING epoch`,
          transactionalId
        ) ?? {},
        "epoch"
      )
    )
  }

  epoch(transactionalId: string): number {
    return integer(this.file.get("SELECT epoch FROM producers WHERE id = ?", transactionalId) ?? {}, "epoch")
  }
}
