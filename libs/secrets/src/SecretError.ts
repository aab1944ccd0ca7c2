import { FailureClass } from "@tributary/domain"
import { Effect, Schema } from "effect"

/**
 * A reference that cannot be resolved. The message names the reference and never a secret. Only a store that is asked over a
 * network fails in another class than `misconfigured`.
 */
export class SecretError extends Schema.TaggedError<SecretError>()("SecretError", {
  reference: Schema.String,
  problem: Schema.String,
  failureClass: FailureClass.pipe(Schema.withConstructorDefault(Effect.succeed("misconfigured" as const)))
}) {
  override get message(): string {
    return `${this.reference}: ${this.problem}`
  }
}
