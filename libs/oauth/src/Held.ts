import type { StoredTokens } from "@tributary/vault"
import { Effect, Random } from "effect"
import { schedule } from "./lifetime.ts"
import { type Outlook, outlookOf } from "./Outlook.ts"
import type { Lifecycle } from "./profile/applyProfile.ts"
import { refreshWindow } from "./profile/lifecycle.ts"
import type { AccessToken } from "./TokenManager.ts"

/** A token that may be handed out. Times are milliseconds since 1970. */
export interface Held {
  readonly token: AccessToken
  readonly obtainedAt: number
  readonly refreshAt: number
  readonly usableUntil: number
  readonly outlook: Outlook
  /** Whether its replacement is planned; it is from its first use on, so an idle connector costs no requests. */
  isPlanned: boolean
}

/** Plans the use of tokens that are handed out under this generation, as the provider wants it. */
export const heldOf = Effect.fnUntraced(function* (
  tokens: Omit<StoredTokens, "generation">,
  generation: number,
  lifecycle: Lifecycle
): Effect.fn.Return<Held> {
  const { accessToken, expiresAt, obtainedAt, tokenType } = tokens
  const token: AccessToken = { value: accessToken, generation, tokenType, expiresAt }
  const plan = schedule(obtainedAt, expiresAt, yield* Random.next, refreshWindow(lifecycle))
  return { token, obtainedAt, ...plan, outlook: yield* outlookOf(lifecycle, tokens), isPlanned: false }
})
