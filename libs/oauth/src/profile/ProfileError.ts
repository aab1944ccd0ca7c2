import { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

/** A provider profile that is missing, wrong, or does not fit the settings that are given with it. Shows no secret. */
export class ProfileError extends Schema.TaggedError<ProfileError>()("ProfileError", {
  /** The profile, as the settings name it. */
  provider: Schema.String,
  /** File with line and column, or the setting, as `params.tenant`. */
  place: Schema.String,
  found: Schema.String,
  expected: Schema.String,
  /** What to do, in one sentence. */
  advice: Schema.String,
  failureClass: FailureClass
}) {
  override get message(): string {
    return `Provider ${this.provider} at ${this.place}: found ${this.found}, expected ${this.expected}. ${this.advice}`
  }
}
