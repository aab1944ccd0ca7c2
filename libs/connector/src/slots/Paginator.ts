import type { JsonSelector } from "@tributary/codec"
import type { Position } from "../Checkpoint.ts"
import type { SourceReason } from "../SourceError.ts"
import type { PageView } from "./PageView.ts"
import type { RequestDraft } from "./Request.ts"
import type { Requester } from "./Requester.ts"

/**
 * Where a walk goes on after a page: at a position, nowhere, with a new question for the rest (the API shows no more of this one;
 * see `Cursor.restart`), or it cannot be told.
 */
export type Next = Position | "end" | "restart" | SourceReason

/** A place in an answer without which a walk ends: where it is misspelt, the first page is taken for the last. */
export interface SoughtPlace {
  /** Name of the setting that names it. */
  readonly setting: string
  /** What an answer has that has it not, such as `nothing at $.next`. */
  readonly missing: string
  /** Whether an answer has it, whatever its value. */
  readonly isIn: (page: PageView) => boolean
  /** Whether its value says that the page is the last. */
  readonly saysEnd?: (page: PageView) => boolean
}

/**
 * Slot: how to get from one page to the next. In YAML: `pagination`. It keeps nothing between pages: all it needs is in the
 * position, which is stored with the records, so that a walk goes on after a restart. The engine guards every paginator: no
 * position twice in a walk, no page with the records of the one before (of numbered pages one), at most `http.max_pages` pages.
 */
export interface Paginator {
  /** What has to be found in each body; `PageView.value` has it by its number here. */
  readonly values: ReadonlyArray<JsonSelector>
  /** Query parameters that it sets and that may be shown. */
  readonly parameters: ReadonlyArray<string>
  /** Whether a stored position is one of this kind; if not, the walk begins again. */
  readonly fits: (position: Position) => boolean
  /** Puts a position into the request; `undefined` is the first page. */
  readonly apply: (draft: RequestDraft, position: Position | undefined, requester: Requester) => void
  /** Places that lead from one page to the next, so that a run can say if no answer has them. */
  readonly sought?: ReadonlyArray<SoughtPlace>
  readonly next: (page: PageView, draft: RequestDraft, requester: Requester) => Next
}
