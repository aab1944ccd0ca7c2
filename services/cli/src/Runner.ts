import { formatProblem, statusTopic, streamKey } from "@tributary/domain"
import { Log } from "@tributary/log"
import { type GaveUp, Status, StreamStatus } from "@tributary/telemetry"
import { Clock, Duration, Effect, FiberMap, FileSystem, Path, PubSub, Schema, Stream } from "effect"
import { type LoadedConnector, loadConnectors, type LoadedFiles } from "./ConnectorFiles.ts"
import { bytes, count, duration } from "./Format.ts"
import { lagOf, runConnector, runConnectorOnce } from "./Pipeline.ts"
import { showProgress, summaryTable, totalsOf } from "./Progress.ts"
import { Screen } from "./Screen.ts"

export interface RunOptions {
  /** Folder with connector files, or one file. */
  readonly connectors: string
  readonly json: boolean
}

/** Not everything that was asked for was done; what and why has been printed. */
export class RunFailed extends Schema.TaggedError<RunFailed>()("RunFailed", {
  rejected: Schema.Natural,
  failed: Schema.Natural,
  files: Schema.Natural
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    const parts = [
      ...(this.files === 0 ? [] : [`${this.files} problem(s) in connector files`]),
      ...(this.failed === 0 ? [] : [`${this.failed} stage(s) gave up`]),
      ...(this.rejected === 0 ? [] : [`${this.rejected} record(s) rejected; see the dead.* topics (tributary tap)`])
    ]
    return `The run did not succeed: ${parts.join(", ")}.`
  }
}

const showProblems = Effect.fnUntraced(function* (loaded: LoadedFiles) {
  const screen = yield* Screen
  for (const problem of loaded.problems) yield* screen.note(formatProblem(problem))
})

const encodeStatus = Schema.encodeSync(Schema.fromJsonString(StreamStatus))
const utf8 = new TextEncoder()

/** Writes the state of every stream to `_tributary.status`, at most once a second and only when something changed. */
const publishStatus = Effect.gen(function* () {
  const log = yield* Log
  const status = yield* Status
  const changes = yield* status.changes
  yield* log.ensureTopic({ name: statusTopic, partitions: 1, compacted: true })
  const written = new Map<string, string>()
  const publish = Effect.gen(function* () {
    const records = (yield* status.snapshot).flatMap((entry) => {
      const key = streamKey(entry.connector, entry.stream)
      const value = encodeStatus(entry)
      if (written.get(key) === value) return []
      written.set(key, value)
      return [{ topic: statusTopic, key: utf8.encode(key), value: utf8.encode(value) }]
    })
    if (records.length > 0) yield* log.publish(records)
  })
  return yield* Effect.forever(
    PubSub.take(changes).pipe(
      Effect.andThen(publish),
      Effect.andThen(Effect.sleep("1 second")),
      Effect.catch((error) => Effect.logWarning("The status could not be written.", error))
    )
  ).pipe(Effect.ensuring(Effect.ignore(publish)))
}).pipe(Effect.scoped)

/** Reads everything there is, loads it, and returns what was done. Fails when anything was rejected or failed. */
export const runOnce = Effect.fn("cli.runOnce")(function* (options: RunOptions) {
  const screen = yield* Screen
  const status = yield* Status
  const startedAt = yield* Clock.currentTimeMillis
  const loaded = yield* loadConnectors(options.connectors)
  yield* showProblems(loaded)
  const publisher = yield* Effect.forkChild(publishStatus)
  const progress = yield* Effect.forkChild(showProgress(() => loaded.connectors, false))
  const problems: ReadonlyArray<GaveUp> = (yield* Effect.forEach(loaded.connectors, runConnectorOnce, {
    concurrency: "unbounded"
  })).flat()
  yield* Effect.sync(() => progress.interruptUnsafe())
  yield* Effect.sync(() => publisher.interruptUnsafe())
  yield* screen.progress("")

  const snapshot = yield* status.snapshot
  const totals = totalsOf(snapshot)
  const elapsed = (yield* Clock.currentTimeMillis) - startedAt
  if (options.json) {
    yield* screen.print(
      JSON.stringify({ ...totals, elapsedMs: elapsed, fileProblems: loaded.problems.length, status: snapshot })
    )
  } else {
    yield* screen.print(summaryTable(snapshot))
    yield* screen.print(
      `${count(totals.read)} records (${bytes(totals.bytes)}) in ${duration(elapsed)}, ` +
        `${count((totals.read * 1_000) / Math.max(1, elapsed))} records/s`
    )
  }
  if (problems.length + totals.rejected + loaded.problems.length > 0) {
    return yield* new RunFailed({
      rejected: totals.rejected,
      failed: problems.length,
      files: loaded.problems.length
    })
  }
})

