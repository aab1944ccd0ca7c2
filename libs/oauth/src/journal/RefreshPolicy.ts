import type { Lifecycle } from "../profile/applyProfile.ts"

/**
 * What a provider does with refresh tokens, as far as it decides whether one whose request had an unknown outcome may be sent
 * again. Taken from the provider's profile.
 */
export interface RefreshPolicy {
  /** Whether a refresh replaces the refresh token. Unknown counts as yes. */
  readonly rotates: boolean
  /** Milliseconds for which a replaced refresh token is taken again; `undefined`: not known. */
  readonly grace: number | undefined
  /** What becomes of the successors when a replaced one is used after that; `undefined`: not known. */
  readonly reuse: "accepted" | "refused" | "revokes_family" | undefined
}

/** For a provider of which nothing is known: the token is sent again. If the first request did not arrive, that mends it. */
export const unknownProvider: RefreshPolicy = { rotates: true, grace: undefined, reuse: undefined }

/** The part of a profile's lifecycle that counts here. Its lengths of time are in seconds. */
export const policyOf = (lifecycle: Lifecycle | undefined): RefreshPolicy => {
  const { grace, reuse, rotation } = lifecycle ?? {}
  return {
    rotates: rotation !== "never",
    // Until the next use: what a lost answer brought is used by nobody.
    grace: grace === undefined ? undefined : grace === "none" ? 0 : typeof grace === "number" ? grace * 1000 : Infinity,
    reuse
  }
}

/** Whether a repetition can make the server revoke what it issued, and so is bound to the grace. */
const isDangerous = ({ grace, reuse, rotates }: RefreshPolicy): boolean => {
  if (!rotates || reuse === "accepted" || reuse === "refused") return false
  return reuse === "revokes_family" || grace !== undefined
}

/**
 * Whether what is sent now arrives before the grace is over. Where `firstAt` is yet to come by more than the clocks of two machines may
 * differ, a clock was put back, and nobody knows how much of the grace is left.
 */
const isInGrace = (grace: number, firstAt: number, now: number, reach: number): boolean =>
  firstAt - now <= reach && now + reach < firstAt + grace

/**
 * Whether a refresh token may be sent again whose first request of unknown outcome was about to be sent at `firstAt`, and that
 * request may still reach the server `reach` milliseconds from now. The server replaced the token at `firstAt` or later, so its
 * grace ends no earlier than `firstAt + grace`.
 */
export const mayRepeat = (policy: RefreshPolicy, firstAt: number, now: number, reach: number): boolean =>
  !isDangerous(policy) || policy.grace === Infinity || isInGrace(policy.grace ?? 0, firstAt, now, reach)

/**
 * Whether a repetition is certain to bring good tokens: the refresh token is not replaced, or taken again. Then tokens that may
 * have been superseded are not worth keeping.
 */
export const isMending = (
  { grace = 0, reuse, rotates }: RefreshPolicy,
  firstAt: number,
  now: number,
  reach: number
): boolean => !rotates || reuse === "accepted" || grace === Infinity || isInGrace(grace, firstAt, now, reach)

/**
 * Longest time for one token request. Where only a short grace mends a lost answer, requests are given up early enough that
 * another process can take over and ask again within it: the lease (twice this), the wait for its last holder, and the request.
 */
export const requestTime = (policy: RefreshPolicy, longest: number): number => {
  const { grace = 0 } = policy
  if (!isDangerous(policy) || grace === 0) return longest
  return Math.min(longest, Math.max(500, Math.floor(grace / 5)))
}
