import { Warehouse } from "@tributary/clickhouse"
import { Budgets } from "@tributary/connector"
import type { KafkaLog } from "@tributary/kafka"
import { directoryHolder, type Log, type LogError, SqliteLog } from "@tributary/log"
import { Tokens } from "@tributary/oauth"
import type { RedisOptions } from "@tributary/redis"
import { Status } from "@tributary/telemetry"
import { Secrets, SqliteTokenStore } from "@tributary/vault"
import { Effect, FileSystem, Layer, Option, Schedule, Schema } from "effect"
import { directories } from "./Directories.ts"
import { servers } from "./Servers.ts"

// The clients of servers are loaded where a server is named: they would make each command a third slower to start.
const kafkaLog = (options: KafkaLog.KafkaLogOptions): Layer.Layer<Log, LogError> =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("@tributary/kafka")),
      ({ KafkaLog }) => KafkaLog.layer(options)
    )
  )

const redisStores = (options: RedisOptions) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("@tributary/redis")),
      ({ Redis, RedisBudgets, RedisTokenStore }) =>
        Layer.merge(RedisTokenStore.layer, RedisBudgets.layer()).pipe(Layer.provide(Redis.layer(options)))
    )
  )

/** Tokens of all authorizations: references of the files, tokens from the vault; and the budgets of their hosts. */
export const authorizations = (data: string) =>
  Layer.unwrap(
    Effect.map(servers, ({ redis }) => {
      const stores = Option.match(redis, {
        onNone: () => Layer.merge(SqliteTokenStore.layer({ directory: directories(data).vault }), Budgets.layer),
        onSome: redisStores
      })
      return Tokens.layer.pipe(Layer.provideMerge(Layer.merge(Secrets.layer, stores)))
    })
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
      return Layer.mergeAll(warehouse, authorizations(data), Status.layer).pipe(
        // The embedded log's lock is taken first: a second process ends here, before it starts a server.
        Layer.provideMerge(topics)
      )
    })
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
