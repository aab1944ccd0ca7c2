import diagnostics from "node:diagnostics_channel"
import process from "node:process"
import { type Clock, Duration, Effect } from "effect"

/** Milliseconds between two looks at who waits. */
const look = 10
/** So often in a row nothing must be on its way before time jumps. */
const quietLooks = 4

/** Requests that are on their way. */
const open = new Set<unknown>()
const requestOf = (message: unknown): unknown =>
  typeof message === "object" && message !== null && "request" in message ? message.request : undefined
diagnostics.subscribe("undici:request:create", (message) => void open.add(requestOf(message)))
diagnostics.subscribe("undici:request:trailers", (message) => void open.delete(requestOf(message)))
diagnostics.subscribe("undici:request:error", (message) => void open.delete(requestOf(message)))

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

/**
 * A clock that runs as the real one does while requests are on their way, and else jumps to the next moment that somebody waits
 * for: time-outs are real, and a wait of an hour for a rate limit takes no time. `close` ends it.
 */
export const hurriedClock = () => {
  let ahead = 0
  let quiet = 0
  const sleepers = new Set<Sleeper>()
  const started = Math.floor(performance.timeOrigin)
  const now = () => started + performance.now() + ahead
  // What the case before this one left behind is not waited for.
  open.clear()
  const looking = setInterval(() => {
    quiet = open.size > 0 ? 0 : quiet + 1
    if (sleepers.size === 0) return
    const next = [...sleepers].reduce((least, { until }) => Math.min(least, until), Infinity)
    if (quiet >= quietLooks && next > now()) ahead += next - now()
    for (const sleeper of sleepers) {
      if (sleeper.until > now()) continue
      sleepers.delete(sleeper)
      quiet = 0
      sleeper.wake()
    }
  }, look)
  const nanos = () => BigInt(Math.floor(now())) * 1_000_000n
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => Math.floor(now()),
    currentTimeMillis: Effect.sync(() => Math.floor(now())),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: () => process.hrtime.bigint(),
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.callback<void>((resume) => {
        const millis = Duration.toMillis(duration)
        if (!Number.isFinite(millis)) return
        const sleeper: Sleeper = { until: now() + millis, wake: () => resume(Effect.void) }
        sleepers.add(sleeper)
        return Effect.sync(() => void sleepers.delete(sleeper))
      })
  }
  return { clock, close: () => clearInterval(looking) }
}
