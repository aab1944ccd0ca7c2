import { type FoundTable, TableReplaced, type TableSpec, Warehouse, WarehouseError } from "@tributary/clickhouse"
import { type Connector, deadTopic, outputTopic, sinkFor, streamOf } from "@tributary/domain"
import { Log } from "@tributary/log"
import { valueDecoder } from "@tributary/schema-registry"
import { Status, supervise, type SuperviseOptions } from "@tributary/telemetry"
import { Duration, Effect } from "effect"
import { beginAgain, type Tables } from "./BeginAgain.ts"
import { warnOfOtherLog } from "./LoadedBefore.ts"
import { loadPartition } from "./PartitionLoader.ts"
import { patiently } from "./Patience.ts"
import { keepViews } from "./Views.ts"

/**
 * Consumer group that loads a stream into a table (`database.table`). A position belongs to its table: a stream that is given
 * another table loads it from the first record that its topic still has.
 */
export const sinkGroup = (connector: string, stream: string, table: string): string =>
  `tributary.sink.${connector}.${stream}.${table}`

/** Whether a table may be the one of that generation. Positions do not count for another: it was made anew while nothing came. */
const isTable = (expected: string | undefined) => (table: FoundTable) =>
  expected === undefined || table.generation === undefined || table.generation === expected

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
  const decoder = yield* valueDecoder
  const reporter = yield* (yield* Status).reporter(connector.connector, stream, "sink")
  const topic = outputTopic(connector, stream)
  const settings = streamOf(connector, stream)
  const dead = deadTopic(connector.connector, stream)
  const table = `${sink.database}.${sink.table}`
  const group = sinkGroup(connector.connector, stream, table)
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
    table,
    deadTopic: dead,
    maxRows: sink.batchRows,
    maxBytes: sink.batchBytes,
    flushEvery: sink.flushEvery,
    retries: options.once ? 12 : 1_000
  }

  const patient = <A>(ask: Effect.Effect<A, WarehouseError>) => patiently(reporter, loader.retries, ask)
  const tables: Tables = {
    name: table,
    find: patient(warehouse.findTable(sink.database, sink.table)),
    ensure: (sample) => patient(warehouse.ensureTable(spec, sample))
  }
  const replaced = new WarehouseError({ action: `prepare ${table}`, reason: new TableReplaced({ table }) })

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
          const bounds = offsets.find(({ partition }) => partition === claim.partition) ?? { earliest: 0, end: 0 }
          // A table that is not there any more, or was made anew by another process, does not hold what was committed for the one
          // before. Asked for each claim anew.
          const expected = yield* beginAgain(claim, bounds, tables, decoder)
          if (sink.mode === "append") yield* patient(warnOfOtherLog(warehouse, claim, yield* claim.committed, sink))
          return yield* loadPartition(
            claim,
            producer,
            (sample) => Effect.filterOrFail(warehouse.ensureTable(spec, sample), isTable(expected), () => replaced),
            reporter,
            loader,
            bounds.earliest,
            decoder
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
