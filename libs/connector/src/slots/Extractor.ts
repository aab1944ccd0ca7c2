import type { Effect } from "effect"
import type { ReadPlan } from "../ReadPlan.ts"
import type { SourceReason } from "../SourceError.ts"
import type { Answer } from "../Transport.ts"
import type { Extracted } from "./PageView.ts"

/** Takes one body apart while it comes in. What it throws ends the walk, or the answer is asked for again if it is cut off. */
export interface PartReader {
  /** Takes bytes of the body, without its encodings; `file` says that the next file of an archive begins. */
  readonly push: (chunk: Buffer | "file") => void | Promise<void>
  /** The body is at its end. */
  readonly end: () => void | Promise<void>
  /** The records that are complete, if there are enough for a part; after `end` any number of them. */
  readonly take: () => Extracted | undefined
}

/**
 * Slot: finds the records in an answer: a decoder and a record selector. In YAML: `format` and `records`. It checks the whole
 * body: a cut or broken one fails, and no page is taken for an empty one because its records are not where they should be.
 */
export interface Extractor {
  /** Value of the Accept header. */
  readonly accept: string
  /** Where the records stand, as messages about them say it. */
  readonly place: string
  /** The charset that bodies are in whatever else says one, so that whoever reads an answer besides can read it, too. */
  readonly charset?: string | undefined
  /** Called once per walk; what it returns is called once per page and finds what `plan` asks for. */
  readonly open: (plan: ReadPlan) => (answer: Answer) => Effect.Effect<Extracted, SourceReason>
  /**
   * For bodies of any size: called once per walk, what it returns once per answer. An extractor that has it is given the body in
   * parts, which are published as they come; `open` is not used. The paginator sees the last part, and headers.
   */
  readonly parts?: (plan: ReadPlan) => (answer: Answer) => PartReader
}
