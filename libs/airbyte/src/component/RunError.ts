import { FailureClass } from "@tributary/domain"
import { Schema } from "effect"
import { ExpressionError } from "../expression/ExpressionError.ts"
import { PyError } from "../expression/PyError.ts"
import { ManifestError } from "../manifest/ManifestError.ts"

/** Kinds of failure in Airbyte's protocol. */
export const FailureType = Schema.Literals(["config_error", "system_error", "transient_error"])
export type FailureType = typeof FailureType.Type

/** A manifest's stream that cannot be read on. */
export class RunError extends Schema.TaggedError<RunError>()("RunError", {
  problem: Schema.String,
  failureType: FailureType,
  /** What is to be done, where whoever failed knows better than the type of failure says. */
  stated: Schema.optionalKey(FailureClass),
  /** The status by which an API refused. */
  status: Schema.optionalKey(Schema.Int),
  /** Milliseconds to wait, when the other side said. */
  retryAfter: Schema.optionalKey(Schema.Finite)
}) {
  get failureClass(): FailureClass {
    if (this.stated !== undefined) return this.stated
    return this.failureType === "transient_error" ? "transient" : "misconfigured"
  }
  override get message(): string {
    return this.problem
  }
}

/** A failure as the run's own error; a defect stays one. */
export const toRunError = (cause: unknown): RunError => {
  if (cause instanceof RunError) return cause
  if (cause instanceof ManifestError) return new RunError({ problem: cause.message, failureType: "config_error" })
  if (cause instanceof ExpressionError || cause instanceof PyError) {
    return new RunError({ problem: cause.message, failureType: "system_error" })
  }
  throw cause
}

/** A failure of a component as a value to throw from pure code. */
export const failure = (problem: string, failureType: FailureType = "system_error"): RunError =>
  new RunError({ problem, failureType })
