import { Clock, Effect } from "effect"
import { isRefused } from "./Exchange.ts"
import { longestThrottled, longestWait, retrySchedule, throttling } from "./RetrySchedule.ts"
import { type SourceReason, StillThrottled } from "./SourceError.ts"
import { longWait, timeOf, type Waits } from "./Waits.ts"

/**
 * The failure of a request, counted in a row, that is logged although it is tried again: the first where nobody is there, or where the
 * tries for a token are over.
 */
const toldAt = (reason: SourceReason): number =>
  isRefused(reason) || (reason._tag === "NoToken" && reason.failureClass === "transient") ? 1 : 3

/** How often in a row, and since when (milliseconds since 1970), a request is asked to wait. */
interface Row {
  readonly times: number
  readonly since: number
}

const minutes = (millis: number): string => {
  const count = Math.round(millis / 60_000)
  return count === 1 ? "a minute" : `${count} minutes`
}

/** What is said of a wait that the other side asks for. */
const waiting = (reason: SourceReason, wait: number, { since, times }: Row, now: number): string => {
  const before =
    now - since < longWait ? "" : ` It has asked to wait ${times} times in a row, for ${minutes(now - since)} now.`
  const asked = Math.min(wait, longestWait)
  const named = ` after ${Math.ceil(asked / 1000)} s${wait > longestWait ? ", the longest wait" : ""}, at ${timeOf(now + asked)}`
  return `${reason.message}${before} It is tried again${wait < longWait ? "" : named}; until then the stream stands still.`
}

export interface TryingOptions {
  readonly retries: number
  readonly waits: Waits
  /** What the request waits for when it is asked to: the budget that a reason's address belongs to. */
  readonly budgetOf: (reason: SourceReason) => string
}

/**
 * Sends a request again while its failures may pass; `once` is given how often in a row it has failed. One that is asked to wait again
 * and again fails with `StillThrottled` in the end.
 */
export const trying = <A>(
  once: (failures: number) => Effect.Effect<A, SourceReason>,
  { budgetOf, retries, waits }: TryingOptions
): Effect.Effect<A, SourceReason> =>
  Effect.suspend(() => {
    let failures = 0
    let row: Row | undefined
    const waiter = waits.waiter()
    const throttled = Effect.fnUntraced(function* (reason: SourceReason, wait: number) {
      const now = yield* Clock.currentTimeMillis
      row = { times: (row?.times ?? 0) + 1, since: row?.since ?? now }
      const lasted = now - row.since
      const asked = Math.min(wait, longestWait)
      // Many short waits are a long one; what will not be waited for is an error.
      if ((wait < longWait && lasted < longWait) || lasted + asked > longestThrottled) return
      yield* waiter.waits(budgetOf(reason), waiting(reason, wait, row, now), now + asked)
    })
    return Effect.suspend(() => once(failures)).pipe(
      // All tries together can take minutes: the person who waits is told why.
      Effect.tapError((reason) => {
        failures++
        const asking = throttling(reason)
        if (asking !== undefined) return throttled(reason, asking.wait)
        row = undefined
        const isTold = failures === toldAt(reason) && retries >= 3
        return isTold
          ? Effect.andThen(waiter.done, Effect.logWarning(`${reason.message} It is tried again.`))
          : waiter.done
      }),
      Effect.retry(retrySchedule(retries)),
      Effect.catch((reason) =>
        Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<never, SourceReason> => {
          const asking = throttling(reason)
          if (asking === undefined || row === undefined) return Effect.fail(reason)
          const { since, times } = row
          return new StillThrottled({ problem: reason.message, times, millis: now - since, retryAfter: asking.wait })
        })
      ),
      Effect.ensuring(waiter.done)
    )
  })
