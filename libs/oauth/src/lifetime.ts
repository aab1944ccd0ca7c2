const second = 1000

/** Most time before its expiry in which a token is no longer handed out. */
const longestReserve = 60 * second
const shortestReserve = 500
/** A token is replaced after this time at the latest, so that refresh tokens that die unused are kept alive. */
const longestUse = 7 * 24 * 3600 * second

/** When a token is used, replaced and no longer handed out. Milliseconds since 1970. */
export interface Schedule {
  /** From here on it is replaced in the background while it is still handed out. */
  readonly refreshAt: number
  /** From here on it is not handed out any more. */
  readonly usableUntil: number
}

/**
 * Where a provider refuses a refresh that comes early, it is asked so much later than its clock should allow, by ours: a life is
 * counted there from when the token was issued, here from before it was asked for.
 */
export const earlyMargin = 2 * second

/** When a token may be refreshed at the earliest; `window`: milliseconds before its end from which on the provider allows it. */
export const earliestRefresh = (expiresAt: number, window: number): number =>
  window === Infinity ? 0 : expiresAt - window + earlyMargin

/**
 * Plans the use of a token that was asked for at `obtainedAt` and ends at `expiresAt`. It is replaced after 60 to 80 % of
 * its life, at the latest after a week. `random` between 0 and 1 says where: many authorizations that began together, or that waited
 * for a server together, are spread evenly after a few lives (`npm run bench:tokens`). It is not handed out in the last tenth of its
 * life, which is taken as at least 500 ms and at most a minute. Where the provider refuses to replace it earlier than `window` milliseconds before its end, it is replaced in the first third of that time and handed
 * out for half of it; where it refuses to replace it at all before its end, it is handed out until then. A token without a known
 * end is used until it is rejected.
 */
export const schedule = (
  obtainedAt: number,
  expiresAt: number | undefined,
  random: number,
  window = Infinity
): Schedule => {
  if (expiresAt === undefined) return { refreshAt: Infinity, usableUntil: Infinity }
  const life = Math.max(0, expiresAt - obtainedAt)
  const reserve = Math.max(shortestReserve, Math.min(life * 0.1, longestReserve))
  const usable = Math.max(0, life - reserve)
  const refreshAt = obtainedAt + Math.min(life * (0.6 + 0.2 * random), usable * 0.9, longestUse)
  const usableUntil = obtainedAt + usable
  const earliest = earliestRefresh(expiresAt, window)
  if (earliest <= refreshAt) return { refreshAt, usableUntil }
  const left = expiresAt - earliest
  return left > 0
    ? { refreshAt: earliest + (left / 3) * random, usableUntil: Math.max(usableUntil, earliest + left / 2) }
    : { refreshAt: earliest, usableUntil: expiresAt }
}
