import { healthServer, parseListenAddress } from "@tributary/control"
import { Health } from "@tributary/telemetry"
import { Effect, Layer } from "effect"
import { hostname } from "node:os"
// oxlint-disable-next-line no-restricted-imports -- its number is the only name that a process has by itself
import process from "node:process"

/** Answers for the health of this process and gives its metrics at `http` (`host:port`), for as long as the work takes. */
export const servingHealth = <A, E, R>(http: string, work: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const at = yield* Effect.fromResult(parseListenAddress(http))
    const served = healthServer({ ...at, worker: `${hostname()}-${process.pid}` })
    return yield* Effect.provide(work, Layer.provideMerge(served, Health.layer))
  })
