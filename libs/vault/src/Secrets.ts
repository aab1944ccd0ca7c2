import { type FailureClass } from "@tributary/domain"
import { Context, type Effect, type Redacted, Schema } from "effect"

/** A reference that cannot be resolved. The message names the reference and never a secret. */
export class SecretError extends Schema.TaggedError<SecretError>()("SecretError", {
  reference: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.reference}: ${this.problem}`
  }
}

/** Resolves references of connector files: `${env:NAME}`, `${file:path}`. Files are read anew when they change. */
export class Secrets extends Context.Service<
  Secrets,
  {
    /** Resolves one reference. `base` is the folder that relative paths start from. */
    readonly secret: (reference: string, base: string) => Effect.Effect<Redacted.Redacted<string>, SecretError>
    /** Replaces every reference inside a setting that is not secret (an address, a header). */
    readonly text: (template: string, base: string) => Effect.Effect<string, SecretError>
  }
>()("@tributary/vault/Secrets") {}
