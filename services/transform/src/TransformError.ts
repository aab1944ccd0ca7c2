import type { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

/** A transform cannot be made from the connector file: an expression, a file or a secret is wrong. Only a change of it helps. */
export class TransformError extends Schema.TaggedError<TransformError>()("TransformError", {
  connector: Schema.String,
  stream: Schema.String,
  /** Position of the step in the list, from 1, and its kind: `step 3 (filter)`. */
  step: Schema.String,
  /** What is wrong, what was expected and what to do, in sentences. */
  problem: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `Transform of ${this.connector}/${this.stream}, ${this.step}: ${this.problem}`
  }
}
