import { Schema } from "effect"

/** A text of a flag that cannot be read. */
export class WrongFlag extends Schema.TaggedError<WrongFlag>()("WrongFlag", {
  flag: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  readonly isUsage = true
  override get message(): string {
    return `--${this.flag} is "${this.found}"; expected ${this.expected}.`
  }
}
