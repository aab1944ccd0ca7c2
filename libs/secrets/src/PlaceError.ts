import { Schema } from "effect"

/** A store of secrets, or a keeper of keys, that did not do what was asked of it. Quotes nothing but the place's own error codes. */
export class PlaceError extends Schema.TaggedError<PlaceError>()("PlaceError", {
  /** What was asked, and for what, as in "AWS Secrets Manager, secret prod/shop". */
  place: Schema.String,
  /** What is wrong and what to do about it. */
  problem: Schema.String,
  failureClass: Schema.Literals(["transient", "throttled", "misconfigured"])
}) {
  override get message(): string {
    return `${this.place}: ${this.problem}`
  }
}
