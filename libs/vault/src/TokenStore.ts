import { Context, Effect, Layer, Option, type Redacted, Schema } from "effect"

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
  /** Fingerprint of the settings that the access token was asked with; with other settings it is not used. */
  readonly settings: string
  /** Fingerprint of the configured refresh token that this chain of tokens began with. */
  readonly seed: string | undefined
}

/** Somebody else changed the tokens first; `current` is the generation that is stored (0: none). */
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", {
  authorization: Schema.String,
  expected: Schema.Int,
  current: Schema.Int
}) {
  override get message(): string {
    return `Tokens of ${this.authorization}: generation ${this.expected} was to be replaced, but generation ${this.current} is stored. Use what is stored.`
  }
}

export class VaultError extends Schema.TaggedError<VaultError>()("VaultError", {
  /** `undefined` when the whole vault is meant. */
  authorization: Schema.UndefinedOr(Schema.String),
  problem: Schema.String,
  failureClass: Schema.Literals(["transient", "misconfigured"]),
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    return this.authorization === undefined
      ? `Token vault: ${this.problem}`
      : `Tokens of ${this.authorization}: ${this.problem}`
  }
}

/** Keeps tokens durable and encrypted. What `save` has returned survives a power cut. */
export class TokenStore extends Context.Service<
  TokenStore,
  {
    readonly load: (authorization: string) => Effect.Effect<Option.Option<StoredTokens>, VaultError>
    /**
     * Compare-and-set: stores `tokens` as the next generation if the stored generation is `expected` (0: none stored),
     * otherwise changes nothing. Generations are never used twice, not even after `remove`, so a late writer that
     * missed a removal cannot bring old tokens back.
     */
    readonly save: (
      authorization: string,
      expected: number,
      tokens: Omit<StoredTokens, "generation">
    ) => Effect.Effect<StoredTokens, VaultError | Conflict>
    /** Forgets the tokens of an authorization; works without the key. Nothing stored is no error. */
    readonly remove: (authorization: string) => Effect.Effect<void, VaultError>
  }
>()("@tributary/vault/TokenStore") {
  /** Keeps tokens in memory only, for tests and dry runs. */
  static readonly layerMemory = Layer.sync(TokenStore, () => {
    const records = new Map<string, { readonly generation: number; readonly tokens: StoredTokens | undefined }>()
    return TokenStore.of({
      load: (authorization) => Effect.sync(() => Option.fromUndefinedOr(records.get(authorization)?.tokens)),
      save: (authorization, expected, tokens) =>
        Effect.suspend(() => {
          const record = records.get(authorization)
          const current = record?.tokens?.generation ?? 0
          if (current !== expected) return new Conflict({ authorization, expected, current })
          const generation = (record?.generation ?? 0) + 1
          const stored: StoredTokens = { ...tokens, generation }
          records.set(authorization, { generation, tokens: stored })
          return Effect.succeed(stored)
        }),
      remove: (authorization) =>
        Effect.sync(() => {
          const record = records.get(authorization)
          if (record?.tokens !== undefined) {
            records.set(authorization, { generation: record.generation, tokens: undefined })
          }
        })
    })
  })
}
