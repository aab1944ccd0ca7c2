import type { PollTimes } from "@tributary/domain"
import { Cron, Duration } from "effect"
import type { Checkpoint } from "./Checkpoint.ts"

const longestJitter = 30_000

/**
 * When the next walk of a stream is due, in milliseconds since 1970, never before `now`: at once for a stream that was never
 * read or is in the middle of a walk, else by its poll from the start of its last walk. Times that have passed meanwhile are
 * caught up by one walk. `random` is in [0, 1) and chooses the delay within `jitter` (default: a tenth of the interval, at
 * most 30 seconds; none for cron).
 */
export const nextRun = (
  poll: PollTimes,
  jitter: Duration.Duration | undefined,
  checkpoint: Checkpoint | undefined,
  now: number,
  random: number
): number => {
  const last = checkpoint?.startedAt
  if (last === undefined || checkpoint?.walk !== undefined) return now
  const largest = jitter === undefined ? undefined : Duration.toMillis(jitter)
  if (poll._tag === "Cron") {
    return Math.max(now, Cron.next(poll.cron, last).getTime() + (largest ?? 0) * random)
  }
  const interval = Duration.toMillis(poll.interval)
  return Math.max(now, last + interval + (largest ?? Math.min(interval / 10, longestJitter)) * random)
}
