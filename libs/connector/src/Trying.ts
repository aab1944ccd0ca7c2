import { Effect } from "effect"
import { isRefused } from "./Exchange.ts"
import { longestWait, retrySchedule, throttling } from "./RetrySchedule.ts"
import type { SourceReason } from "./SourceError.ts"

/**
 * The failure of a request, counted in a row, that is logged although it is tried again: the first where nobody is there, or where the
 * tries for a token are over.
 */
const toldAt = (reason: SourceReason): number =>
  isRefused(reason) || (reason._tag === "NoToken" && reason.failureClass === "transient") ? 1 : 3

/** A wait that a person would take for a hang, in milliseconds; where the API names none, so many tries take about as long. */
const longWait = 30_000
const manyThrottled = 8

/** What is said of a failure that is tried again, if anything is: it is the `failures`th in a row. */
const told = (reason: SourceReason, failures: number, retries: number, isTold: boolean): string | undefined => {
  const asking = throttling(reason)
  if (asking === undefined) {
    return failures === toldAt(reason) && retries >= 3 ? `${reason.message} It is tried again.` : undefined
  }
  if (isTold || (asking.wait < longWait && failures < manyThrottled)) return undefined
  const seconds = Math.ceil(Math.min(asking.wait, longestWait) / 1000)
  const wait =
    asking.wait < longWait ? "" : ` after ${seconds} s${asking.wait > longestWait ? ", the longest wait" : ""}`
  return `${reason.message} It is tried again${wait}; until then the stream stands still.`
}

/** Sends a request again while its failures may pass; `once` is given how often in a row it has failed. */
export const trying = <A>(
  once: (failures: number) => Effect.Effect<A, SourceReason>,
  retries: number
): Effect.Effect<A, SourceReason> =>
  Effect.suspend(() => {
    let failures = 0
    let isTold = false
    return Effect.suspend(() => once(failures)).pipe(
      // All tries together can take minutes: the person who waits is told once why.
      Effect.tapError((reason) => {
        const text = told(reason, ++failures, retries, isTold)
        if (text === undefined) return Effect.void
        isTold ||= throttling(reason) !== undefined
        return Effect.logWarning(text)
      }),
      Effect.retry(retrySchedule(retries))
    )
  })
