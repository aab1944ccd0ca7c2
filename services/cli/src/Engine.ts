import { Catalog, layerLazyLogAudit } from "@tributary/catalog"
import { Warehouse } from "@tributary/clickhouse"
import { Budgets } from "@tributary/connector"
import type { KafkaLog } from "@tributary/kafka"
import { directoryHolder, type Log, type LogError, SqliteLog } from "@tributary/log"
import { Tokens } from "@tributary/oauth"
import type { RedisOptions } from "@tributary/redis"
import { layerConfluent, layerNone, layerSqlite } from "@tributary/schema-registry"
import { Alerts, layerFileAudit, Status } from "@tributary/telemetry"
import { Secrets } from "@tributary/secrets"
import { Leases, SqliteTokenStore } from "@tributary/vault"
import { Config, Effect, FileSystem, Layer, Option, Path, Schedule, Schema } from "effect"
import { hostname } from "node:os"
// oxlint-disable-next-line no-restricted-imports -- its number is the only name that a process has by itself
import process from "node:process"
import { directories } from "./Directories.ts"
import { webhooks } from "./Receive.ts"
import { Fatal } from "./Fatal.ts"
import { lateLog } from "./LateLog.ts"
import { servers } from "./Servers.ts"

// The clients of servers are loaded where a server is named: they would make each command a third slower to start.
const kafkaLog = (options: KafkaLog.KafkaLogOptions): Layer.Layer<Log, LogError> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { KafkaLog } = yield* Effect.promise(() => import("@tributary/kafka"))
      return KafkaLog.layer({ ...options, onStalled: yield* Fatal })
    })
  )

const redisStores = (options: RedisOptions) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("@tributary/redis")),
      ({ Redis, RedisBudgets, RedisLeases, RedisTokenStore }) =>
        Layer.mergeAll(RedisTokenStore.layer, RedisLeases.layer, RedisBudgets.layer).pipe(
          Layer.provide(Redis.layer(options))
        )
    )
  )

/** What happened to tokens: on Kafka where one is named, else in files of the data folder. */
export const auditOf = (data: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { kafka } = yield* servers
      const name = yield* Config.String("TRIBUTARY_WORKER").pipe(Config.withDefault(`${hostname()}-${process.pid}`))
      return Option.match(kafka, {
        onNone: () => layerFileAudit({ directory: directories(data).audit, process: name }),
        onSome: (options) => layerLazyLogAudit(name, kafkaLog(options))
      })
    })
  )

/** Tells people what they should know, in the status too. */
const alerts = Alerts.layer.pipe(Layer.provide(Status.layer))

/** There are no stored tokens. */
export class NoVault extends Schema.TaggedError<NoVault>()("NoVault", { directory: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `There is no vault.db in ${this.directory}: no tokens were stored there. Name the folder of a run with --data, or the Redis of your workers with TRIBUTARY_REDIS_URL.`
  }
}

/** The stored tokens as they lie there, beside the processes that use them. */
export const vaultOf = (data: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const { redis } = yield* servers
      if (Option.isSome(redis)) {
        const { Redis, RedisTokenStore } = yield* Effect.promise(() => import("@tributary/redis"))
        return RedisTokenStore.layer.pipe(Layer.provide(Redis.layer(redis.value)))
      }
      const directory = directories(path.resolve(data)).vault
      const isThere = yield* fs.exists(path.join(directory, "vault.db")).pipe(Effect.orElseSucceed(() => false))
      return isThere ? SqliteTokenStore.layer({ directory }) : yield* new NoVault({ directory })
    })
  )

/** Tokens of all authorizations: references of the files, tokens from the vault; and the budgets of their hosts. */
export const authorizations = (data: string) =>
  Layer.unwrap(
    Effect.map(servers, ({ redis }) => {
      const stores = Option.match(redis, {
        onNone: () =>
          Layer.mergeAll(
            SqliteTokenStore.layer({ directory: directories(data).vault }),
            Leases.layerMemory,
            Budgets.layer
          ),
        onSome: redisStores
      })
      return Tokens.layer.pipe(Layer.provideMerge(Layer.mergeAll(Secrets.layer, stores, auditOf(data))))
    })
  )

