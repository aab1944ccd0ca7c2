import { LosslessJson } from "@tributary/codec"
import type { CursorState } from "../Checkpoint.ts"

/**
 * A part of a stream that is read by itself and has a position of its own: one entry of a list, or what belongs to one record
 * of a parent stream.
 */
export interface Partition {
  /** Tells the partition from the others of its stream; the same in every walk. */
  readonly key: string
  /** Values by name: what `{name}` in a path and the router's parameters stand for. */
  readonly values: Readonly<Record<string, string>>
  /** The parent's record, for slots in code; `undefined` for a list. */
  readonly parent?: Uint8Array
}

/** What a walk asks for at a time: from `since` on, before or up to `until`; absent ends are open. Values as they are sent. */
export interface Interval {
  readonly since?: string | undefined
  readonly until?: string | undefined
}

/** What the pages of one turn have in common: a partition (`undefined` in a stream that has none) and an interval. */
export interface Slice {
  readonly partition: Partition | undefined
  readonly interval: Interval
  /** The cursor's state before the interval; `undefined` where no walk asks. */
  readonly state?: CursorState
  /** What names the job that is read: `job`, its id, `job_key`, `result` and what else the slot takes from the answer. */
  readonly job?: Readonly<Record<string, string>>
}

/** The key of a partition with these values: their JSON, names in order, so that equal values make equal keys. */
export const partitionKey = (values: Readonly<Record<string, string>>): string =>
  LosslessJson.stringify(
    Object.fromEntries(Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
  )
