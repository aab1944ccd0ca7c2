import { Catalog, sourcesGroup } from "@tributary/catalog"
import { connectorsTopic } from "@tributary/domain"
import { Log } from "@tributary/log"
import { Health, type HealthResult } from "@tributary/telemetry"
import { Clock, Duration, Effect, Ref, Schedule } from "effect"
import type { LoadedConnector } from "./ConnectorFiles.ts"
import { runSources } from "./Pipeline.ts"
import { keepRunning, loadingIn } from "./Reconcile.ts"
import { makeRunning } from "./Running.ts"
import { receiveAll } from "./Receive.ts"
import { publishStatus, type WorkerName } from "./StatusTopic.ts"

export interface WorkerOptions {
  /** This process among the workers. */
  readonly name: WorkerName
  /** Folder that modules of registered connectors are written to. */
  readonly data: string
}

const firstDelay = Duration.millis(250)
const longestDelay = Duration.seconds(2)

/** Whatever a worker loses, it comes back: its partitions are with others meanwhile. */
const again = Schedule.exponential(firstDelay).pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, longestDelay))),
  Schedule.jittered
)

const comingBack = <A, E extends { readonly message: string }, R>(part: Effect.Effect<A, E, R>) =>
  part.pipe(
    Effect.tapError((error) => Effect.logWarning(`${error.message} This worker starts its part anew.`)),
    Effect.retry(again)
  )

/** What all workers do: say that they are there, and answer for their health. */
const present = Effect.fnUntraced(function* (name: WorkerName) {
  const health = yield* Health
  const log = yield* Log
  let answeredAt = yield* Clock.currentTimeMillis
  yield* health.register(
    "log",
    log.positions(sourcesGroup).pipe(
      Effect.andThen(Clock.currentTimeMillis),
      Effect.map((now): HealthResult => {
        answeredAt = now
        return { status: "ok", detail: "answers" }
      }),
      Effect.catch((error) =>
        Effect.map(Clock.currentTimeMillis, (now): HealthResult => ({
          status: "failing",
          detail: `${error.message} It answered last ${Math.round((now - answeredAt) / 1_000)} s ago.`
        }))
      )
    )
  )
  return yield* publishStatus(name)
}, Effect.scoped)

/**
 * Runs the sources of registered connectors until interrupted. Workers share the connectors: they form one consumer group on
 * `_tributary.connectors`, and owning a partition means running the connectors in it.
 */
export const workOnSources = Effect.fn("cli.workOnSources")(function* ({ data, name }: WorkerOptions) {
  const catalog = yield* Catalog
  const log = yield* Log
  const health = yield* Health
  const loading = yield* loadingIn(data, true)
  const shares = new Map<number, ReadonlyMap<string, LoadedConnector>>()
  const showOwned = Effect.suspend(() =>
    Ref.set(
      health.owned,
      [...shares.values()].flatMap((own) => Array.from(own.keys()))
    )
  )
  const owner = JSON.stringify({ v: 1, worker: name.worker })
  const share = Effect.andThen(
    catalog.prepare,
    log.consume({ group: sourcesGroup, topics: [connectorsTopic] }, (claim) =>
      Effect.gen(function* () {
        // The position means nothing here: its metadata says who has the partition, and committing it shows whether that is so.
        const owned = claim.commit(0, owner)
        yield* owned
        yield* Effect.addFinalizer(() =>
          Effect.suspend(() => {
            shares.delete(claim.partition)
            return showOwned
          })
        )
        const running = yield* makeRunning((loaded) => runSources(loaded, owned))
        shares.set(claim.partition, running.current)
        return yield* keepRunning(claim.partition, running, loading, showOwned)
      }).pipe(Effect.scoped)
    )
  )
  // Any worker may be sent what another one publishes.
  return yield* Effect.raceFirst(Effect.raceFirst(comingBack(share), comingBack(receiveAll(data))), present(name))
})

/**
 * Runs a stage of all registered connectors until interrupted. Such workers share the partitions of each stream's topic, in the
 * consumer group of the stage and stream.
 */
export const workOnAll = Effect.fn("cli.workOnAll")(function* <R>(
  {
    data,
    name,
    withScripts
  }: WorkerOptions & {
    /** Whether `run` loads the modules that connectors name. */
    readonly withScripts: boolean
  },
  run: (loaded: LoadedConnector) => Effect.Effect<never, never, R>
) {
  const catalog = yield* Catalog
  const health = yield* Health
  const loading = yield* loadingIn(data, withScripts)
  const running = yield* makeRunning(run)
  const showOwned = Effect.suspend(() => Ref.set(health.owned, [...running.current.keys()]))
  return yield* Effect.raceFirst(
    Effect.andThen(comingBack(catalog.prepare), keepRunning(undefined, running, loading, showOwned)),
    present(name)
  )
}, Effect.scoped)
