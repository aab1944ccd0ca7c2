import type { Schema, Stream } from "effect"
import type { SourceReason } from "../SourceError.ts"
import type { RequestDraft } from "./Request.ts"
import type { Partition } from "./Slice.ts"

/** Partitions that are known together, as those of one page of a parent. */
export interface PartitionBatch {
  readonly partitions: ReadonlyArray<Partition>
  /** Where the router goes on when all of them are done; JSON. */
  readonly state: Schema.Json
}

/**
 * Slot: divides a stream into partitions, each read by itself with a cursor of its own. In YAML: `partitions`. Partitions are
 * read in the order in which they come; which ones of a walk are done is remembered by their keys, so the order may change.
 */
export interface Router {
  /**
   * The partitions of a walk, from `state` on: with `goesOn` that of the last batch that is done in this walk, else that of the
   * last walk (if `isIncremental`). A batch that was not done comes again; of it only partitions that were not done are read.
   */
  readonly partitions: (state: Schema.Json | undefined, goesOn: boolean) => Stream.Stream<PartitionBatch, SourceReason>
  /** Puts a partition's values into the request. */
  readonly apply: (draft: RequestDraft, partition: Partition) => void
  /** Whether the state at the end of a walk is where the next one begins; else the next begins without. */
  readonly isIncremental: boolean
}
