import { it } from "@effect/vitest"
import { startClickHouse } from "@tributary/clickhouse/testing"
import { KafkaLog } from "@tributary/kafka"
import { findKafka } from "@tributary/kafka/testing"
import { Log } from "@tributary/log"
import { durable, missing as missingRedis, redisServer } from "@tributary/redis/testing"
import { findRegistry } from "@tributary/schema-registry/testing"
import { Effect, Redacted } from "effect"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe } from "vitest"
import { endLoads, left, load, nothing, resultOf, sums } from "./loads.ts"
import { endAll, tributary } from "./support.ts"

const [kafka, registry] = await Promise.all([findKafka(), findRegistry()])
const reason = "missing" in kafka ? kafka.missing : "missing" in registry ? registry.missing : missingRedis
const folder = mkdtempSync(join(tmpdir(), "tributary-load-servers-"))
afterAll(async () => {
  endLoads()
  await endAll()
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
  if ("server" in kafka) await kafka.server?.stop()
  if ("server" in registry) await registry.server?.stop()
})

describe.skipIf(reason !== undefined)(
  `tributary load on servers${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    it.live(
      "compares every record with workers of its own and with those that run, and cleans up",
      () =>
        Effect.gen(function* () {
          assert(!("missing" in kafka) && !("missing" in registry))
          const clickhouse = yield* startClickHouse({ directory: join(folder, "clickhouse") })
          const redis = yield* redisServer(...durable)
          const env = {
            TRIBUTARY_KAFKA_BROKERS: kafka.brokers.join(","),
            TRIBUTARY_REGISTRY_URL: registry.url,
            TRIBUTARY_CLICKHOUSE_URL: clickhouse.url,
            TRIBUTARY_CLICKHOUSE_USER: clickhouse.user,
            TRIBUTARY_CLICKHOUSE_PASSWORD: Redacted.value(clickhouse.password),
            TRIBUTARY_REDIS_URL: redis.url,
            TRIBUTARY_VAULT_KEY: randomBytes(32).toString("base64"),
            TRIBUTARY_LOAD_SECRET: randomBytes(12).toString("hex")
          }
          const leftOnServers = Effect.gen(function* () {
            const topics = (yield* (yield* Log).topics).map(({ name }) => name)
            const query = tributary(["query", "SELECT name FROM system.databases", "--json"], { env })
            const { code, err, out } = yield* Effect.promise(() => query.ended)
            assert.strictEqual(code, 0, err)
            const list = tributary(["status", "--json"], { env })
            const status = yield* Effect.promise(() => list.ended)
            return [...topics, out, status.out].filter((text) => text.includes("load_"))
          }).pipe(Effect.provide(KafkaLog.layer({ brokers: kafka.brokers, clientId: "test" })))

          const flags = ["--records", "30000", "--json"]
          const own = load(
            [...flags, "--transform", "cast", "--format", "avro", "--workers", "source=1,transform=1,sink=1"],
            { env }
          )
          const first = yield* Effect.promise(() => own.ended)
          assert.strictEqual(first.code, 0, first.err)
          const result = resultOf(first.out)
          assert.strictEqual(result.outcome, "ok")
          assert.deepStrictEqual(sums(result), nothing)
          assert.includeMembers(
            result.processes.map(({ name }) => name),
            ["source-1", "transform-1", "sink-1", "clickhouse", "redis"]
          )
          assert.deepStrictEqual(left(own.temporary), [])
          assert.deepStrictEqual(yield* leftOnServers, [])

          const workers = ["source", "sink"].map((service) =>
            tributary(["run", service, "--data", join(folder, service)], {
              env: { ...env, TRIBUTARY_WORKER: `${service}-x` }
            })
          )
          const attached = load([...flags, "--workers", "running"], { env })
          const second = yield* Effect.promise(() => attached.ended)
          assert.strictEqual(second.code, 0, second.err)
          const other = resultOf(second.out)
          assert.deepStrictEqual(sums(other), nothing)
          assert.includeMembers(
            other.processes.map(({ name }) => name),
            ["source-x", "sink-x"]
          )
          assert.deepStrictEqual(yield* leftOnServers, [])
          for (const worker of workers) {
            assert.isNull(worker.child.exitCode, "a worker that is not the test's goes on")
            worker.child.kill("SIGTERM")
            assert.strictEqual((yield* Effect.promise(() => worker.ended)).code, 0)
          }
        }),
      180_000
    )
  }
)
