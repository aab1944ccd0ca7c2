import { statusTopic } from "@tributary/domain"
import { readCompacted } from "@tributary/catalog"
import type { SyntheticOffers } from "@tributary/testkit"
import { readStatusEntries } from "@tributary/telemetry"
import { Clock, Duration, Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import type { ApiStats, LoadApi } from "./LoadApi.ts"
import type { LoadEngine } from "./LoadEngine.ts"
import type { LoadOptions } from "./LoadOptions.ts"
import { type LoadStream, secretVariable } from "./LoadStreams.ts"
import type { UseRecorder } from "./ProcessUse.ts"
import type { Watch } from "./Watch.ts"
import type { Worker } from "./Workers.ts"

/** Where a load test tells how far it is. */
export interface LoadScreen {
  readonly isTerminal: boolean
  readonly note: (line: string) => Effect.Effect<void>
  /** Replaces the line of progress, on a terminal. */
  readonly progress: (line: string) => Effect.Effect<void>
}

/** What a load test under way is made of. */
export interface LoadSession {
  readonly run: string
  readonly options: LoadOptions
  readonly engine: LoadEngine
  readonly screen: LoadScreen
  /** Folder of the embedded engine. */
  readonly data: string
  readonly streams: ReadonlyArray<LoadStream>
  readonly api: LoadApi
  readonly workers: ReadonlyArray<Worker>
  readonly watch: Watch
  readonly recorder: UseRecorder
  /** When records began to be offered, milliseconds since 1970. */
  readonly begun: number
}

/** The workers did not begin to read. */
export class NotStarted extends Schema.TaggedError<NotStarted>()("NotStarted", { problem: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return this.problem
  }
}

const messageOf = (line: string): string | undefined => {
  // Warnings and errors of the platform are JSON, with their level; all else is a crash.
  const found = /"level":"(?:WARN|ERROR|FATAL)","message":("(?:[^"\\]|\\.)*")/u.exec(line)?.[1]
  return found === undefined ? undefined : String(JSON.parse(found))
}

/** The last thing that a worker complained of. */
export const lastComplaint = ({ log, name }: Worker): string | undefined => {
  const lines = readFileSync(log, "utf8").slice(-32_768).split("\n")
  const said = lines.findLast((line) => messageOf(line) !== undefined)
  if (said !== undefined) return `${name}: ${messageOf(said)}`
  const other = lines.findLast((line) => /^\s*(?:error:|\w*Error:)/u.test(line))
  return other === undefined ? undefined : `${name}: ${other.trim()}`
}

/** Problems that workers report of the test's streams, and what processes of the test complained of last. */
export const problemsOf = Effect.fn("load.problemsOf")(function* (
  session: Pick<LoadSession, "data" | "engine" | "streams" | "watch" | "workers">
) {
  const { data, engine, streams, watch, workers } = session
  const own = new Set(streams.map(({ connector }) => connector))
  const reported = yield* readCompacted(statusTopic).pipe(
    Effect.map((stored) =>
      readStatusEntries(stored).streams.flatMap(({ connector, stages, stream }) =>
        own.has(connector)
          ? Object.entries(stages).flatMap(([stage, status]) =>
              status?.problem == null ? [] : [`${stage} of ${connector}/${stream}: ${status.problem.message}`]
            )
          : []
      )
    ),
    Effect.provide(engine.beside(data), { local: true }),
    Effect.timeout("10 seconds"),
    // It says why something failed; without it the failure is told all the same.
    Effect.orElseSucceed((): ReadonlyArray<string> => [])
  )
  const complaints = workers.flatMap((worker) => lastComplaint(worker) ?? [])
  const looks = reported.length === 0 && watch.problem !== "" ? [`looking at the tables: ${watch.problem}`] : []
  return [...new Set([...reported, ...complaints, ...looks])].slice(0, 4)
})

const startTimeout = Duration.seconds(90)
/** A worker that has ended so often by itself will not start. */
const mostStarts = 5

/** Waits until every stream has been polled. */
export const awaitPolls = Effect.fn("load.awaitPolls")(function* (
  session: Pick<LoadSession, "api" | "data" | "engine" | "options" | "streams" | "watch" | "workers"> & {
    readonly url: string
  }
) {
  const { api, options, streams, url } = session
  const begun = yield* Clock.currentTimeMillis
  for (;;) {
    const stats = yield* api.stats
    const waiting = streams.filter(({ number }) => (stats.pagesOf[number] ?? 0) === 0)
    if (waiting.length === 0) return
    const dying = session.workers.find((worker) => worker.starts() > mostStarts)
    if (dying !== undefined) {
      const problem = `The worker ${dying.name} ends whenever it is started.\n${(yield* problemsOf(session)).join("\n")}`
      return yield* new NotStarted({ problem })
    }
    if ((yield* Clock.currentTimeMillis) - begun > Duration.toMillis(startTimeout)) {
      const problems = yield* problemsOf(session)
      const hint =
        session.engine.kind === "embedded"
          ? ""
          : options.workers === "running"
            ? ` Do workers run, can they reach ${url} (--url), and is ${secretVariable} the same for them and this command?`
            : ` If other workers run on these servers, they share the test's connectors: set ${secretVariable}, the same for them and this command, and --url if they cannot reach ${url}.`
      return yield* new NotStarted({
        problem: [
          `${waiting.length} of ${streams.length} stream(s) were not read within ${Duration.format(startTimeout)}.${hint}`,
          ...problems
        ].join("\n")
      })
    }
    yield* Effect.sleep("100 millis")
  }
})

/** What ended the wait for records. */
export type Arrival = "all" | "late" | "stalled"

/** With servers that restart and workers that are killed, nothing may come for a while; this is too long. */
export const longestStall = Duration.seconds(90)

/** Waits until `count` records of each stream can be queried, as long as something comes. */
export const awaitArrival = Effect.fn("load.awaitArrival")(function* (
  { watch }: Pick<LoadSession, "watch">,
  count: number,
  until: number
) {
  const begun = yield* Clock.currentTimeMillis
  for (;;) {
    if (watch.hasAll(() => count)) return "all" as const
    const now = yield* Clock.currentTimeMillis
    if (now >= until) return "late" as const
    if (now - Math.max(begun, watch.changedAt) > Duration.toMillis(longestStall)) return "stalled" as const
    yield* Effect.sleep("100 millis")
  }
})

/** Records of one stream that had been offered by a moment, by a rate. */
export const offeredOf = ({ segments }: SyntheticOffers, at: number): number => {
  const segment = segments.findLast((one) => one.at <= at) ?? segments[0]
  return segment === undefined ? 0 : segment.from + Math.max(0, Math.floor(((at - segment.at) * segment.rate) / 1_000))
}

/** Counters of the API as the result has them. */
export const apiOf = (stats: ApiStats) => ({
  requests: stats.requests,
  tokenRequests: stats.tokenRequests,
  throttled: stats.throttled,
  errors: stats.errors,
  dropped: stats.dropped + stats.cut,
  unauthorized: stats.unauthorized
})
