import type { Effect } from "effect"
import type { CursorState, Position } from "../Checkpoint.ts"
import type { ReadPlan } from "../ReadPlan.ts"
import type { SourceReason } from "../SourceError.ts"
import type { Extracted } from "./PageView.ts"
import type { Next } from "./Paginator.ts"
import type { Slice } from "./Slice.ts"

/** Which page is wanted. */
export interface WantedPage {
  readonly slice: Slice
  /** Where the slice goes on; `undefined` is the first page. */
  readonly position: Position | undefined
  /** The cursor's state before the slice. */
  readonly state: CursorState
  /** When the walk began, milliseconds since 1970. */
  readonly startedAt: number
}

/** A page as a retriever hands it over. */
export interface RetrievedPage {
  readonly extracted: Extracted
  readonly next: Next
  /** Where it came from, as it may be shown. */
  readonly url: string
}

/**
 * Slot: makes a page by its own rules, in place of requester, extractor, transformation, paginator and error handler. For pages that
 * are made by more than one request (properties that are asked for in chunks, reports that are ordered, waited for and downloaded)
 * and for definitions whose rules for these slots depend on one another, as an Airbyte manifest's do. It sends through
 * `EngineTools.send`; what it keeps from page to page is in the position, which is JSON; and it does its own retries.
 */
export interface Retriever {
  /** Where the records stand, as messages about them say it. */
  readonly place: string
  /** Where its requests go, as far as that is known before one is made. */
  readonly address: Effect.Effect<URL, SourceReason>
  /** Whether a stored position is one of this kind; if not, the walk begins again. */
  readonly fits: (position: Position) => boolean
  /** Called once per walk; what it returns is called once per page. */
  readonly open: (plan: ReadPlan) => (wanted: WantedPage) => Effect.Effect<RetrievedPage, SourceReason>
}
