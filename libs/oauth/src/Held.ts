import type { StoredTokens } from "@tributary/vault"
import { Effect, Random } from "effect"
import { schedule } from "./lifetime.ts"
import type { AccessToken } from "./TokenManager.ts"

/** A token that may be handed out. Times are milliseconds since 1970. */
export interface Held {
  readonly token: AccessToken
  readonly obtainedAt: number
  readonly refreshAt: number
  readonly usableUntil: number
  /** Whether its replacement is planned; it is from its first use on, so an idle connector costs no requests. */
  isPlanned: boolean
}

/** Plans the use of tokens that are handed out under this generation. */
export const heldOf = (tokens: Omit<StoredTokens, "generation">, generation: number): Effect.Effect<Held> =>
  Effect.map(Random.next, (random) => {
    const { accessToken, expiresAt, obtainedAt, tokenType } = tokens
    const token: AccessToken = { value: accessToken, generation, tokenType, expiresAt }
    return { token, obtainedAt, ...schedule(obtainedAt, expiresAt, random), isPlanned: false }
  })
