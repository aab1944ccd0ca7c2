import { Health, Status } from "@tributary/telemetry"
import { Effect, Option, Ref } from "effect"
import { type LoadedConnector, loadConnectors, type LoadedFiles, stampOf } from "./ConnectorFiles.ts"
import { logProblems } from "./FileProblems.ts"
import { loadsWhatIsThere, runConnector } from "./Pipeline.ts"
import { showProgress } from "./Progress.ts"
import type { RunOptions } from "./RunOnce.ts"
import { makeRunning } from "./Running.ts"
import { Screen } from "./Screen.ts"
import { publishStatus } from "./StatusTopic.ts"

export interface ServeOptions extends RunOptions {
  /** Take up changes of the files while running. */
  readonly watch: boolean
  /** Run once, when every stream has read what there was at the start and all of it is loaded. */
  readonly onCaughtUp?: Effect.Effect<void>
}

/** How often the files are looked at, and how long they must have been the same before they are read. */
const look = "400 millis"
const settle = "100 millis"
/** A file that is written all the time is read nevertheless. */
const mostSettling = 20

const nothing: LoadedFiles = { connectors: [], problems: [], warnings: [] }

/** Runs all connectors until interrupted, and with `watch` as the files are at any time. */
export const serve = Effect.fn("cli.serve")(function* (options: ServeOptions) {
  const screen = yield* Screen
  const status = yield* Status
  const health = yield* Effect.serviceOption(Health)
  const { current, start, stop } = yield* makeRunning(runConnector)
  const scripts = () => [...current.values()].flatMap((loaded) => loaded.scripts)

  let shown = ""
  const reconcile = Effect.fnUntraced(function* (loaded: LoadedFiles) {
    const found = JSON.stringify([loaded.problems, loaded.warnings])
    const isNews = found !== shown
    shown = found
    if (isNews) yield* logProblems(loaded)
    const broken = new Set(loaded.problems.map(({ file }) => file))
    const wanted = new Map<string, LoadedConnector>(
      loaded.connectors.map((connector) => [connector.connector.connector, connector])
    )
    for (const [id, running] of current) {
      if (wanted.has(id)) continue
      if (broken.has(running.file)) {
        if (!isNews) continue
        yield* Effect.logWarning("The file has problems; the connector goes on as it was before the change.").pipe(
          Effect.annotateLogs({ connector: id, file: running.file })
        )
        continue
      }
      yield* stop(id)
    }
    for (const next of wanted.values()) yield* start(next)
    if (Option.isSome(health)) yield* Ref.set(health.value.owned, [...current.keys()])
  })

  // Taken before the files are read, here and below: what changes meanwhile differs from it and is read again, which does no
  // harm to what is the same.
  let seen = yield* stampOf(options.connectors, [])
  yield* reconcile(yield* loadConnectors(options.connectors))

  const reload = loadConnectors(options.connectors).pipe(
    Effect.catchTag("NoConnectors", (error) =>
      // An empty folder says that there is nothing to run; one that is not there may be a disk that is not mounted.
      error.reason === "empty"
        ? Effect.as(Effect.logWarning(error.message), nothing)
        : Effect.as(Effect.logError(`${error.message} The connectors go on as they were.`), undefined)
    ),
    Effect.flatMap((loaded) => (loaded === undefined ? Effect.void : reconcile(loaded)))
  )

  const watching = Effect.gen(function* () {
    for (;;) {
      yield* Effect.sleep(look)
      let now = yield* stampOf(options.connectors, scripts())
      if (now === seen) continue
      for (let looks = 0; looks < mostSettling; looks++) {
        yield* Effect.sleep(settle)
        const next = yield* stampOf(options.connectors, scripts())
        if (next === now) break
        now = next
      }
      seen = now
      yield* reload
    }
  })

  const caughtUp = Effect.gen(function* () {
    if (options.onCaughtUp === undefined) return
    for (;;) {
      yield* Effect.sleep("100 millis")
      const snapshot = yield* status.snapshot
      const rested = snapshot.every(
        ({ stages }) => stages.source?.state === "waiting" || stages.source?.state === "paused"
      )
      if (!rested || snapshot.length === 0) continue
      // Records keep coming: what counts is what was there at this moment.
      const loading = Effect.forEach([...current.values()], (loaded) =>
        Effect.forEach(Object.keys(loaded.connector.streams), (stream) => loadsWhatIsThere(loaded, stream))
      )
      if (yield* Effect.isSuccess(loading)) break
    }
    yield* screen.progress("")
    yield* options.onCaughtUp
  })

  return yield* Effect.all(
    [
      options.watch ? watching : Effect.never,
      publishStatus(undefined),
      showProgress(() => [...current.values()], options.json),
      caughtUp,
      Effect.never
    ],
    { concurrency: "unbounded", discard: true }
  )
}, Effect.scoped)
