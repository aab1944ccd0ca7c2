import { outputTopic, rawTopic, sinkFor, statusTopic, streamKey } from "@tributary/domain"
import { Log } from "@tributary/log"
import { type StageStatus, StreamStatus } from "@tributary/telemetry"
import { Clock, Effect, Schema } from "effect"
import { loadConnectors } from "./ConnectorFiles.ts"
import { count, duration, table } from "./Format.ts"
import { lagOf } from "./Pipeline.ts"
import { Screen } from "./Screen.ts"

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

/** State, lag and last problem of each stream, read from the log; works beside a running process and without one. */
export const showStatus = Effect.fn("cli.status")(function* (options: {
  readonly connectors: string
  readonly json: boolean
}) {
  const log = yield* Log
  const screen = yield* Screen
  const loaded = yield* loadConnectors(options.connectors)
  const known = new Set((yield* log.topics).map(({ name }) => name))
  const rows: Array<Row> = []
  for (const connector of loaded.connectors) {
    const id = connector.connector.connector
    for (const stream of Object.keys(connector.connector.streams)) {
      const raw = rawTopic(id, stream)
      const sink = sinkFor(connector.connector, stream)
      const stored = known.has(statusTopic) ? yield* log.latest(statusTopic, utf8.encode(streamKey(id, stream))) : null
      const topic = outputTopic(connector.connector, stream)
      const exists = known.has(raw) && known.has(topic)
      rows.push({
        connector: id,
        stream,
        topic,
        table: sink === undefined ? null : `${sink.database}.${sink.table}`,
        records: known.has(raw) ? (yield* log.offsets(raw)).reduce((sum, { end }) => sum + end, 0) : 0,
        lag: exists ? yield* lagOf(connector, stream) : { transform: 0, sink: 0 },
        status: stored === null ? null : yield* decodeStatus(text.decode(stored))
      })
    }
  }
  if (options.json) return yield* screen.print(JSON.stringify(rows))
  const now = yield* Clock.currentTimeMillis
  const stages = (row: Row): ReadonlyArray<StageStatus> =>
    Object.values(row.status?.stages ?? {}).filter((stage): stage is StageStatus => stage !== undefined)
  yield* screen.print(
    table([
      ["stream", "state", "records", "lag", "rejected", "freshness", "last page", "table"],
      ...rows.map((row) => {
        const source = row.status?.stages.source
        const freshness = row.status?.stages.sink?.freshness ?? null
        const problem = stages(row).find((stage) => stage.problem !== null)
        return [
          `${row.connector}/${row.stream}`,
          problem?.state ?? source?.state ?? "never ran",
          count(row.records),
          count(row.lag.transform + row.lag.sink),
          count(stages(row).reduce((sum, stage) => sum + stage.rejected, 0)),
          freshness === null ? "–" : duration(freshness),
          source === undefined || source.lastAt === null ? "–" : `${duration(now - source.lastAt)} ago`,
          row.table ?? "–"
        ]
      })
    ])
  )
  for (const row of rows) {
    for (const stage of stages(row)) {
      if (stage.problem !== null) yield* screen.print(`\n${row.connector}/${row.stream}: ${stage.problem.message}`)
    }
  }
})
