import type { Effect } from "effect"
import type { CursorState, CursorProgress } from "../Checkpoint.ts"
import type { SourceReason } from "../SourceError.ts"
import type { Extracted } from "./PageView.ts"
import type { RequestDraft } from "./Request.ts"
import type { Interval, Slice } from "./Slice.ts"

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
   * The rest of an interval of which the API has shown as much as it shows of one question; `state` is that of the records so far.
   * `undefined`, or the function left out: it cannot be told where the rest begins.
   */
  readonly restart?: (state: CursorState, previous: Interval) => Interval | undefined
  /** Puts the interval into the request. */
  readonly apply: (draft: RequestDraft, slice: Slice) => void
  /** Begins to follow the pages of an interval, or goes on where `progress` was taken. */
  readonly follow: (state: CursorState, interval: Interval, progress: CursorProgress | undefined) => CursorWalk
}
