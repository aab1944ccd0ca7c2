import { Log } from "@tributary/log"
import { Status, type StageStatus, type StreamStatus } from "@tributary/telemetry"
import { Clock, Effect } from "effect"
import type { LoadedConnector } from "./ConnectorFiles.ts"
import { bytes, count, duration, table } from "./Format.ts"
import { lagOf } from "./Pipeline.ts"
import { Screen } from "./Screen.ts"

/** Sums over all streams of this process. Rates are per second since the last look; freshness is the worst of all sinks, in ms. */
export interface Totals {
  readonly streams: number
  readonly read: number
  readonly bytes: number
  readonly loaded: number
  readonly rejected: number
  readonly freshness: number | null
  readonly problems: ReadonlyArray<{ readonly stream: string; readonly stage: string; readonly message: string }>
}

const stagesOf = (status: StreamStatus): ReadonlyArray<readonly [string, StageStatus]> =>
  Object.entries(status.stages).filter((entry): entry is [string, StageStatus] => entry[1] !== undefined)

/** A sink that has loaded nothing for so long says nothing of how fresh the tables are now, milliseconds. */
const recent = 10_000

/** `now` is in milliseconds since 1970. */
export const totalsOf = (snapshot: ReadonlyArray<StreamStatus>, now: number): Totals => {
  let read = 0
  let size = 0
  let loaded = 0
  let rejected = 0
  let freshness: number | null = null
  const problems: Array<Totals["problems"][number]> = []
  for (const status of snapshot) {
    read += status.stages.source?.records ?? 0
    size += status.stages.source?.bytes ?? 0
    loaded += status.stages.sink?.records ?? 0
    const { freshness: fresh = null, lastAt = null } = status.stages.sink ?? {}
    if (fresh !== null && lastAt !== null && now - lastAt < recent) freshness = Math.max(freshness ?? 0, fresh)
    for (const [stage, { problem, rejected: refused }] of stagesOf(status)) {
      rejected += refused
      if (problem !== null)
        problems.push({ stream: `${status.connector}/${status.stream}`, stage, message: problem.message })
    }
  }
  return { streams: snapshot.length, read, bytes: size, loaded, rejected, freshness, problems }
}

const interval = "250 millis"

/**
 * Shows how far the work is until interrupted: on a terminal one line that is replaced, with `json` one object per second on
 * standard output, otherwise nothing.
 */
export const showProgress = Effect.fn("cli.progress")(function* (
  connectors: () => ReadonlyArray<LoadedConnector>,
  json: boolean
) {
  const screen = yield* Screen
  if (!screen.isTerminal && !json) return yield* Effect.never
  const status = yield* Status
  yield* Log
  const startedAt = yield* Clock.currentTimeMillis
  const rates: Array<{ readonly at: number; readonly read: number }> = [{ at: startedAt, read: 0 }]
  for (;;) {
    yield* Effect.sleep(json ? "1 second" : interval)
    const now = yield* Clock.currentTimeMillis
    const totals = totalsOf(yield* status.snapshot, now)
    // The rate of the last five seconds: steadier than one interval, and it falls to zero when nothing comes.
    rates.push({ at: now, read: totals.read })
    while (rates.length > 2 && now - rates[0]!.at > 5_000) rates.shift()
    const rate = ((totals.read - rates[0]!.read) * 1_000) / Math.max(1, now - rates[0]!.at)
    const lags = yield* Effect.forEach(connectors(), (loaded) =>
      Effect.forEach(Object.keys(loaded.connector.streams), (stream) => lagOf(loaded, stream))
    ).pipe(Effect.orElseSucceed(() => []))
    const lag = lags.flat().reduce((sum, { sink, transform }) => sum + sink + transform, 0)
    if (json) {
      yield* screen.print(JSON.stringify({ at: now, ...totals, recordsPerSecond: Math.round(rate), lag }))
      continue
    }
    const parts = [
      `${totals.streams} stream${totals.streams === 1 ? "" : "s"}`,
      `read ${count(totals.read)} (${bytes(totals.bytes)}, ${count(rate)}/s)`,
      `loaded ${count(totals.loaded)}`,
      `lag ${count(lag)}`,
      ...(totals.freshness === null ? [] : [`freshness ${duration(totals.freshness)}`]),
      ...(totals.rejected === 0 ? [] : [`rejected ${count(totals.rejected)}`]),
      ...(totals.problems.length === 0 ? [] : [`${totals.problems.length} with problems`]),
      duration(now - startedAt)
    ]
    yield* screen.progress(parts.join("  ·  "))
  }
})

/** What a run did, stream by stream, for a person. */
export const summaryTable = (snapshot: ReadonlyArray<StreamStatus>): string =>
  table([
    ["stream", "read", "size", "transformed", "loaded", "inserts", "rejected", "state"],
    ...snapshot.map((status) => {
      const { sink, source, transform } = status.stages
      const problem = stagesOf(status).find(([, stage]) => stage.problem !== null)
      const rejected = stagesOf(status).reduce((sum, [, stage]) => sum + stage.rejected, 0)
      return [
        `${status.connector}/${status.stream}`,
        count(source?.records ?? 0),
        bytes(source?.bytes ?? 0),
        transform === undefined ? "–" : count(transform.records),
        sink === undefined ? "–" : count(sink.records),
        sink === undefined ? "–" : count(sink.batches),
        count(rejected),
        problem === undefined ? (source?.state ?? "") : `${problem[0]} ${problem[1].state}`
      ]
    })
  ])
