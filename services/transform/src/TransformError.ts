import type { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

/** A transform cannot be made from the connector file: an expression, a file or a secret is wrong. Only a change of it helps. */
export class TransformError extends Schema.TaggedError<TransformError>()("TransformError", {
  connector: Schema.String,
  stream: Schema.String,
  /** Place of the step in the list, from 0, and its kind: `[2, "filter"]`. */
  at: Schema.Tuple([Schema.Natural, Schema.String]),
  /** What is wrong, what was expected and what to do, in sentences. */
  problem: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    const [index, kind] = this.at
    return `Transform of ${this.connector}/${this.stream}, step ${index + 1} (${kind}): ${this.problem}`
  }
}
