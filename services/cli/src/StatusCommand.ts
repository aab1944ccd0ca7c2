import { outputTopic, rawTopic, sinkFor, statusTopic, streamKey } from "@tributary/domain"
import { directoryHolder, Log } from "@tributary/log"
import { Catalog, readCompacted } from "@tributary/catalog"
import {
  type MergedStatus,
  mergeStatus,
  readStatusEntries,
  type SeenProcess,
  seenProcesses,
  type StageStatus
} from "@tributary/telemetry"
import { Clock, Effect, FileSystem, Layer, Option } from "effect"
import { type LoadedConnector, loadConnectors } from "./ConnectorFiles.ts"
import { authorizationsOfLoaded } from "./ConsentCommand.ts"
import { directories } from "./Directories.ts"
import { topicsOf } from "./Engine.ts"
import { noteProblems } from "./FileProblems.ts"
import { bytes, count, duration, printable, table } from "./Format.ts"
import { oddMarks } from "./Marks.ts"
import { noticeLines } from "./Notices.ts"
import { lagOf } from "./Pipeline.ts"
import { registeredConnector } from "./Registered.ts"
import { Screen } from "./Screen.ts"
import { servers } from "./Servers.ts"

interface Row {
  readonly connector: string
  readonly stream: string
  readonly topic: string
  readonly table: string | null
  /** Of its connector, by the names of their tokens: the connector's own first. */
  readonly authorizations: ReadonlyArray<string>
  readonly records: number
  readonly lag: { readonly transform: number; readonly sink: number }
  /** As it was last reported; `null` when the stream never ran. */
  readonly status: MergedStatus | null
}

const emptyRow = ({ connector, further }: Pick<LoadedConnector, "connector" | "further">, stream: string): Row => {
  const sink = sinkFor(connector, stream)
  return {
    connector: connector.connector,
    stream,
    topic: outputTopic(connector, stream),
    table: sink === undefined ? null : `${sink.database}.${sink.table}`,
    authorizations: authorizationsOfLoaded({ base: "", connector, further }).map(({ id }) => id),
    records: 0,
    lag: { transform: 0, sink: 0 },
    status: null
  }
}

/** What all workers reported. */
const reported = Effect.gen(function* () {
  // What another version wrote is left out; there is nothing else to be had from it.
  const { processes, streams } = readStatusEntries(yield* readCompacted(statusTopic))
  const now = yield* Clock.currentTimeMillis
  return {
    streams: new Map(mergeStatus(streams, now).map((status) => [streamKey(status.connector, status.stream), status])),
    processes: seenProcesses(processes, now)
  }
})

