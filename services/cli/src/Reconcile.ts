import { Catalog, type Registered, type Registrations } from "@tributary/catalog"
import type { Classified } from "@tributary/telemetry"
import { Duration, Effect, Option, Path, Queue } from "effect"
import { loadRegistered } from "./Registered.ts"
import type { Running } from "./Running.ts"

/** Connectors that are stopped and started at the same time: one that takes long to end holds up few others. */
const atOnce = 16

/** What is not run for a reason that may pass, as a disk that is full, is tried again so often. */
const tryAgainAfter = Duration.seconds(10)

export interface Loading {
  /** Folder that modules of registered connectors are written to. */
  readonly directory: string
  readonly withScripts: boolean
  /** What was said last of each connector that cannot be run: it is said once. */
  readonly said: Map<string, string>
}

/** How registrations are loaded by a process with its data in `data`. */
export const loadingIn = (data: string, withScripts: boolean): Effect.Effect<Loading, never, Path.Path> =>
  Effect.map(Path.Path, (path) => ({ directory: path.join(data, "registered"), withScripts, said: new Map() }))

/**
 * Makes what runs what is registered. What cannot be read or run is said, and an older revision that runs goes on. Returns whether
 * it is all as it should be, or stays as it is until it is registered anew; `false` when it is worth another try.
 */
const reconcile = Effect.fnUntraced(function* <R>(
  running: Running<R>,
  registered: ReadonlyMap<string, Registered>,
  { directory, said, withScripts }: Loading
) {
  const isSettled = <A, E extends Classified, R>(id: string, change: Effect.Effect<A, E, R>) =>
    change.pipe(
      Effect.as({ message: "", failureClass: undefined }),
      Effect.catch(({ failureClass, message }: Classified) => Effect.succeed({ message, failureClass })),
      // One registration that meets a mistake of ours is no reason to stop the others.
      Effect.catchDefect((defect) =>
        Effect.succeed({
          message: `Connector ${id}: this should not have happened; please report it. ${String(defect)}`,
          failureClass: "transient" as const
        })
      ),
      Effect.flatMap(({ failureClass, message }) => {
        const before = said.get(id)
        if (message === "") said.delete(id)
        else said.set(id, message)
        return Effect.as(
          message === "" || message === before
            ? Effect.void
            : Effect.logError(
                running.current.has(id) ? `${message}\nThe connector goes on as it was before.` : message
              ).pipe(Effect.annotateLogs({ connector: id })),
          failureClass !== "transient"
        )
      })
    )
  const gone = [...running.current.keys()].filter((id) => !registered.has(id))
  const stopped = yield* Effect.forEach(gone, (id) => isSettled(id, running.stop(id)), { concurrency: atOnce })
  const started = yield* Effect.forEach(
    registered,
    ([id, entry]) =>
      isSettled(
        id,
        Effect.fromResult(entry).pipe(
          Effect.flatMap((registration) => loadRegistered(registration, directory, { withScripts })),
          Effect.flatMap(running.start)
        )
      ),
    { concurrency: atOnce }
  )
  return [...stopped, ...started].every((settled) => settled)
})

/** Runs what is registered in a partition (`undefined`: anywhere) for as long as it runs; `show` is called after each change. */
export const keepRunning = Effect.fnUntraced(function* <R>(
  partition: number | undefined,
  running: Running<R>,
  loading: Loading,
  show: Effect.Effect<void>
) {
  const catalog = yield* Catalog
  // Each is all that is registered: only the last counts.
  const views = yield* Queue.sliding<Registrations>(1)
  const following = catalog.follow(partition, (registered) => Queue.offer(views, registered))
  const reconciling = Effect.gen(function* () {
    let wanted = yield* Queue.take(views)
    for (;;) {
      const isSettled = yield* reconcile(running, wanted, loading)
      yield* show
      const next = Queue.take(views)
      wanted = isSettled
        ? yield* next
        : Option.getOrElse(yield* Effect.timeoutOption(next, tryAgainAfter), () => wanted)
    }
  })
  return yield* Effect.raceFirst(following, reconciling)
})
