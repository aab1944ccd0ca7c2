import { Context, Effect, Layer, Option, type Redacted, Schema } from "effect"
import { isOpenTo, isSameEntry, type JournalEntry } from "./JournalEntry.ts"

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
  /** What is known of the refresh token's life; `undefined`: nothing. */
  readonly refreshLife?: {
    /** When it was issued, or last confirmed. */
    readonly obtainedAt: number
    /** When a person consented, as far as that is known. */
    readonly consentedAt: number
    /** The end that the server named. */
    readonly saidEnd: number | undefined
    /** Refreshing does not move that end. */
    readonly isFixed: boolean
  }
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

/**
 * Another process began a request with the same refresh token since, and its outcome is not known yet. What was to be written
 * is older than that, and may be worth nothing.
 */
export class Superseded extends Schema.TaggedError<Superseded>()("Superseded", {
  authorization: Schema.String,
  /** The request that the journal holds; empty: none. */
  current: Schema.String
}) {
  override get message(): string {
    return `Tokens of ${this.authorization}: the journal holds another request (${this.current === "" ? "none" : this.current}) than the one that was to be changed. Look again what it says.`
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

/** The way out where what is stored of an authorization cannot be opened any more. */
export const forgetAdvice = (authorization: string): string => `tributary revoke ${authorization} --forget`

/** What is stored of an authorization, read at one moment. */
export interface StoredRecord {
  readonly tokens: StoredTokens | undefined
  /** The journal's entry for the refresh token of these tokens, or for the configured one. */
  readonly entry: JournalEntry | undefined
}

/** Keeps tokens durable and encrypted, and the journal beside them. What `save` and `note` have returned survives a power cut. */
export class TokenStore extends Context.Service<
  TokenStore,
  {
    readonly load: (authorization: string) => Effect.Effect<Option.Option<StoredTokens>, VaultError>
    readonly read: (authorization: string) => Effect.Effect<StoredRecord, VaultError>
    /**
     * Compare-and-set: stores `tokens` as the next generation if the stored generation is `expected` (0: none stored),
     * otherwise changes nothing. Generations are never used twice, not even after `remove`, so a late writer that
     * missed a removal cannot bring old tokens back. The journal's entry is removed with it. `attempt` is the request that brought
     * the tokens: if the journal holds another one, which was not given up, nothing is changed.
     */
    readonly save: (
      authorization: string,
      expected: number,
      tokens: Omit<StoredTokens, "generation">,
      attempt?: string
    ) => Effect.Effect<StoredTokens, VaultError | Conflict | Superseded>
    /**
     * Compare-and-set of the journal: writes, replaces or removes (`undefined`) its entry, if the stored generation is `expected`
     * and the entry is that of the request `over` (`undefined`: there is none). What says so already is no error, so it can be
     * repeated when it failed and may have been made.
     */
    readonly note: (
      authorization: string,
      expected: number,
      over: string | undefined,
      entry: JournalEntry | undefined
    ) => Effect.Effect<void, VaultError | Conflict | Superseded>
    /**
     * Forgets the tokens of an authorization; works without the key. Nothing stored is no error. With `expected` only those of that
     * generation. Gives whether none are stored now: `false` says that another generation is, which was left alone.
     */
    readonly remove: (authorization: string, expected?: number) => Effect.Effect<boolean, VaultError>
  }
>()("@tributary/vault/TokenStore") {
  /** Keeps tokens in memory only, for tests and dry runs. */
  static readonly layerMemory = Layer.sync(TokenStore, () => {
    const records = new Map<string, StoredRecord & { readonly generation: number }>()
    const empty = { generation: 0, tokens: undefined, entry: undefined }
    const look = (authorization: string) => records.get(authorization) ?? empty
    return TokenStore.of({
      load: (authorization) => Effect.sync(() => Option.fromUndefinedOr(look(authorization).tokens)),
      read: (authorization) =>
        Effect.sync(() => {
          const { entry, tokens } = look(authorization)
          return { entry, tokens }
        }),
      save: (authorization, expected, tokens, attempt) =>
        Effect.suspend((): Effect.Effect<StoredTokens, Conflict | Superseded> => {
          const record = look(authorization)
          const current = record.tokens?.generation ?? 0
          if (current !== expected) return new Conflict({ authorization, expected, current })
          if (!isOpenTo(record.entry, attempt)) {
            return new Superseded({ authorization, current: record.entry?.attempt ?? "" })
          }
          const generation = record.generation + 1
          const stored: StoredTokens = { ...tokens, generation }
          records.set(authorization, { generation, tokens: stored, entry: undefined })
          return Effect.succeed(stored)
        }),
      note: (authorization, expected, over, entry) =>
        Effect.suspend((): Effect.Effect<void, Conflict | Superseded> => {
          const record = look(authorization)
          const current = record.tokens?.generation ?? 0
          if (current !== expected) return new Conflict({ authorization, expected, current })
          if (isSameEntry(record.entry, entry)) return Effect.void
          if (record.entry?.attempt !== over) {
            return new Superseded({ authorization, current: record.entry?.attempt ?? "" })
          }
          records.set(authorization, { ...record, entry })
          return Effect.void
        }),
      remove: (authorization, expected) =>
        Effect.sync(() => {
          const { generation, tokens } = look(authorization)
          if (expected !== undefined && tokens !== undefined && tokens.generation !== expected) return false
          if (records.has(authorization))
            records.set(authorization, { generation, tokens: undefined, entry: undefined })
          return true
        })
    })
  })
}
