import { type TableSpec, Warehouse } from "@tributary/clickhouse"
import { type Connector, deadTopic, outputTopic, sinkFor, streamOf } from "@tributary/domain"
import { Log } from "@tributary/log"
import { Status, supervise, type SuperviseOptions } from "@tributary/telemetry"
import { Duration, Effect } from "effect"
import { loadPartition } from "./PartitionLoader.ts"
import { keepViews } from "./Views.ts"

/** Consumer group that loads a stream. */
export const sinkGroup = (connector: string, stream: string): string => `tributary.sink.${connector}.${stream}`

/** Loads a stream into its table for as long as it runs. Returns at once when the stream has no sink. */
export const runSink = Effect.fn("sink.run")(function* (
  connector: Connector,
  stream: string,
  options: SuperviseOptions
) {
  const sink = sinkFor(connector, stream)
  if (sink === undefined) return
  const log = yield* Log
  const warehouse = yield* Warehouse
  const reporter = yield* (yield* Status).reporter(connector.connector, stream, "sink")
  const topic = outputTopic(connector, stream)
  const settings = streamOf(connector, stream)
  const dead = deadTopic(connector.connector, stream)
  const group = sinkGroup(connector.connector, stream)
  const spec: TableSpec = {
    database: sink.database,
    table: sink.table,
    mode: sink.mode,
    orderBy: sink.orderBy,
    ...(sink.partitionBy === undefined ? {} : { partitionBy: sink.partitionBy }),
    schema: settings.schema,
    // Views may depend on tables of other streams; they are kept apart (Views.ts).
    views: {}
  }
  const loader = {
    table: `${sink.database}.${sink.table}`,
    deadTopic: dead,
    maxRows: sink.batchRows,
    maxBytes: sink.batchBytes,
    flushEvery: sink.flushEvery,
    retries: options.once ? 12 : 1_000
  }

  const work = Effect.gen(function* () {
    yield* log.ensureTopic({
      name: topic,
      partitions: settings.topic.partitions,
      retention: settings.topic.retention,
      ...(settings.topic.retention_bytes === undefined ? {} : { retentionBytes: settings.topic.retention_bytes })
    })
    yield* log.ensureTopic({ name: dead, partitions: 1, retention: Duration.days(30) })
    return yield* log.consume({ group, topics: [topic] }, (claim) =>
      Effect.scoped(
        Effect.gen(function* () {
          // Fence first, then read the position and its plan.
          const producer = yield* log.producer(`${group}/${topic}/${claim.partition}`)
          const offsets = yield* log.offsets(topic)
          const earliest = offsets.find(({ partition }) => partition === claim.partition)?.earliest ?? 0
          return yield* loadPartition(
            claim,
            producer,
            (sample) => warehouse.ensureTable(spec, sample),
            reporter,
            loader,
            earliest
          )
        })
      )
    )
  })
  yield* keepViews(sink.views, options.once)
  return yield* supervise(reporter, work, options).pipe(
    Effect.annotateLogs({ connector: connector.connector, stream, stage: "sink" })
  )
}, Effect.scoped)
