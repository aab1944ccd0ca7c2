import { Redacted, Schema } from "effect"
import type { StoredTokens } from "./TokenStore.ts"

/** The sealed part of a record. */
const Contents = Schema.fromJsonString(
  Schema.Struct({
    accessToken: Schema.String,
    tokenType: Schema.String,
    expiresAt: Schema.NullOr(Schema.Finite),
    obtainedAt: Schema.Finite,
    refreshToken: Schema.NullOr(Schema.String),
    scopes: Schema.Array(Schema.String),
    settings: Schema.String,
    seed: Schema.NullOr(Schema.String),
    refreshLife: Schema.optionalKey(
      Schema.Struct({
        obtainedAt: Schema.Finite,
        consentedAt: Schema.Finite,
        saidEnd: Schema.NullOr(Schema.Finite),
        isFixed: Schema.Boolean
      })
    )
  })
)
const encode = Schema.encodeSync(Contents)
const decode = Schema.decodeUnknownSync(Contents)

/** Tokens as the text that is sealed. */
export const contentsOf = (tokens: StoredTokens): string =>
  encode({
    accessToken: Redacted.value(tokens.accessToken),
    tokenType: tokens.tokenType,
    expiresAt: tokens.expiresAt ?? null,
    obtainedAt: tokens.obtainedAt,
    refreshToken: tokens.refreshToken === undefined ? null : Redacted.value(tokens.refreshToken),
    scopes: tokens.scopes,
    settings: tokens.settings,
    seed: tokens.seed ?? null,
    ...(tokens.refreshLife === undefined
      ? {}
      : { refreshLife: { ...tokens.refreshLife, saidEnd: tokens.refreshLife.saidEnd ?? null } })
  })

/** What `contentsOf` wrote. Throws if it is something else, with an error that may quote it. */
export const tokensOf = (text: string, generation: number): StoredTokens => {
  const { refreshLife, ...contents } = decode(text)
  return {
    ...contents,
    generation,
    accessToken: Redacted.make(contents.accessToken),
    expiresAt: contents.expiresAt ?? undefined,
    refreshToken: contents.refreshToken === null ? undefined : Redacted.make(contents.refreshToken),
    seed: contents.seed ?? undefined,
    ...(refreshLife === undefined ? {} : { refreshLife: { ...refreshLife, saidEnd: refreshLife.saidEnd ?? undefined } })
  }
}
