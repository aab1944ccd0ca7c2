import type { Checkpoint } from "./Checkpoint.ts"
import type { Snapshot } from "./PartitionStates.ts"

/** A record of a page. Both arrays are views of the page's body or small copies; they stay valid as long as they are held. */
export interface PageRecord {
  /** The primary key: text of a string, JSON text of any other value, a JSON array for several fields; `null` without one. */
  readonly key: Uint8Array | null
  /** The record's bytes as the API sent them. */
  readonly value: Uint8Array
}

/** A record that cannot be published; it goes to the dead-letter topic. */
export interface RejectedRecord {
  /** Place in the page, from 0. */
  readonly index: number
  readonly value: Uint8Array
  readonly code: "missing_key" | "not_an_object" | "not_utf8" | "too_deep" | "bad_delivery"
  /** One sentence: what is wrong, what was found, what was expected. */
  readonly reason: string
}

/** One answer of the API. Committing its records, its rejected records and its checkpoint together makes it done. */
export interface Page {
  readonly records: ReadonlyArray<PageRecord>
  readonly rejected: ReadonlyArray<RejectedRecord>
  readonly checkpoint: Checkpoint
  /** Number of the page in its walk, from 0. */
  readonly number: number
  /** Size of the body, decompressed. */
  readonly bytes: number
  /** The page ends its walk. */
  readonly last: boolean
  /** Records left out because an earlier walk read them and they have not changed. */
  readonly skipped: number
  /** Records that have no usable value in the incremental field: they are published, but do not move the cursor. */
  readonly unmarked: number
  /** Parts of the checkpoint that are kept beside it, to be committed with it; they stay good until others replace them. */
  readonly snapshots?: ReadonlyArray<Snapshot>
  /** Records whose time is further ahead of the clock than `incremental.ahead`: published, but they do not move the cursor. */
  readonly ahead: number
  /** Records that are older than what was asked for and are published all the same. */
  readonly unasked: number
}
