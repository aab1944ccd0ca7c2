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

/** What is known of a refresh token's life. Times are milliseconds since 1970. */
export interface RefreshTokenLife {
  /** When it was issued: a refresh answered with it, or confirmed it. */
  readonly obtainedAt: number
  /** When a person consented, as far as that is known: when its first token was used. */
  readonly consentedAt: number
  /** The end that an answer named. */
  readonly saidEnd: number | undefined
  /** Refreshing does not move that end. */
  readonly isFixed: boolean
}

/** When a refresh token dies. */
export interface RefreshTokenEnd {
  /** If it is not used until then; each use begins the time anew. `undefined`: never, or nobody knows. */
  readonly unused: number | undefined
  /** However often it is used: a person has to consent anew before. `undefined`: never, or nobody knows. */
  readonly atLast: number | undefined
}

const earliest = (...times: ReadonlyArray<number | undefined>): number | undefined => {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

/** When a refresh token dies, by what its answers said and what the profile knows. Keep-alive and warnings go by it. */
export const refreshTokenEnd = ({ absolute_life, idle_life }: Lifecycle, life: RefreshTokenLife): RefreshTokenEnd => {
  const { consentedAt, isFixed, obtainedAt, saidEnd } = life
  // A provider that counts from the consent, and knows no other end, names that one.
  const isAbsolute = isFixed || (typeof absolute_life === "number" && typeof idle_life !== "number")
  return {
    unused: earliest(
      isAbsolute ? undefined : saidEnd,
      typeof idle_life === "number" ? obtainedAt + idle_life * 1000 : undefined
    ),
    atLast: earliest(
      isAbsolute ? saidEnd : undefined,
      typeof absolute_life === "number" ? consentedAt + absolute_life * 1000 : undefined
    )
  }
}

/** Whether an end cannot be moved is told by comparing two answers that are at least so far apart, in milliseconds. */
const comparable = 60_000

/** Learns from an answer of a refresh; `before`: what was known of the token that was sent. */
export const nextLife = (
  before: RefreshTokenLife | undefined,
  answer: { readonly obtainedAt: number; readonly lifetime: number | undefined; readonly isReplaced: boolean }
): RefreshTokenLife => {
  const { isReplaced, lifetime, obtainedAt } = answer
  const consentedAt = before?.consentedAt ?? obtainedAt
  if (lifetime === undefined) {
    const saidEnd = isReplaced ? undefined : before?.saidEnd
    return { obtainedAt, consentedAt, saidEnd, isFixed: before?.isFixed ?? false }
  }
  const saidEnd = obtainedAt + lifetime * 1000
  const passed = before === undefined ? 0 : obtainedAt - before.obtainedAt
  const isFixed =
    before?.saidEnd === undefined || passed < comparable
      ? (before?.isFixed ?? false)
      : saidEnd - before.saidEnd < passed / 2
  return { obtainedAt, consentedAt, saidEnd, isFixed }
}
