import { type Clock, Duration, Effect } from "effect"

/** A clock that starts at a given time and runs `factor` times as fast as the real one. Sleeps are as much shorter. */
export const fastClock = (real: Clock.Clock, startsAt: number, factor: number) => {
  const begin = real.monotonicTimeNanosUnsafe()
  let ahead = 0
  let wrong = 0
  const nanos = (): bigint => (real.monotonicTimeNanosUnsafe() - begin) * BigInt(factor) + BigInt(ahead) * 1_000_000n
  const right = (): number => startsAt + Number(nanos() / 1_000_000n)
  const millis = (): number => right() + wrong
  const unixNanos = (): bigint => BigInt(startsAt + wrong) * 1_000_000n + nanos()
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: unixNanos,
    currentTimeNanos: Effect.sync(unixNanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) => real.sleep(Duration.millis(Duration.toMillis(duration) / factor))
  }
  return {
    clock,
    /** The time that is right, milliseconds since 1970. */
    right,
    /** Sets the clock wrong by so many milliseconds, until it is set again. What was waited for takes as long as before. */
    setWrong: (by: number): void => {
      wrong = by
    },
    /** Sets the clock ahead. */
    advance: (by: number): void => {
      ahead += by
    }
  }
}
