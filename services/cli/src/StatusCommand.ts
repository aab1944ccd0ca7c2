import { outputTopic, rawTopic, sinkFor, statusTopic, streamKey } from "@tributary/domain"
import { directoryHolder, Log } from "@tributary/log"
import { type StageStatus, StreamStatus } from "@tributary/telemetry"
import { Clock, Effect, FileSystem, Option, Schema } from "effect"
import { type LoadedConnector, loadConnectors } from "./ConnectorFiles.ts"
import { directories } from "./Directories.ts"
import { topicsOf } from "./Engine.ts"
import { noteProblems } from "./FileProblems.ts"
import { count, duration, table } from "./Format.ts"
import { lagOf } from "./Pipeline.ts"
import { Screen } from "./Screen.ts"
import { servers } from "./Servers.ts"

const decodeStatus = Schema.decodeUnknownEffect(Schema.fromJsonString(StreamStatus))
const utf8 = new TextEncoder()
const text = new TextDecoder()

interface Row {
  readonly connector: string
  readonly stream: string
  readonly topic: string
  readonly table: string | null
  readonly records: number
  readonly lag: { readonly transform: number; readonly sink: number }
  /** As it was last reported; `null` when the stream never ran. */
  readonly status: StreamStatus | null
}

const emptyRow = ({ connector }: LoadedConnector, stream: string): Row => {
  const sink = sinkFor(connector, stream)
  return {
    connector: connector.connector,
    stream,
    topic: outputTopic(connector, stream),
    table: sink === undefined ? null : `${sink.database}.${sink.table}`,
    records: 0,
    lag: { transform: 0, sink: 0 },
    status: null
  }
}

/** Reads from the log how far a stream is; its log need not know the stream. */
const readRow = Effect.fnUntraced(function* (loaded: LoadedConnector, stream: string, known: ReadonlySet<string>) {
  const log = yield* Log
  const row = emptyRow(loaded, stream)
  const raw = rawTopic(row.connector, stream)
  const key = utf8.encode(streamKey(row.connector, stream))
  const stored = known.has(statusTopic) ? yield* log.latest(statusTopic, key) : null
  return {
    ...row,
    records: known.has(raw) ? (yield* log.offsets(raw)).reduce((sum, { end }) => sum + end, 0) : 0,
    lag: known.has(raw) && known.has(row.topic) ? yield* lagOf(loaded, stream) : row.lag,
    status: stored === null ? null : yield* decodeStatus(text.decode(stored))
  } satisfies Row
})

const stagesOf = (row: Row): ReadonlyArray<StageStatus> =>
  Object.values(row.status?.stages ?? {}).filter((stage): stage is StageStatus => stage !== undefined)

const stateOf = (row: Row, isRunning: boolean): string => {
  const source = row.status?.stages.source
  if (source === undefined) return "never ran"
  const problem = stagesOf(row).find((stage) => stage.problem !== null)
  if (isRunning) return problem?.state ?? source.state
  return problem === undefined ? "stopped" : "stopped, had a problem"
}

/** State, lag and last problem of each stream, read from the log; works beside a running process and without one. */
export const showStatus = Effect.fn("cli.status")(function* (options: {
  readonly connectors: string
  readonly data: string
  readonly json: boolean
}) {
  const fs = yield* FileSystem.FileSystem
  const screen = yield* Screen
  const loaded = yield* loadConnectors(options.connectors)
  yield* noteProblems(loaded)
  const directory = directories(options.data).log
  const streams = loaded.connectors.flatMap((connector) =>
    Object.keys(connector.connector.streams).map((stream) => ({ connector, stream }))
  )
  // Only where something ran there is a log to read.
  const onKafka = Option.isSome((yield* servers).kafka)
  const ran = onKafka || (yield* fs.exists(directory))
  const rows: ReadonlyArray<Row> = ran
    ? yield* Effect.gen(function* () {
        const known = new Set((yield* (yield* Log).topics).map(({ name }) => name))
        return yield* Effect.forEach(streams, ({ connector, stream }) => readRow(connector, stream, known))
      }).pipe(Effect.provide(topicsOf(options.data)))
    : streams.map(({ connector, stream }) => emptyRow(connector, stream))
  const pid = yield* directoryHolder(directory)
  // Nobody holds a folder on a cluster: what was reported last is shown.
  const isRunning = onKafka || pid !== undefined

  if (options.json) {
    yield* screen.print(
      JSON.stringify(rows.map((row) => ({ ...row, state: stateOf(row, isRunning), pid: pid ?? null })))
    )
    return
  }
  const now = yield* Clock.currentTimeMillis
  yield* screen.print(
    table([
      ["stream", "state", "records", "lag", "rejected", "freshness", "last page", "table"],
      ...rows.map((row) => {
        const source = row.status?.stages.source
        const freshness = row.status?.stages.sink?.freshness ?? null
        return [
          `${row.connector}/${row.stream}`,
          stateOf(row, isRunning),
          count(row.records),
          count(row.lag.transform + row.lag.sink),
          count(stagesOf(row).reduce((sum, stage) => sum + stage.rejected, 0)),
          freshness === null || !isRunning ? "–" : duration(freshness),
          source === undefined || source.lastAt === null ? "–" : `${duration(now - source.lastAt)} ago`,
          row.table ?? "–"
        ]
      })
    ])
  )
  if (onKafka) yield* screen.print("As last reported to Kafka; whether a process runs cannot be told from here.")
  else yield* screen.print(`${pid === undefined ? "No process" : `Process ${pid}`} runs on ${options.data}.`)
  for (const row of rows) {
    for (const { problem } of stagesOf(row)) {
      if (problem !== null)
        yield* screen.print(`\n${row.connector}/${row.stream}, ${duration(now - problem.at)} ago: ${problem.message}`)
    }
  }
})
