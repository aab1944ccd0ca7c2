import type { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

/**
 * An expression that cannot be compiled or evaluated.
 *
 * `kind` is the name of the exception in Python and Jinja (`ZeroDivisionError`, `TemplateSyntaxError` …), or `LimitError`
 * when a bound on time, size or depth was met. The message never shows values, which may be secrets, beyond what the
 * exception itself says.
 */
export class ExpressionError extends Schema.TaggedError<ExpressionError>()("ExpressionError", {
  kind: Schema.String,
  /** The template. */
  expression: Schema.String,
  /** Line in the template, from 1. */
  line: Schema.Int,
  /** Column in the line, from 1. */
  column: Schema.Int,
  /** What was found, and what was expected. */
  reason: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"

  override get message(): string {
    const shown = this.expression.length > 200 ? `${this.expression.slice(0, 200)}…` : this.expression
    return `Expression ${JSON.stringify(shown)}, line ${this.line}, column ${this.column}: ${this.kind}: ${this.reason}`
  }
}