/** Reads from the log how far a stream is; its log need not know the stream. */
const readRow = Effect.fnUntraced(function* (
  loaded: Pick<LoadedConnector, "connector" | "further">,
  stream: string,
  known: ReadonlySet<string>,
  statuses: ReadonlyMap<string, MergedStatus>
) {
  const log = yield* Log
  const row = emptyRow(loaded, stream)
  const raw = rawTopic(row.connector, stream)
  return {
    ...row,
    records: known.has(raw) ? (yield* log.offsets(raw)).reduce((sum, { end }) => sum + end, 0) : 0,
    lag: known.has(raw) && known.has(row.topic) ? yield* lagOf(loaded, stream) : row.lag,
    status: statuses.get(streamKey(row.connector, stream)) ?? null
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

const streamsOf = (connectors: ReadonlyArray<Pick<LoadedConnector, "connector" | "further">>) =>
  connectors.flatMap((connector) => Object.keys(connector.connector.streams).map((stream) => ({ connector, stream })))

/** What is registered on Kafka, as far as this version can read it. */
const registeredConnectors = Effect.gen(function* () {
  const catalog = yield* Catalog
  const connectors: Array<Pick<LoadedConnector, "connector" | "further">> = []
  for (const [id, registered] of yield* catalog.list) {
    const parsed = registered._tag === "Success" ? registeredConnector(registered.success) : undefined
    if (parsed?._tag === "Success") connectors.push(parsed.success)
    else yield* Effect.logWarning("The registration cannot be read here.").pipe(Effect.annotateLogs({ connector: id }))
  }
  return connectors
})

const processTable = (processes: ReadonlyArray<SeenProcess>, now: number): string =>
  processes.length === 0
    ? "No service reports itself. Those that share a Kafka do (tributary run source, transform, sink, control)."
    : table([
        ["service", "worker", "started", "CPU time", "memory", "reported"],
        ...processes.map(({ at, cpuSeconds, isLive, residentBytes, service, startedAt, worker }) => [
          service,
          worker,
          `${duration(now - startedAt)} ago`,
          duration(cpuSeconds * 1_000),
          bytes(residentBytes),
          isLive ? `${duration(now - at)} ago` : `${duration(now - at)} ago (gone)`
        ])
      ])

/** State, lag and last problem of each stream, read from the log; works beside a running process and without one. */
export const showStatus = Effect.fn("cli.status")(function* (options: {
  readonly connectors: string
  readonly data: string
  readonly json: boolean
  /** Show the processes in place of the streams. */
  readonly processes: boolean
}) {
  const fs = yield* FileSystem.FileSystem
  const screen = yield* Screen
  const directory = directories(options.data).log
  const onKafka = Option.isSome((yield* servers).kafka)
  // Only where something ran there is a log to read.
  const ran = onKafka || (yield* fs.exists(directory))
  const ofFiles = Effect.map(
    Effect.tap(loadConnectors(options.connectors), noteProblems),
    ({ connectors }): ReadonlyArray<Pick<LoadedConnector, "connector" | "further">> => connectors
  )
  const read = Effect.gen(function* () {
    const registered = onKafka ? yield* registeredConnectors : []
    const streams = streamsOf(registered.length > 0 ? registered : yield* ofFiles)
    const known = new Set((yield* (yield* Log).topics).map(({ name }) => name))
    const statuses = (yield* reported).streams
    const rows = yield* Effect.forEach(streams, ({ connector, stream }) => readRow(connector, stream, known, statuses))
    return { streams, rows }
  })
  const onLog = Effect.provide(Catalog.layer.pipe(Layer.provideMerge(topicsOf(options.data))))
  if (options.processes) {
    const processes = ran ? (yield* onLog(reported)).processes : []
    const now = yield* Clock.currentTimeMillis
    return yield* screen.print(options.json ? JSON.stringify(processes) : processTable(processes, now))
  }
  const neverRan = Effect.map(ofFiles, (connectors) => {
    const streams = streamsOf(connectors)
    return { streams, rows: streams.map(({ connector, stream }): Row => emptyRow(connector, stream)) }
  })
  const { rows, streams } = ran ? yield* onLog(read) : yield* neverRan
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
  const told = new Set<string>()
  const statuses = rows.flatMap(({ status }) => (status === null ? [] : [status]))
  for (const { sentence, stream } of oddMarks(
    streams.map(({ connector }) => connector),
    statuses
  )) {
    yield* screen.print(`\n${stream}: ${printable(sentence)}`)
  }
  for (const { authorizations, connector } of rows) {
    const line = `${connector} has several authorizations: ${authorizations.join(", ")}. Each has tokens of its own; \`tributary revoke\` takes their names, too.`
    if (authorizations.length > 1 && !told.has(line)) yield* screen.print(`\n${line}`)
    told.add(line)
  }
  for (const line of noticeLines(statuses)) yield* screen.print(`\n${line}`)
  for (const row of rows) {
    for (const { problem } of stagesOf(row)) {
      if (problem !== null)
        yield* screen.print(`\n${row.connector}/${row.stream}, ${duration(now - problem.at)} ago: ${problem.message}`)
    }
  }
})
