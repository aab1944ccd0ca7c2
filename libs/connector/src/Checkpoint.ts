import { Schema } from "effect"

/** Where in a walk the next page is. `token` is for paginators in code: any JSON. */
export const Position = Schema.Union([
  Schema.Struct({ cursor: Schema.String }),
  Schema.Struct({ page: Schema.Natural }),
  Schema.Struct({ offset: Schema.Natural }),
  Schema.Struct({ url: Schema.String }),
  Schema.Struct({ token: Schema.Json })
])
export type Position = typeof Position.Type

const cursorState = {
  /** Highest value of the incremental field in all completed walks, as the API wrote it. */
  cursor: Schema.optionalKey(Schema.String),
  /** Digests of the records at or after `cursor` less the lookback: the next walk meets them again. */
  seen: Schema.optionalKey(Schema.String),
  /** For cursors in code. */
  state: Schema.optionalKey(Schema.Json)
}

const cursorProgress = {
  /** Highest value of the incremental field so far. */
  maxSeen: Schema.optionalKey(Schema.String),
  /** Digests of the records met so far that the next walk may meet again. */
  met: Schema.optionalKey(Schema.String),
  /** For cursors in code. */
  progress: Schema.optionalKey(Schema.Json)
}

/** What a cursor keeps between walks. */
export const CursorState = Schema.Struct(cursorState)
export type CursorState = typeof CursorState.Type

/** What a cursor keeps between the pages of an interval. */
export const CursorProgress = Schema.Struct(cursorProgress)
export type CursorProgress = typeof CursorProgress.Type

/** A job of which the result is read, or will be. */
export const JobState = Schema.Struct({
  /** The same whenever the same job is asked for again. */
  key: Schema.String,
  /** How many jobs for the same slice failed before it. */
  attempt: Schema.Natural,
  /** When it was made, or is about to be; milliseconds since 1970. */
  at: Schema.Finite,
  /** What names it; absent: it may not have been made yet. */
  names: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  /** The result that is read, and how many there are; absent: it was not done yet. */
  result: Schema.optionalKey(Schema.Natural),
  results: Schema.optionalKey(Schema.Natural),
  /** All of it is read: it is only to be removed. */
  over: Schema.optionalKey(Schema.Boolean)
})
export type JobState = typeof JobState.Type

const slicePosition = {
  /** The interval that is read, as it is sent; ends that are open are absent. */
  since: Schema.optionalKey(Schema.String),
  until: Schema.optionalKey(Schema.String),
  /** Position of the next page; absent: the first of the interval. */
  position: Schema.optionalKey(Position),
  /** What tells the records of the page before that one; `own`: it was at the position, too, and names itself. */
  before: Schema.optionalKey(Schema.Struct({ digest: Schema.String, own: Schema.optionalKey(Schema.Boolean) })),
  /** How far the body at the position was read, where it is read in parts. */
  read: Schema.optionalKey(Schema.Struct({ records: Schema.Natural, digest: Schema.String })),
  /** The job of the slice that is read. */
  job: Schema.optionalKey(JobState),
  ...cursorProgress
}

/** Digest of the partition with its parent's record when its reading began, where changed parents come again. */
const parent = Schema.optionalKey(Schema.String)

/** Where a partition goes on that is read at the same time as others. */
const OpenPartition = Schema.Struct({ partition: Schema.String, parent, ...slicePosition })
export type OpenPartition = typeof OpenPartition.Type

/** A walk that is under way: what it asked for, and where it goes on. */
export const Walk = Schema.Struct({
  ...slicePosition,
  /** Number of the next page; the first has number 0. */
  number: Schema.Natural,
  /** The partition that is read. */
  partition: Schema.optionalKey(Schema.String),
  parent,
  /** Where the router goes on: behind the batches that are done in this walk. */
  router: Schema.optionalKey(Schema.Json),
  /** Other partitions that have begun. */
  open: Schema.optionalKey(Schema.Array(OpenPartition)),
  /** Digests of the partitions that are done in the batches after that. */
  done: Schema.optionalKey(Schema.String),
  /** Milliseconds since 1970. */
  startedAt: Schema.Finite
})
export type Walk = typeof Walk.Type

/**
 * Where a stream reads on after a restart. It belongs to the records of the page that carries it and is committed with them.
 * Its size is bounded (about 100 kB with all digests).
 */
export const Checkpoint = Schema.Struct({
  v: Schema.Literal(1),
  ...cursorState,
  /** Cursors of partitions: those that changed since the snapshots were written, and how many of these there are. */
  partitions: Schema.optionalKey(
    Schema.Struct({ shards: Schema.Natural, changed: Schema.Record(Schema.String, CursorState) })
  ),
  /** Where the router of the next walk begins. */
  router: Schema.optionalKey(Schema.Json),
  /** The walk that is not finished. */
  walk: Schema.optionalKey(Walk),
  /** Of a stream that is sent: the topic of its deliveries, and the offset of the next one; and where the ids of those before it are. */
  inbox: Schema.optionalKey(
    Schema.Struct({
      topic: Schema.String,
      offset: Schema.Natural,
      seen: Schema.optionalKey(Schema.Struct({ topic: Schema.String, offset: Schema.Natural }))
    })
  ),
  /** When the last walk was started and completed, milliseconds since 1970. */
  startedAt: Schema.optionalKey(Schema.Finite),
  completedAt: Schema.optionalKey(Schema.Finite)
})
export type Checkpoint = typeof Checkpoint.Type
