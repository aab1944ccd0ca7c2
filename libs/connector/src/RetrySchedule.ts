import { Cause, Duration, Effect, Random, Schedule } from "effect"
import type { SourceReason } from "./SourceError.ts"

const firstDelay = 250
const longestDelay = 30_000
/** The longest wait before a request is tried again, whatever the API asks. */
export const longestWait = 15 * 60_000
/**
 * So long an API may ask one request to wait, again and again: a budget of an hour is waited for, and who waits for a longer one is to
 * know it as an error.
 */
export const longestThrottled = 65 * 60_000
/** So often in a row an API is believed that it only wants a short wait; after that waits grow. */
const mostBelieved = 8

const isPassing = (reason: SourceReason): boolean => {
  switch (reason._tag) {
    case "Unreachable":
    case "TimedOut":
    case "ServerError":
    case "TruncatedJson":
    case "HostDown":
      return true
    case "NoToken":
      return reason.failureClass === "transient"
    case "Decided":
      return reason.action === "retry"
    default:
      return false
  }
}

/** The wait that the other side asked for, `undefined` if the reason is another one. */
export const throttling = (reason: SourceReason): { readonly wait: number } | undefined =>
  reason._tag === "Decided" && reason.action === "throttle"
    ? { wait: reason.wait ?? 0 }
    : reason._tag === "Throttled" || (reason._tag === "NoToken" && reason.failureClass === "throttled")
      ? { wait: reason.retryAfter ?? 0 }
      : undefined

/**
 * When a request that failed is sent again. Failures that may pass: `retries` times, after 250 ms, 500 ms, ... up to 30 s, each
 * a fifth more or less. Throttled: after the time the API asks for (at most 15 minutes; short ones grow after eight in a row) or, if it
 * names none, as for other failures; this does not count as one of the retries, but ends when the next try would be more than
 * `longestThrottled` after the first. Every other failure is final.
 */
export const retrySchedule = (retries: number): Schedule.Schedule<number, SourceReason> =>
  Schedule.fromStep(
    Effect.sync(() => {
      let failures = 0
      let throttled = 0
      let since = 0
      return (now: number, reason: SourceReason) => {
        const asking = throttling(reason)
        if (asking === undefined) {
          throttled = 0
          failures++
        } else if (throttled++ === 0) since = now
        if (asking === undefined && (!isPassing(reason) || failures > retries)) return Cause.done(failures)
        const wait = asking?.wait ?? (reason._tag === "Decided" ? (reason.wait ?? 0) : 0)
        const asked = Math.min(wait, longestWait)
        const count = asking === undefined ? failures : asked > 0 ? throttled - mostBelieved : throttled
        const grown = count < 1 ? 0 : Math.min(firstDelay * 2 ** (count - 1), longestDelay)
        if (asking !== undefined && now - since + Math.max(asked, grown) > longestThrottled) return Cause.done(failures)
        return Effect.map(Random.next, (random): [number, Duration.Duration] => {
          const own = grown * (0.8 + 0.4 * random)
          // What the API asks for is the least; a little more keeps many waiting clients from coming at once.
          const least = asked + Math.min(asked * 0.05, 1000) * random
          return [failures, Duration.millis(asking === undefined && asked > 0 ? least : Math.max(least, own))]
        })
      }
    })
  )
