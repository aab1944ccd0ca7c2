import type { StoredTokens } from "@tributary/vault"
import { Effect, Random } from "effect"
import { earliestRefresh } from "./lifetime.ts"
import type { Lifecycle } from "./profile/applyProfile.ts"
import { refreshTokenEnd, type RefreshTokenLife, refreshWindow } from "./profile/lifecycle.ts"

/** What is known of a refresh token's life from what is stored. */
export const lifeOf = ({ obtainedAt, refreshLife, refreshToken }: Omit<StoredTokens, "generation">) =>
  refreshToken === undefined
    ? undefined
    : (refreshLife ??
      ({ obtainedAt, consentedAt: obtainedAt, saidEnd: undefined, isFixed: false } satisfies RefreshTokenLife))

/** What is to be expected of an authorization's refresh token. Times are milliseconds since 1970. */
export interface Outlook {
  /** When the refresh token dies if it is not used until then. */
  readonly unusedEnd: number | undefined
  /** When a person has to consent anew at the latest, however often the token is used. */
  readonly reconnectBy: number | undefined
  /** From here on the token is used, whether or not anybody wants a token, so that it does not die. */
  readonly keepAliveAt: number | undefined
}

/** Part of the life of an unused refresh token after which it is used, and the jitter. */
const keepAliveFrom = 0.5
const keepAliveJitter = 0.1

/** What is to be expected of tokens as they are stored. */
export const outlookOf = (
  lifecycle: Lifecycle,
  tokens: Omit<StoredTokens, "generation"> | undefined
): Effect.Effect<Outlook> =>
  Effect.map(Random.next, (random) => {
    const life = tokens === undefined ? undefined : lifeOf(tokens)
    if (life === undefined) return { unusedEnd: undefined, reconnectBy: undefined, keepAliveAt: undefined }
    const { atLast, unused } = refreshTokenEnd(lifecycle, life)
    const expiresAt = tokens?.expiresAt
    const earliest = expiresAt === undefined ? 0 : earliestRefresh(expiresAt, refreshWindow(lifecycle))
    return {
      unusedEnd: unused,
      reconnectBy: atLast,
      keepAliveAt:
        unused === undefined
          ? undefined
          : Math.max(
              earliest,
              life.obtainedAt + (unused - life.obtainedAt) * (keepAliveFrom + keepAliveJitter * random)
            )
    }
  })
