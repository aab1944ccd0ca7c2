import { Warehouse } from "@tributary/clickhouse"
import { Redis, type RedisOptions } from "@tributary/redis"
import { Effect } from "effect"

/** What a process uses: CPU seconds since its start, resident bytes. */
export interface ServerUse {
  readonly name: string
  readonly cpu: number
  readonly rss: number
}

/**
 * What ClickHouse says of itself: CPU time of its queries and merges, and its resident memory; the memory that it has counted where it
 * does not measure itself, as the embedded one.
 */
export const clickhouseUse = Effect.gen(function* () {
  const warehouse = yield* Warehouse
  const value = (sql: string) => Effect.map(warehouse.query(sql), ([row]) => Number(row?.["value"] ?? 0))
  const cpu = yield* value("SELECT sum(value) AS value FROM system.events WHERE event = 'OSCPUVirtualTimeMicroseconds'")
  const measures = yield* value(
    "SELECT count() AS value FROM system.tables WHERE database = 'system' AND name = 'asynchronous_metrics'"
  )
  const rss = yield* value(
    measures > 0
      ? "SELECT max(value) AS value FROM system.asynchronous_metrics WHERE metric = 'MemoryResident'"
      : "SELECT max(value) AS value FROM system.metrics WHERE metric = 'MemoryTracking'"
  )
  return { name: "clickhouse", cpu: cpu / 1_000_000, rss } satisfies ServerUse
})

const numberOf = (info: string, field: string): number =>
  Number(new RegExp(`^${field}:([\\d.]+)`, "mu").exec(info)?.[1] ?? 0)

/** What Redis says of itself. */
export const redisUse = (options: RedisOptions) =>
  Effect.gen(function* () {
    const redis = yield* Redis
    const connection = yield* redis.connect
    const cpu = String(yield* connection.command("INFO", ["cpu"]))
    const memory = String(yield* connection.command("INFO", ["memory"]))
    return {
      name: "redis",
      cpu: numberOf(cpu, "used_cpu_user") + numberOf(cpu, "used_cpu_sys"),
      rss: numberOf(memory, "used_memory_rss")
    } satisfies ServerUse
  }).pipe(Effect.scoped, Effect.provide(Redis.layer(options)))
