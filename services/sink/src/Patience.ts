import type { FailureClass } from "@tributary/domain"
import type { WarehouseError } from "@tributary/clickhouse"
import type { Reporter } from "@tributary/telemetry"
import { Effect, Random } from "effect"

const longestDelay = 30_000

/** Whether what failed may succeed when it is tried again as it is. A table that was replaced needs another position first. */
export const isPassing = ({ failureClass, reason }: WarehouseError): boolean =>
  (failureClass === "transient" || failureClass === "throttled") && reason._tag !== "TableReplaced"

/** Milliseconds to wait after the failure of try number `tries` (from 0): they double, with jitter, up to 45 seconds. */
const delayAfter = (failureClass: FailureClass, tries: number, random: number): number =>
  Math.min((failureClass === "throttled" ? 2_000 : 100) * 2 ** tries, longestDelay) * (0.5 + random)

/** Says in status and log that a try has failed for a passing reason, and waits before the next. */
export const waitAfter = Effect.fnUntraced(function* (reporter: Reporter, error: WarehouseError, tries: number) {
  yield* reporter.state("retrying", { problem: { class: error.failureClass, message: error.message } })
  yield* Effect.logWarning(error.message).pipe(Effect.annotateLogs({ attempt: tries + 1 }))
  yield* Effect.sleep(delayAfter(error.failureClass, tries, yield* Random.next))
})

/**
 * What is asked of ClickHouse, asked again while it fails for a passing reason, at most `retries` times. So a server that is down
 * for a while does not end a member's work on its other partitions.
 */
export const patiently = Effect.fnUntraced(function* <A>(
  reporter: Reporter,
  retries: number,
  ask: Effect.Effect<A, WarehouseError>
): Effect.fn.Return<A, WarehouseError> {
  for (let tries = 0; ; tries++) {
    const result = yield* Effect.result(ask)
    if (result._tag === "Success") {
      if (tries > 0) yield* reporter.state("running")
      return result.success
    }
    if (!isPassing(result.failure) || tries >= retries) return yield* result.failure
    yield* waitAfter(reporter, result.failure, tries)
  }
})
