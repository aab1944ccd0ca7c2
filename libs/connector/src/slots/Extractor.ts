import type { Effect } from "effect"
import type { ReadPlan } from "../ReadPlan.ts"
import type { SourceReason } from "../SourceError.ts"
import type { Answer } from "../Transport.ts"
import type { Extracted } from "./PageView.ts"

/**
 * Slot: finds the records in an answer: a decoder and a record selector. In YAML: `format` and `records`. It checks the whole
 * body: a cut or broken one fails, and no page is taken for an empty one because its records are not where they should be.
 */
export interface Extractor {
  /** Value of the Accept header. */
  readonly accept: string
  /** Where the records stand, as messages about them say it. */
  readonly place: string
  /** Called once per walk; what it returns is called once per page and finds what `plan` asks for. */
  readonly open: (plan: ReadPlan) => (answer: Answer) => Effect.Effect<Extracted, SourceReason>
}
