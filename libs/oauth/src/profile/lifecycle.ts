import type { Lifecycle } from "./applyProfile.ts"

/**
 * Milliseconds after its first use in which a refresh token may be sent once more because the answer was lost, and nothing
 * of that answer was used. `Infinity`: at any time. Zero: never, or nothing is known, so that the repetition could be taken
 * for a theft.
 */
export const replayWindow = ({ grace, rotation }: Lifecycle): number => {
  if (rotation === "never" || grace === "unlimited" || grace === "until_next_use") return Infinity
  return grace === undefined || grace === "none" ? 0 : grace * 1000
}

/**
 * Milliseconds before its end from which on an access token may be refreshed; `Infinity`: from the beginning on. Zero: only
 * when it has expired.
 */
export const refreshWindow = ({ early_refresh, refresh_window }: Lifecycle): number => {
  if (refresh_window !== undefined) return refresh_window * 1000
  return early_refresh === "refused" ? 0 : Infinity
}

/**
 * When a refresh token dies (milliseconds since 1970), which is the earliest of what its answer said and what the profile
 * knows; `undefined`: never, or nobody knows. Keep-alive and warnings go by it.
 */
export const refreshTokenEnd = (
  { absolute_life, idle_life }: Lifecycle,
  token: { readonly consentedAt: number; readonly obtainedAt: number; readonly saidEnd: number | undefined }
): number | undefined => {
  const ends = [
    token.saidEnd,
    typeof idle_life === "number" ? token.obtainedAt + idle_life * 1000 : undefined,
    typeof absolute_life === "number" ? token.consentedAt + absolute_life * 1000 : undefined
  ].filter((end) => end !== undefined)
  return ends.length === 0 ? undefined : Math.min(...ends)
}
