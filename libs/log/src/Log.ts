import { Context, type Duration, type Effect, type Scope } from "effect"
import type { LogError } from "./LogError.ts"

/** Offsets are numbers: a partition would need 2^53 records to leave their exact range. */
export type Offset = number

/** A record as it is written. A `null` value in a compacted topic deletes its key. */
export interface NewRecord {
  readonly topic: string
  /** Without it the partition follows from the key (murmur2, as Kafka's clients do), or turns for records without a key. */
  readonly partition?: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: Readonly<Record<string, string>>
}

/** A record as it is read. */
export interface LogRecord {
  readonly offset: Offset
  /** Milliseconds since 1970 at which it was written. */
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: Readonly<Record<string, string>>
}

/** Records of one partition in offset order, and the offset to read on from (offsets may have gaps). */
export interface Batch {
  readonly records: ReadonlyArray<LogRecord>
  readonly next: Offset
  /** End of the partition as of the read: the offset that the next record will have, or a later one. */
  readonly end: Offset
}

export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  /**
   * Keeps the last record of each key instead of deleting by age or size. Fixed when the topic is made. Every record of such
   * a topic has a key; a `null` value deletes it, and is itself kept for 24 hours so that readers see it.
   */
  readonly compacted?: boolean
  /** Records older than this are deleted some time later. Without it they are kept for ever. */
  readonly retention?: Duration.Duration
  /** Per partition: the oldest records beyond it are deleted some time later. */
  readonly retentionBytes?: number
}

export interface TopicInfo {
  readonly name: string
  /** Unique for ever: a topic deleted and made again has another one. */
  readonly id: string
  readonly partitions: number
  readonly compacted: boolean
}

export interface ReadLimits {
  readonly maxRecords: number
  /** At least one record is returned, however large. */
  readonly maxBytes: number
  /** How long to wait for a record when there is none. The wait ends the moment one is written. */
  readonly wait: Duration.Duration
  /**
   * Whether the wait ends, too, when the read has come past offsets that have no record (markers that end transactions, records of
   * aborted ones): the batch has no records then, and `next` says how far. For who acknowledges what it has passed.
   */
  readonly returnsGaps?: boolean
}

/** Where a group reads on in a partition, and what its last committer wrote beside it. */
export interface Committed {
  readonly offset: Offset
  readonly metadata: string
}

/**
 * The right to work on one partition for a group, from the moment it was assigned until it is revoked. All calls fail with
 * `Fenced` once the partition belongs to another member.
 */
export interface Claim {
  readonly topic: TopicInfo
  readonly partition: number
  /** The group's generation in which the partition was assigned. */
  readonly generation: number
  /** Reads the commit as of now; `undefined` when the group never committed here. */
  readonly committed: Effect.Effect<Committed | undefined, LogError>
  /** Reads from `from` on, whatever is committed. Fails with `OffsetOutOfRange` when retention has passed it: it never jumps. */
  readonly read: (from: Offset, limits: ReadLimits) => Effect.Effect<Batch, LogError>
  /** Durable when it succeeds. `metadata` is at most 4096 characters (UTF-16 units, as Kafka counts them). */
  readonly commit: (offset: Offset, metadata: string) => Effect.Effect<void, LogError>
}

export interface Transaction {
  readonly records: ReadonlyArray<NewRecord>
  /** For consume-transform-produce: the claim's new position (its metadata empty), committed with the records or not at all. */
  readonly consumed?: { readonly claim: Claim; readonly offset: Offset }
}

/** Writes transactions under one transactional id. */
export interface Producer {
  /**
   * Writes all records and the position, or none. Readers see them only when it succeeds; it returns the position of each
   * record. Fails with `Fenced` once a later producer has taken the transactional id, and then writes nothing.
   */
  readonly transact: (transaction: Transaction) => Effect.Effect<ReadonlyArray<Position>, LogError>
}

export interface Position {
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
}

export interface GroupOptions {
  readonly group: string
  readonly topics: ReadonlyArray<string>
}

/** Topics with partitions and offsets: Kafka, or SQLite in the embedded engine. Nothing of a vendor is visible here. */
export class Log extends Context.Service<
  Log,
  {
    /**
     * Creates the topic if it does not exist, under a name of 1 to 249 letters, digits, `.`, `_` and `-`. Settings of an
     * existing topic are updated, but `compacted` (`InvalidRequest`). Its partitions are never reduced, and those of a
     * compacted topic never change, because each key lives in one of them: the result says how many there are.
     */
    readonly ensureTopic: (spec: TopicSpec) => Effect.Effect<TopicInfo, LogError>
    readonly deleteTopic: (name: string) => Effect.Effect<void, LogError>
    readonly topics: Effect.Effect<ReadonlyArray<TopicInfo>, LogError>
    /** First offset that is kept and the end, per partition. */
    readonly offsets: (
      topic: string
    ) => Effect.Effect<
      ReadonlyArray<{ readonly partition: number; readonly earliest: Offset; readonly end: Offset }>,
      LogError
    >
    /** Publishes without a transaction: all records or none, in order per partition. */
    readonly publish: (records: ReadonlyArray<NewRecord>) => Effect.Effect<ReadonlyArray<Position>, LogError>
    /** Takes a transactional id: every earlier producer with the same id is fenced from now on. */
    readonly producer: (transactionalId: string) => Effect.Effect<Producer, LogError, Scope.Scope>
    /** Reads committed records outside any group. Fails with `OffsetOutOfRange` when `from` is no longer, or not yet, there. */
    readonly read: (
      topic: string,
      partition: number,
      from: Offset,
      limits: ReadLimits
    ) => Effect.Effect<Batch, LogError>
    /**
     * The last value of a key in a compacted topic (in the partition that follows from the key), including everything committed before the call; `null` for none. Called
     * after `producer(id)` it sees the last commit of every producer that had that id (the barrier of promise 1).
     */
    readonly latest: (topic: string, key: Uint8Array) => Effect.Effect<Uint8Array | null, LogError>
    /**
     * Joins a group and runs `work` for each partition that is assigned to this member, each in a fiber of its own. When a
     * partition is revoked its fiber is interrupted, and only when that has ended does the partition go to its next owner.
     * Fails as soon as one `work` fails; never succeeds. Partitions of topics that do not exist yet are assigned once they do.
     */
    readonly consume: <E, R>(
      options: GroupOptions,
      work: (claim: Claim) => Effect.Effect<never, E, R>
    ) => Effect.Effect<never, LogError | E, R>
    /** Positions of all partitions that a group has committed. */
    readonly positions: (
      group: string
    ) => Effect.Effect<ReadonlyArray<{ readonly topic: string; readonly partition: number } & Committed>, LogError>
  }
>()("@tributary/log/Log") {}
