import type { Effect } from "effect"
import type { CursorProgress, CursorState, JobState, Position } from "./Checkpoint.ts"
import type { IntervalAhead } from "./IntervalsAhead.ts"
import type { JobTurn } from "./JobRun.ts"
import type { Page } from "./Page.ts"
import type { PartSource, ReadSoFar } from "./PartSource.ts"
import type { PageBefore, Progress } from "./Progress.ts"
import type { CursorWalk, Next, PageView, RequestDraft, Slice } from "./slots/index.ts"
import type { SourceReason } from "./SourceError.ts"

/** Where a slice goes on. */
export interface SlicePosition extends CursorProgress {
  readonly since?: string
  readonly until?: string
  readonly position?: Position
  /** The page before it. */
  readonly before?: PageBefore
  /** How far the body at the position was read. */
  readonly read?: ReadSoFar
  /** The job that makes what is read. */
  readonly job?: JobState
}

/** A page of a slice, and where the slice goes on after it; `undefined`: it is read to its end. */
export interface SlicePage {
  readonly found: Omit<Page, "checkpoint" | "last" | "number">
  /** The cursor's state, of intervals that are finished. */
  readonly state: CursorState
  readonly next: SlicePosition | undefined
}

/** A page that was asked for. */
export interface Fetched {
  readonly draft: RequestDraft
  readonly page: PageView
  /** The body, if there may be more of it. */
  readonly rest: PartSource | undefined
  /** Where a retriever goes on. */
  readonly onward?: Next
}

/** The job of a turn came forward: `next` is where it goes on, `undefined` when nothing of the interval is left. */
export interface JobMoved {
  readonly next: State | undefined
  /** How far the body at the position was read. */
  readonly read: ReadSoFar | undefined
}

/** A page that was asked for, or the wish to begin again, with or without what the cursor knows, or a step of a job. */
export type Asked = Fetched | { readonly again: "restart" | "reset"; readonly reason: SourceReason } | JobMoved

/** The pages of one interval. */
export interface Turn {
  readonly slice: Slice
  /** Its pages, where they are asked for before its turn. */
  readonly ahead: IntervalAhead<Asked> | undefined
  /** The time up to which intervals go, milliseconds since 1970. */
  readonly upTo: number
  readonly follower: CursorWalk
  readonly progress: Progress
  /** The cursor's state before the interval. */
  readonly state: CursorState
  /** Makes what is read, in streams with a job. */
  readonly job: JobTurn | undefined
}

/** Where a walk of a slice stands between two pages. */
export interface State {
  readonly turn: Turn
  readonly position: Position | undefined
  readonly asked: Effect.Effect<Asked, SourceReason>
}

/** Asks for the page of a turn at a position, or for the rest of it if a part was read before. */
export type AskForTurn = (
  turn: Turn,
  position: Position | undefined,
  before?: ReadSoFar
) => Effect.Effect<Asked, SourceReason>

/** What a step without a page gives. */
export const noPage: SlicePage["found"] = {
  records: [],
  rejected: [],
  skipped: 0,
  unmarked: 0,
  ahead: 0,
  unasked: 0,
  bytes: 0
}
