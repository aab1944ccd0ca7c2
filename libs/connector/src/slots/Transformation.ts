import type { Effect } from "effect"
import type { SourceReason } from "../SourceError.ts"
import type { ReadPlan } from "../ReadPlan.ts"
import type { Extracted, PageView } from "./PageView.ts"

/**
 * Slot: changes, adds or removes records of a page before key and cursor are read, for what belongs to the source and not to a
 * transform: a parent's id in each record, a list that is spread, records that the stream does not mean. In YAML:
 * `filter`, `expand` and `add`. Streams without it keep the API's bytes; `rewriting` makes one of a function from record to records.
 */
export interface Transformation {
  /**
   * Called once per walk; what it returns is called once per page. The paginator sees the page as it was before. Values of the
   * plan need not be found again, only records and their fields.
   */
  readonly open: (plan: ReadPlan) => (page: PageView) => Effect.Effect<Extracted, SourceReason>
}