const settle = "200 millis"

/** One element for each time that something in the folder (or beside the file) changed, once it has been quiet for a moment. */
const changesOf = Effect.fnUntraced(function* (target: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const info = yield* fs.stat(target)
  const folder = info.type === "Directory" ? target : path.dirname(target)
  return fs.watch(folder, { recursive: true }).pipe(Stream.debounce(settle))
})

export interface ServeOptions extends RunOptions {
  /** Take up changes of the files while running. */
  readonly watch: boolean
  /** Run once, when every stream has read what there was at the start and all of it is loaded. */
  readonly onCaughtUp?: Effect.Effect<void>
}

/** Runs all connectors until interrupted, and with `watch` as the files are at any time. */
export const serve = Effect.fn("cli.serve")(function* (options: ServeOptions) {
  const screen = yield* Screen
  const status = yield* Status
  const fibers = yield* FiberMap.make<string>()
  const current = new Map<string, LoadedConnector>()

  const reconcile = Effect.fnUntraced(function* (loaded: LoadedFiles) {
    yield* showProblems(loaded)
    const broken = new Set(loaded.problems.map(({ file }) => file))
    const wanted = new Map(loaded.connectors.map((connector) => [connector.connector.connector as string, connector]))
    for (const [id, running] of current) {
      if (wanted.has(id)) continue
      if (broken.has(running.file)) {
        yield* Effect.logWarning("The file has problems; the connector goes on as it was before the change.").pipe(
          Effect.annotateLogs({ connector: id, file: running.file })
        )
        continue
      }
      current.delete(id)
      yield* FiberMap.remove(fibers, id)
      yield* status.forget(id)
      yield* Effect.logInfo("Connector stopped.").pipe(Effect.annotateLogs({ connector: id }))
    }
    for (const [id, next] of wanted) {
      const running = current.get(id)
      if (running?.revision === next.revision) continue
      // remove waits for the old one to end; then the new one takes over where it committed last.
      yield* FiberMap.remove(fibers, id)
      yield* status.forget(id)
      current.set(id, next)
      yield* FiberMap.run(fibers, id, runConnector(next))
      yield* Effect.logInfo(
        running === undefined ? "Connector started." : "Connector restarted with its new file."
      ).pipe(Effect.annotateLogs({ connector: id, file: next.file }))
    }
  })

  const first = yield* loadConnectors(options.connectors)
  yield* reconcile(first)
  if (!options.watch && first.problems.length > 0) {
    yield* Effect.logWarning("Connectors whose files have problems do not run.")
  }

  const watching = options.watch
    ? Stream.runForEach(yield* changesOf(options.connectors), () =>
        loadConnectors(options.connectors).pipe(
          Effect.flatMap(reconcile),
          Effect.catchTag("NoConnectors", (error) => Effect.logError(error.message))
        )
      )
    : Effect.never

  const caughtUp = Effect.gen(function* () {
    if (options.onCaughtUp === undefined) return
    for (;;) {
      yield* Effect.sleep("100 millis")
      const snapshot = yield* status.snapshot
      const rested = snapshot.every(
        ({ stages }) => stages.source?.state === "waiting" || stages.source?.state === "paused"
      )
      if (!rested || snapshot.length === 0) continue
      const lags = yield* Effect.forEach([...current.values()], (loaded) =>
        Effect.forEach(Object.keys(loaded.connector.streams), (stream) => lagOf(loaded, stream))
      ).pipe(Effect.orElseSucceed(() => undefined))
      if (lags?.flat().every(({ sink, transform }) => sink + transform === 0) === true) break
    }
    yield* screen.progress("")
    yield* options.onCaughtUp
  })

  return yield* Effect.all(
    [watching, publishStatus, showProgress(() => [...current.values()], options.json), caughtUp, Effect.never],
    { concurrency: "unbounded", discard: true }
  )
}, Effect.scoped)

/** How long a stop may take before the process ends all the same. What was under way is then replayed at the next start. */
export const drainDeadline = Duration.seconds(20)