/** The same, of a process that stays: people are told what they should know. */
const watched = (data: string) => authorizations(data).pipe(Layer.provide(alerts))

/** The schema registry that is named; the embedded one goes with the embedded log only, whose readers are all here. */
const registry = (data: string) =>
  Layer.unwrap(
    Effect.map(servers, ({ kafka, registry }) =>
      Option.match(registry, {
        onNone: () => (Option.isNone(kafka) ? layerSqlite({ directory: directories(data).registry }) : layerNone),
        onSome: layerConfluent
      })
    )
  )

/** The schemas of a data folder's topics, for reading beside a running process; none where nothing was written with one. */
export const schemasOf = (data: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const given = yield* servers
      if (Option.isSome(given.registry)) return layerConfluent(given.registry.value)
      const directory = directories(data).registry
      const isThere = yield* fs.exists(directory).pipe(Effect.orElseSucceed(() => false))
      return isThere && Option.isNone(given.kafka) ? layerSqlite({ directory }) : layerNone
    })
  )

/** The schema registry of processes that share a Kafka. */
const sharedRegistry = Layer.unwrap(
  Effect.map(servers, ({ registry }) => Option.match(registry, { onNone: () => layerNone, onSome: layerConfluent }))
)

/**
 * The engine: what the environment names is a server (Servers.ts), all else is embedded, in this process and one child, with its
 * data in `data`.
 */
export const engine = (data: string) =>
  Layer.unwrap(
    Effect.map(servers, (given) => {
      const { clickhouse, log } = directories(data)
      const warehouse = Option.match(given.clickhouse, {
        onNone: () => Warehouse.layerEmbedded({ directory: clickhouse }),
        onSome: Warehouse.layerServer
      })
      const topics = Option.match(given.kafka, {
        onNone: () => SqliteLog.layer({ directory: log }),
        onSome: kafkaLog
      })
      return Layer.mergeAll(warehouse, watched(data), registry(data), Status.layer, webhooks).pipe(
        // The embedded log's lock is taken first: a second process ends here, before it starts a server.
        Layer.provideMerge(topics)
      )
    })
  )

const inOneProcess = ", or run everything in this process with: tributary run"

/** Stages can only be apart on servers that processes share. */
export class NeedsServers extends Schema.TaggedError<NeedsServers>()("NeedsServers", {
  command: Schema.String,
  missing: Schema.Array(Schema.String),
  why: Schema.String,
  /** What else can be done, as the end of the sentence. */
  instead: Schema.optionalKey(Schema.String)
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `tributary ${this.command} ${this.why}. Set ${this.missing.join(" and ")}${this.instead ?? inOneProcess}`
  }
}

/** The servers that one of several processes works with; nothing is embedded. */
const shared = Effect.fnUntraced(function* (
  command: string,
  why: string,
  needed: { readonly clickhouse?: boolean; readonly redis?: boolean; readonly instead?: string }
) {
  const given = yield* servers
  const missing = [
    ...(Option.isNone(given.kafka) ? ["TRIBUTARY_KAFKA_BROKERS"] : []),
    ...(needed.clickhouse === true && Option.isNone(given.clickhouse) ? ["TRIBUTARY_CLICKHOUSE_URL"] : []),
    ...(needed.redis === true && Option.isNone(given.redis) ? ["TRIBUTARY_REDIS_URL"] : [])
  ]
  if (missing.length > 0)
    return yield* new NeedsServers({
      command,
      missing,
      why,
      ...(needed.instead === undefined ? {} : { instead: needed.instead })
    })
  const on = <A>(server: Option.Option<A>): A => Option.getOrThrow(server)
  return { kafka: kafkaLog(on(given.kafka)), given, on }
})

