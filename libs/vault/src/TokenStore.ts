import { type FailureClass } from "@tributary/domain"
import { Context, type Effect, type Option, type Redacted, Schema } from "effect"

/** Tokens of one authorization. `generation` grows by one with every change. Times are milliseconds since 1970. */
export interface StoredTokens {
  readonly generation: number
  readonly accessToken: Redacted.Redacted<string>
  readonly tokenType: string
  /** `undefined` when the server did not say. */
  readonly expiresAt: number | undefined
  readonly obtainedAt: number
  readonly refreshToken: Redacted.Redacted<string> | undefined
  readonly scopes: ReadonlyArray<string>
}

/** Somebody else changed the tokens first; `current` is the generation that is stored. */
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", {
  expected: Schema.Int,
  current: Schema.Int
}) {}

export class VaultError extends Schema.TaggedError<VaultError>()("VaultError", {
  authorization: Schema.String,
  problem: Schema.String,
  failureClass: Schema.Literals(["transient", "misconfigured"]),
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    return `Tokens of ${this.authorization}: ${this.problem}`
  }
  get class(): FailureClass {
    return this.failureClass
  }
}

/** Keeps tokens durable and encrypted. What `save` has returned survives a power cut. */
export class TokenStore extends Context.Service<
  TokenStore,
  {
    readonly load: (authorization: string) => Effect.Effect<Option.Option<StoredTokens>, VaultError>
    /** Compare-and-set: stores `tokens` as generation `expected + 1` if the stored generation is `expected` (0: none stored). */
    readonly save: (
      authorization: string,
      expected: number,
      tokens: Omit<StoredTokens, "generation">
    ) => Effect.Effect<StoredTokens, VaultError | Conflict>
    readonly remove: (authorization: string) => Effect.Effect<void, VaultError>
  }
>()("@tributary/vault/TokenStore") {}
