import { Catalog, readCompacted } from "@tributary/catalog"
import { Warehouse } from "@tributary/clickhouse"
import { checkpointsTopic, statusTopic, streamKey } from "@tributary/domain"
import { clickhouseUse, type LoadEngine, redisUse } from "@tributary/load"
import { Log } from "@tributary/log"
import { readStatusEntries } from "@tributary/telemetry"
import { Environment } from "@tributary/secrets"
import { Clock, Context, Effect, type FileSystem, Layer, Option, type Path } from "effect"
import { fileURLToPath } from "node:url"
import { loadConnectors } from "./ConnectorFiles.ts"
import { directories } from "./Directories.ts"
import { catalogOf, NeedsServers, schemasOf, tablesOf, topicsOf } from "./Engine.ts"
import { registrationOf } from "./Registered.ts"
import { servers } from "./Servers.ts"

const utf8 = new TextEncoder()

/** Program that the workers of a load test run: this command line. A test of the load test puts a damaged one in its place. */
export const WorkerProgram = Context.Reference<string>("@tributary/cli/WorkerProgram", {
  defaultValue: () => fileURLToPath(new URL("main.ts", import.meta.url))
})

/** The flag keeps Node's young generation from growing with what passes through. */
const programOf = Effect.map(WorkerProgram, (main) => ["--max-semi-space-size=8", main])

/** Settings of the platform, for workers; all but a name, which each has of its own. */
const settingsOf = Effect.map(Environment, (all) =>
  Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) =>
      name.startsWith("TRIBUTARY_") && name !== "TRIBUTARY_WORKER" && value !== undefined ? [[name, value]] : []
    )
  )
)

/** How long workers that go on running may take to stop a connector that was deleted, milliseconds. */
const longestStop = 10_000

/** Waits until no worker reports any of the connectors. */
const stopped = Effect.fnUntraced(function* (connectors: ReadonlyArray<string>) {
  const begun = yield* Clock.currentTimeMillis
  for (;;) {
    const { streams } = readStatusEntries(yield* readCompacted(statusTopic))
    if (!streams.some(({ connector }) => connectors.includes(connector))) return
    if ((yield* Clock.currentTimeMillis) - begun > longestStop) return
    yield* Effect.sleep("500 millis")
  }
})

const remove = ({ areRunning, connectors, database, streams, topics }: Parameters<LoadEngine["remove"]>[0]) =>
  Effect.gen(function* () {
    const catalog = yield* Catalog
    const log = yield* Log
    const warehouse = yield* Warehouse
    yield* catalog.write(connectors.map((connector) => ({ remove: connector })))
    if (areRunning) yield* stopped(connectors)
    const known = new Set((yield* log.topics).map(({ name }) => name))
    for (const topic of topics) if (known.has(topic)) yield* log.deleteTopic(topic)
    if (known.has(checkpointsTopic)) {
      yield* log.publish(
        streams.map(({ connector, stream }) => ({
          topic: checkpointsTopic,
          key: utf8.encode(streamKey(connector, stream)),
          value: null
        }))
      )
    }
    yield* warehouse.command(`DROP DATABASE IF EXISTS ${database} SYNC`)
  }).pipe(Effect.provide(Layer.merge(catalogOf("load"), tablesOf(""))))

/** Everything in one process on the embedded engine. */
const embedded = Effect.gen(function* () {
  const platform = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const program = yield* programOf
  const given = Layer.succeedContext(platform)
  return {
    kind: "embedded",
    program,
    env: yield* settingsOf,
    beside: (data) =>
      Layer.mergeAll(topicsOf(data), schemasOf(data), Warehouse.layerDirectory(directories(data).clickhouse)).pipe(
        Layer.provide(given)
      ),
    after: (data) => Layer.mergeAll(topicsOf(data), schemasOf(data), tablesOf(data)).pipe(Layer.provide(given)),
    register: () => Effect.void,
    remove: () => Effect.void,
    serverUse: Effect.succeed([])
  } satisfies LoadEngine
})

/** Services on the servers that the environment names. */
const shared = Effect.gen(function* () {
  const platform = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const { clickhouse, kafka, redis } = yield* servers
  const missing = [
    ...(Option.isNone(kafka) ? ["TRIBUTARY_KAFKA_BROKERS"] : []),
    ...(Option.isNone(clickhouse) ? ["TRIBUTARY_CLICKHOUSE_URL"] : []),
    ...(Option.isNone(redis) ? ["TRIBUTARY_REDIS_URL"] : [])
  ]
  if (Option.isNone(clickhouse) || Option.isNone(redis) || missing.length > 0) {
    return yield* new NeedsServers({
      command: "load",
      missing,
      why: "tests services on servers, or, where none is named, everything in one process"
    })
  }
  const given = Layer.succeedContext(platform)
  const places = Layer.mergeAll(topicsOf(""), schemasOf(""), Warehouse.layerServer(clickhouse.value)).pipe(
    Layer.provide(given)
  )
  const uses = [
    Effect.option(Effect.provide(clickhouseUse, Warehouse.layerServer(clickhouse.value), { local: true })),
    Effect.option(redisUse(redis.value))
  ]
  return {
    kind: "servers",
    program: yield* programOf,
    env: yield* settingsOf,
    beside: () => places,
    after: () => places,
    register: (folder) =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const { connectors } = yield* loadConnectors(folder)
        const registrations = yield* Effect.forEach(connectors, registrationOf)
        yield* catalog.write(registrations.map((register) => ({ register })))
      }).pipe(Effect.provide(Layer.provideMerge(catalogOf("load"), given))),
    remove: (left) => Effect.provide(remove(left), given),
    serverUse: Effect.map(Effect.all(uses), (all) => all.flatMap((use) => Option.toArray(use)))
  } satisfies LoadEngine
})

/** The engine that the environment names: servers, or the embedded one where it names none. */
export const loadEngine = Effect.gen(function* () {
  const { clickhouse, kafka, redis } = yield* servers
  const isEmbedded = Option.isNone(kafka) && Option.isNone(clickhouse) && Option.isNone(redis)
  return isEmbedded ? yield* embedded : yield* shared
})
