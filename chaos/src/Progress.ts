import { Warehouse } from "@tributary/clickhouse"
import { Log } from "@tributary/log"
import { Clock, Duration, Effect } from "effect"
import type { ChaosStream } from "./Streams.ts"

/** What one stage has done in all, and how long it did nothing at the longest, milliseconds. */
export interface StageProgress {
  total: number
  changedAt: number
  longestGap: number
  /** When the longest gap ended, milliseconds since 1970. */
  gapEndedAt: number
}

export type Progress = Readonly<Record<"source" | "transform" | "sink", StageProgress>>

const look = Duration.seconds(1)
/** A server that does not answer for so long counts as no progress. */
const patience = Duration.seconds(3)

const endsOf = Effect.fnUntraced(function* (topics: ReadonlyArray<string>) {
  const log = yield* Log
  let sum = 0
  for (const topic of topics) for (const { end } of yield* log.offsets(topic)) sum += end
  return sum
})

/** Rows of all tables of the run, by table. */
export const rowsOf = Effect.map(
  Effect.flatMap(Warehouse, (warehouse) =>
    warehouse.query(
      "SELECT concat(database, '.', name) AS name, total_rows AS n FROM system.tables WHERE database = 'chaos' AND engine LIKE '%MergeTree'"
    )
  ),
  (rows) => new Map(rows.map((row) => [String(row["name"]), Number(row["n"])]))
)

/** Looks at the topics and tables again and again; `progress` is what it has seen so far. */
export const watchProgress = Effect.fnUntraced(function* (streams: ReadonlyArray<ChaosStream>) {
  const start = yield* Clock.currentTimeMillis
  const fresh = (): StageProgress => ({ total: 0, changedAt: start, longestGap: 0, gapEndedAt: start })
  const progress = { source: fresh(), transform: fresh(), sink: fresh() }
  const take = (stage: StageProgress, total: number, now: number) => {
    const gap = now - stage.changedAt
    if (gap > stage.longestGap) {
      stage.longestGap = gap
      stage.gapEndedAt = now
    }
    if (total !== stage.total) {
      stage.total = total
      stage.changedAt = now
    }
  }
  const raw = streams.map(({ rawTopic }) => rawTopic)
  const outputs = streams.filter(({ rawTopic, topic }) => rawTopic !== topic).map(({ topic }) => topic)
  const tables = new Set(streams.map(({ table }) => table))
  // Whatever keeps a stage from being counted keeps it from coming forward, too.
  const counted = <E, R>(count: Effect.Effect<number, E, R>): Effect.Effect<number | undefined, never, R> =>
    count.pipe(
      Effect.timeout(patience),
      Effect.orElseSucceed(() => undefined)
    )
  const rows = Effect.map(rowsOf, (all) => [...all].reduce((sum, [name, n]) => (tables.has(name) ? sum + n : sum), 0))
  const watching = Effect.gen(function* () {
    const counts = yield* Effect.all(
      { source: counted(endsOf(raw)), transform: counted(endsOf(outputs)), sink: counted(rows) },
      { concurrency: "unbounded" }
    )
    const now = yield* Clock.currentTimeMillis
    take(progress.source, counts.source ?? progress.source.total, now)
    take(progress.transform, counts.transform ?? progress.transform.total, now)
    take(progress.sink, counts.sink ?? progress.sink.total, now)
    yield* Effect.sleep(look)
  }).pipe(Effect.forever)
  return { progress: progress satisfies Progress, watching }
})
