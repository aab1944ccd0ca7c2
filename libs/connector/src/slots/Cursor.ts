import type { JsonSelector } from "@tributary/codec"
import type { Effect } from "effect"
import type { CursorState, CursorProgress } from "../Checkpoint.ts"
import type { SourceReason } from "../SourceError.ts"
import type { Extracted, PageView } from "./PageView.ts"
import type { RequestDraft } from "./Request.ts"
import type { Requester } from "./Requester.ts"
import type { Interval, Partition, Slice } from "./Slice.ts"

/** What a cursor says of the records of a page. */
export interface Observed {
  /** 1 for each record that is left out (read before and unchanged, or outside of what was asked for); `undefined` for none. */
  readonly left: Uint8Array | undefined
  readonly skipped: number
  /** Records without a usable value: they are published but do not move the cursor. */
  readonly unmarked: number
  /** Records whose value is too far ahead of the clock: they are published but do not move the cursor. Default: 0. */
  readonly ahead?: number
  /** Records that are older than what was asked for and are published all the same. Default: 0. */
  readonly unasked?: number
  /** Nothing that is new can follow on later pages of this interval: the feed descends and has come to what is known. */
  readonly isOver: boolean
}

/** The cursor while the pages of one interval are read. */
export interface CursorWalk {
  /**
   * Called once per page, in order. In each row of the page's scan the value of `Cursor.field` starts at `column` and ends at
   * `column + 1`; -1 where a record has none. `now` is in milliseconds since 1970.
   */
  readonly observe: (page: Extracted, column: number, now: number) => Observed
  /**
   * Called after `observe` with the last page of the interval, unless an error rule took that for none: for cursors that the API
   * itself names. `values` are the numbers by which `PageView.value` has the cursor's values. What it returns ends the walk.
   */
  readonly last?: (
    page: PageView,
    values: ReadonlyArray<number>,
    draft: RequestDraft,
    requester: Requester
  ) => SourceReason | undefined
  /** What has to be remembered to go on after the pages observed so far. */
  readonly progress: () => CursorProgress
  /** The state when all pages of the interval were observed. */
  readonly finish: () => CursorState
}

/**
 * Slot: reads only what is new. In YAML: `incremental`. Its state is kept per partition and committed with the records that it
 * stands for.
 */
export interface Cursor {
  /** Field of each record that it reads, keys joined by dots; `undefined` for none. */
  readonly field: string | undefined
  /** What has to be found in each body, for `CursorWalk.last`. Default: nothing. */
  readonly values?: ReadonlyArray<JsonSelector>
  /**
   * The state of one that has read nothing, of a partition or of the stream: where another program came to. Default: nothing is known.
   */
  readonly initial?: (partition: Partition | undefined) => Effect.Effect<CursorState, SourceReason>
  /**
   * Statuses by which the API says that it no longer knows where `since` is: the interval is then read without what was known. Default:
   * none.
   */
  readonly expired?: ReadonlyArray<number>
  /** Query parameters that it sets and that may be shown. */
  readonly parameters: ReadonlyArray<string>
  /**
   * The interval that a walk (begun at `startedAt`, milliseconds since 1970) asks for after `previous`; with `undefined` the
   * first. `undefined`: nothing (more) to ask for. Depends on nothing else, so that a walk goes on after a restart as it would
   * have.
   */
  readonly interval: (
    state: CursorState,
    startedAt: number,
    previous: Interval | undefined
  ) => Effect.Effect<Interval | undefined, SourceReason>
  /**
   * The rest of an interval of which the API has shown as much as it shows of one question; `progress` is that of the records of
   * the interval so far. `undefined`, or the function left out: it cannot be told where the rest begins.
   */
  readonly restart?: (progress: CursorProgress, previous: Interval) => Interval | undefined
  /** Puts the interval into the request. */
  readonly apply: (draft: RequestDraft, slice: Slice, requester: Requester) => void
  /** Begins to follow the pages of an interval, or goes on where `progress` was taken. The walk began at `startedAt`. */
  readonly follow: (
    state: CursorState,
    interval: Interval,
    progress: CursorProgress | undefined,
    startedAt: number
  ) => CursorWalk
}