/** Registered connectors, on a Kafka that is named. */
export const catalogOf = (command: string) =>
  Layer.unwrap(
    Effect.map(
      shared(command, "works on registrations: they are kept on Kafka, and no Kafka is named", {
        instead:
          " to the brokers of your workers (host:port,host:port). Without Kafka nothing needs to be registered: " +
          "tributary run and tributary dev take the connector files as they are."
      }),
      ({ kafka }) => Catalog.layer.pipe(Layer.provideMerge(kafka))
    )
  )

/** What a process of the full engine is made of, whatever it runs. */
const worker = <E, R>(topics: Layer.Layer<Log, E, R>) =>
  Layer.mergeAll(Catalog.layer, sharedRegistry, Status.layer).pipe(Layer.provideMerge(topics))

/** The engine of a source worker. Tokens are in Redis: a connector that moves takes its refresh token with it. */
export const sourceEngine = (data: string) =>
  Layer.unwrap(
    Effect.map(
      shared("run source", "shares connectors, tokens and rate limits with other processes, on Kafka and Redis", {
        redis: true
      }),
      ({ kafka }) => Layer.mergeAll(watched(data), webhooks).pipe(Layer.provideMerge(worker(kafka)))
    )
  )

/** The engine of a transform worker. */
export const transformEngine = Layer.unwrap(
  Effect.map(shared("run transform", "reads and writes topics that processes share, on Kafka", {}), ({ kafka }) =>
    Layer.merge(Secrets.layer, worker(kafka))
  )
)

/** The engine of a sink worker. */
export const sinkEngine = Layer.unwrap(
  Effect.map(
    shared("run sink", "loads topics that processes share, from Kafka into a ClickHouse server", { clickhouse: true }),
    ({ given, kafka, on }) => Layer.merge(Warehouse.layerServer(on(given.clickhouse)), worker(kafka))
  )
)

/** The engine of the control service, which answers while Kafka is away too. */
export const controlEngine = Layer.unwrap(
  Effect.map(shared("run control", "answers for the processes that share a Kafka", {}), ({ kafka }) =>
    worker(lateLog(kafka))
  )
)

/** The topics, for reading beside a running process. */
export const topicsOf = (data: string) =>
  Layer.unwrap(
    Effect.map(servers, ({ kafka }) =>
      Option.match(kafka, {
        onNone: () => SqliteLog.layerReadOnly({ directory: directories(data).log }),
        onSome: kafkaLog
      })
    )
  )

/** There are no tables to query. */
export class NoData extends Schema.TaggedError<NoData>()("NoData", { directory: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${this.directory} does not exist: nothing was loaded there. Name the folder of a run with --data.`
  }
}

/** How long a process that runs on the folder may take until its tables can be reached. */
const startTimeout = "20 seconds"

/** The tables of a data folder: through the process that runs on it, else through a server started for the time being. */
export const tablesOf = (data: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { clickhouse, log } = directories(data)
      const given = yield* servers
      if (Option.isSome(given.clickhouse)) return Warehouse.layerServer(given.clickhouse.value)
      if (!(yield* fs.exists(clickhouse).pipe(Effect.orElseSucceed(() => false))))
        return yield* new NoData({ directory: clickhouse })
      const own = Warehouse.layerEmbedded({ directory: clickhouse })
      const beside = Warehouse.layerDirectory(clickhouse)
      const reached = Effect.provide(
        Warehouse.use((warehouse) => warehouse.ping),
        beside
      )
      // With the topics on Kafka nobody holds the log's folder; then only the server itself can tell.
      if (Option.isSome(given.kafka)) return (yield* Effect.isSuccess(reached)) ? beside : own
      // Without such a process no other server is used, though one may run: it ends with the query that it was started for.
      if ((yield* directoryHolder(log)) === undefined) return own
      yield* Effect.retry(reached, Schedule.spaced("100 millis").pipe(Schedule.upTo({ duration: startTimeout })))
      return beside
    })
  )
