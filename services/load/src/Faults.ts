import { Clock, Duration, Effect } from "effect"
import type { SyntheticSettings } from "@tributary/testkit"
import type { Worker } from "./Workers.ts"

/** What goes wrong at the API when faults are on; shares of all requests for records. */
export const apiFaults: Partial<SyntheticSettings> = {
  errorRate: 0.05,
  dropRate: 0.02,
  cutRate: 0.01,
  throttleRate: 0.01,
  retryAfter: 1,
  retryAfterForm: "both",
  tokenLife: 5,
  trueTokenLife: 5,
  revokeEvery: 40
}

/** What was done, and when: milliseconds since 1970. */
export interface FaultDone {
  readonly at: number
  readonly what: string
}

/**
 * Kills each worker once in every such time, one after the other, until interrupted; the first a quarter of its turn after the start.
 * A worker is left alone while nothing has arrived since it was killed last (`progressAt`, milliseconds since 1970): on a machine
 * that has much to do, one that is killed before it has started does no work ever.
 */
export const killWorkers = Effect.fn("load.killWorkers")(function* (
  workers: ReadonlyArray<Worker>,
  every: Duration.Duration,
  progressAt: () => number,
  note: (fault: FaultDone) => Effect.Effect<void>
): Effect.fn.Return<never> {
  if (workers.length === 0) return yield* Effect.never
  const turn = Duration.toMillis(every) / workers.length
  const killedAt = new Map<string, number>()
  yield* Effect.sleep(turn / 4)
  for (;;) {
    for (const worker of workers) {
      const at = yield* Clock.currentTimeMillis
      const isDue = (killedAt.get(worker.name) ?? 0) <= progressAt()
      if (isDue && (yield* worker.kill9)) {
        killedAt.set(worker.name, at)
        yield* note({ at, what: `kill -9 ${worker.name}` })
      }
      yield* Effect.sleep(turn)
    }
  }
})
