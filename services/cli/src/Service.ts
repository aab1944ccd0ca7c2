import { defaultControlAddress, healthServer, parseListenAddress, Revoker, runControl } from "@tributary/control"
import { Health, type HealthResult } from "@tributary/telemetry"
import { Config, Duration, Effect, Layer, Ref, Schedule } from "effect"
import { hostname } from "node:os"
// oxlint-disable-next-line no-restricted-imports -- its number is the only name that a process has by itself
import process from "node:process"
import { controlEngine, sinkEngine, sourceEngine, transformEngine } from "./Engine.ts"
import { runSinks, runTransforms } from "./Pipeline.ts"
import { revokeOne } from "./Revoke.ts"
import type { ServiceName } from "./ServiceName.ts"
import { publishStatus } from "./StatusTopic.ts"
import { workOnAll, workOnSources } from "./Worker.ts"

/** Name of this process among the workers. */
const workerName = (service: ServiceName) =>
  Config.String("TRIBUTARY_WORKER").pipe(Config.withDefault(`${service}-${hostname()}-${process.pid}`))

/** Servers that cannot be worked with yet are looked at again so often. */
const longestDelay = Duration.seconds(10)
const again = Schedule.exponential("500 millis").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, longestDelay))),
  Schedule.jittered
)

interface Failure {
  readonly _tag: string
  readonly message: string
}

/** What a server says may change: it comes up, a right is granted, a password is set. What the command was told does not. */
const mayPass = ({ _tag }: Failure): boolean =>
  ["LogError", "WarehouseError", "VaultError", "RedisError", "LeaseError"].includes(_tag)

/**
 * Runs a service on its engine, and again when a server is not there or refuses it: what is wrong is in the log and in `/readyz`,
 * and whoever watches over the process need not start it again and again.
 */
const keptUp = <A, E extends Failure, R, Provided, E2 extends Failure, R2>(
  service: Effect.Effect<A, E, R>,
  engine: Layer.Layer<Provided, E2, R2>
) =>
  Effect.gen(function* () {
    const health = yield* Health
    const problem = yield* Ref.make<string | undefined>("is starting")
    yield* health.register(
      "start",
      Effect.map(Ref.get(problem), (detail): HealthResult =>
        detail === undefined ? { status: "ok", detail: "started" } : { status: "failing", detail }
      )
    )
    return yield* Effect.andThen(Ref.set(problem, undefined), service).pipe(
      Effect.provide(engine),
      Effect.tapError((error) =>
        mayPass(error)
          ? Effect.andThen(
              Ref.set(problem, error.message),
              Effect.logError(`${error.message} The service goes on when that is mended.`)
            )
          : Effect.void
      ),
      Effect.retry({ schedule: again, while: mayPass })
    )
  }).pipe(Effect.scoped)

/** Runs one service until interrupted, with its health at `http` (`host:port`). */
export const runService = Effect.fn("cli.runService")(function* (
  service: ServiceName,
  options: { readonly data: string; readonly http: string | undefined }
) {
  const worker = yield* workerName(service)
  const { data, http } = options
  const at = http === undefined ? undefined : yield* Effect.fromResult(parseListenAddress(http))
  yield* Effect.logInfo("Service starts.").pipe(Effect.annotateLogs({ service, worker }))
  const name = { worker, service }
  const running = Effect.gen(function* () {
    switch (service) {
      case "source":
        return yield* keptUp(workOnSources({ data, name }), sourceEngine(data))
      case "transform":
        return yield* keptUp(workOnAll({ data, name, withScripts: true }, runTransforms), transformEngine)
      case "sink":
        return yield* keptUp(workOnAll({ data, name, withScripts: false }, runSinks), sinkEngine)
      case "control":
        return yield* keptUp(
          Effect.raceFirst(runControl(at ?? defaultControlAddress), publishStatus(name)),
          controlEngine
        ).pipe(Effect.provideService(Revoker, yield* revokeOne(data)))
    }
  })
  const served = at === undefined || service === "control" ? Layer.empty : healthServer({ ...at, worker })
  return yield* Effect.provide(running, Layer.provideMerge(served, Health.layer))
})
