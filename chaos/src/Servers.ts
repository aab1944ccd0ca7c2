import { startClickHouse } from "@tributary/clickhouse/testing"
import { startCluster } from "@tributary/kafka/testing"
import { durable, startRedis } from "@tributary/redis/testing"
import { layerConfluent, layerNone } from "@tributary/schema-registry"
import { startRegistry } from "@tributary/schema-registry/testing"
import { Effect, Redacted, Schema } from "effect"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { phantomTokens } from "./PhantomTokens.ts"

/** A server that can be killed and started again on its data. */
export interface Server {
  readonly name: string
  readonly kill9: Effect.Effect<void>
  readonly start: Effect.Effect<void, ServerFailed>
}

/** A server did not start. */
export class ServerFailed extends Schema.TaggedError<ServerFailed>()("ServerFailed", {
  name: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.name} did not start: ${this.problem}`
  }
}

const failing = (name: string) =>
  Effect.mapError((error: { readonly message: string }) => new ServerFailed({ name, problem: error.message }))

export interface ServersOptions {
  /** Folder of their data. */
  readonly directory: string
  readonly brokers: 1 | 3
  readonly registry: boolean
}

/** Everything that the platform runs on, as processes of this machine. All end with the scope. */
export const startServers = Effect.fn("chaos.startServers")(function* ({
  brokers,
  directory,
  ...wanted
}: ServersOptions) {
  const [cluster, clickhouse, redis, registry] = yield* Effect.all(
    [
      startCluster({
        nodes: brokers,
        directory: join(directory, "kafka"),
        config: {
          // More would only be more files; the compacted topics of the platform say themselves what they need.
          "num.partitions": "1",
          // The group's members come and go all the time here.
          "group.min.session.timeout.ms": "1000"
        }
      }),
      startClickHouse({ directory: join(directory, "clickhouse") }),
      startRedis({ directory: join(directory, "redis") }, ...durable),
      wanted.registry ? startRegistry({ directory: join(directory, "registry") }) : Effect.undefined
    ],
    { concurrency: "unbounded" }
  )
  const kafka: ReadonlyArray<Server> = cluster.nodes.map(({ id, kill9, start }) => ({
    name: `kafka-${id}`,
    kill9,
    start: failing(`kafka-${id}`)(start)
  }))
  const phantoms = phantomTokens(join(directory, "clickhouse", "data"))
  const others: ReadonlyArray<Server> = [
    {
      name: "clickhouse",
      kill9: Effect.andThen(clickhouse.kill9, phantoms.look),
      start: failing("clickhouse")(clickhouse.start)
    },
    { name: "redis", kill9: redis.kill, start: redis.start },
    ...(registry === undefined
      ? []
      : [{ name: "registry", kill9: registry.kill9, start: failing("registry")(registry.start) }])
  ]
  return {
    brokers: cluster.brokers.split(","),
    kafka,
    others,
    /** Address of the registry, when there is one. */
    registry: registry?.url,
    phantoms,
    clickhouse: { url: clickhouse.url, user: clickhouse.user, password: clickhouse.password },
    /** What a process of the platform finds in its environment. */
    env: {
      TRIBUTARY_KAFKA_BROKERS: cluster.brokers,
      TRIBUTARY_CLICKHOUSE_URL: clickhouse.url,
      TRIBUTARY_CLICKHOUSE_USER: clickhouse.user,
      TRIBUTARY_CLICKHOUSE_PASSWORD: Redacted.value(clickhouse.password),
      ...(registry === undefined ? {} : { TRIBUTARY_REGISTRY_URL: registry.url }),
      TRIBUTARY_REDIS_URL: redis.url,
      TRIBUTARY_VAULT_KEY: randomBytes(32).toString("base64")
    }
  }
})

export type Servers = Effect.Success<ReturnType<typeof startServers>>

/** The registry of the servers, for what reads their topics. */
export const registryOf = ({ registry }: Servers) =>
  registry === undefined ? layerNone : layerConfluent({ url: registry })
