import type { Duration } from "effect"
import type { ClickHouseSink, Connector, SourceStream, TransformStep } from "./ConnectorFile.ts"
import { rawTopic, streamTopic } from "./Names.ts"
import type { Webhook } from "./WebhookFile.ts"

/** Settings of a stream; naming one that the connector does not have is a defect. */
export const streamOf = (connector: Connector, stream: string): SourceStream => {
  const entry = Object.entries(connector.streams).find(([name]) => name === stream)
  if (entry === undefined) throw new TypeError(`Connector ${connector.connector} has no stream ${stream}`)
  return entry[1]
}

/** Fields that identify a record of the stream; none when the file names no `primary_key`. */
export const primaryKey = (stream: SourceStream): ReadonlyArray<string> => {
  const key = stream.primary_key ?? []
  return typeof key === "string" ? [key] : key
}

/** Steps that records of the stream pass: its own if it states any (even an empty list), else the connector's. */
export const transformSteps = (connector: Connector, stream: string): ReadonlyArray<TransformStep> =>
  streamOf(connector, stream).transform ?? connector.transform

/** Files that a connector names beside secrets, as its file has them: modules, a manifest, its hooks and its state. None twice. */
export const namedFiles = (connector: Connector): ReadonlyArray<string> => {
  const files = new Set(
    [connector.module, connector.manifest, connector.hooks, connector.state].filter((file) => file !== undefined)
  )
  const steps = [
    ...connector.transform,
    ...Object.values(connector.streams).flatMap((stream) => stream.transform ?? [])
  ]
  for (const step of steps) if ("typescript" in step) files.add(step.typescript)
  return [...files]
}

/**
 * The topic that the stream's sink reads: `topic.name`, else `<connector>.<stream>`. A stream without transform steps and
 * without `topic.name` has no such topic; its sink reads the raw topic.
 */
export const outputTopic = (connector: Connector, stream: string): string =>
  streamOf(connector, stream).topic.name ??
  (transformSteps(connector, stream).length === 0
    ? rawTopic(connector.connector, stream)
    : streamTopic(connector.connector, stream))

/** Path at which deliveries of a stream are received. */
export const webhookPath = (connector: string, stream: string, { path }: Webhook): string =>
  path ?? `/webhooks/${connector}/${stream}`

/** A view beside a table. */
export interface SinkView {
  readonly database: string
  readonly name: string
  readonly select: string
}

/** The table that a stream is loaded into, with every placeholder replaced. */
export interface StreamSink {
  readonly database: string
  readonly table: string
  /** Sorting key: `order_by`, else the primary key; empty when there is neither. */
  readonly orderBy: ReadonlyArray<string>
  readonly partitionBy: string | undefined
  readonly mode: ClickHouseSink["mode"]
  /** Most rows and most bytes of one insert. */
  readonly batchRows: number
  readonly batchBytes: number
  readonly flushEvery: Duration.Duration
  readonly views: ReadonlyArray<SinkView>
}

/** Splits `database.table` at its dot. */
const splitName = (name: string, database: string): readonly [database: string, name: string] => {
  const dot = name.indexOf(".")
  return dot === -1 ? [database, name] : [name.slice(0, dot), name.slice(dot + 1)]
}

/** The sink of a stream: its own, else the connector's; `undefined` when its records are not loaded. */
export const sinkFor = (connector: Connector, stream: string): StreamSink | undefined => {
  const source = streamOf(connector, stream)
  const sink = (source.sink ?? connector.sink)?.clickhouse
  if (sink === undefined) return undefined
  const named = (text: string) => text.replaceAll("{connector}", connector.connector).replaceAll("{stream}", stream)
  const [database, table] = splitName(named(sink.table), "default")
  return {
    database,
    table,
    orderBy: sink.order_by ?? primaryKey(source),
    partitionBy: sink.partition_by,
    mode: sink.mode,
    batchRows: sink.batch_rows,
    batchBytes: sink.batch_bytes,
    flushEvery: sink.flush_every,
    views: Object.entries(sink.views).map(([view, select]) => {
      const [viewDatabase, name] = splitName(named(view), database)
      return { database: viewDatabase, name, select: named(select) }
    })
  }
}
