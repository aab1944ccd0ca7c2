import { KafkaLog } from "@tributary/kafka"
import { startCluster } from "@tributary/kafka/testing"
import { Log } from "@tributary/log"
import { durable, startRedis } from "@tributary/redis/testing"
import { Clock, Duration, Effect } from "effect"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Looks every 50 ms until it is so; dies with `what` after `longest`. */
export const until = <E, R>(what: () => string, longest: Duration.Input, look: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    const end = (yield* Clock.currentTimeMillis) + Duration.toMillis(longest)
    while (!(yield* look)) {
      if ((yield* Clock.currentTimeMillis) > end) return yield* Effect.die(new Error(`waited in vain: ${what()}`))
      yield* Effect.sleep("50 millis")
    }
  })

const limits = { maxRecords: 5_000, maxBytes: 4 * 1024 * 1024, wait: Duration.zero }

/** All values of a topic that readers of committed records see; of one that is not there none. */
export const valuesOf = Effect.fnUntraced(function* (topic: string) {
  const log = yield* Log
  const values: Array<string> = []
  if (!(yield* log.topics).some(({ name }) => name === topic)) return values
  for (const { earliest, end, partition } of yield* log.offsets(topic)) {
    for (let next = earliest; next < end;) {
      const batch = yield* log.read(topic, partition, next, limits)
      for (const { value } of batch.records) if (value !== null) values.push(Buffer.from(value).toString())
      if (batch.next === next) break
      next = batch.next
    }
  }
  return values
})

/** The `id` of each record of a topic. */
export const idsOf = (topic: string) =>
  Effect.map(valuesOf(topic), (values) => values.map((value) => /"id":"([^"]*)"/u.exec(value)?.[1] ?? value))

/** Runs a test on a broker and a Redis of its own, with a folder, and the environment of workers that share them. */
export const onServers = <E, R>(
  name: string,
  env: Readonly<Record<string, string>>,
  test: (directory: string, env: Readonly<Record<string, string>>) => Effect.Effect<void, E, R>
) =>
  Effect.gen(function* () {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), `tributary-${name}-`))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    )
    const [cluster, redis] = yield* Effect.all(
      [
        startCluster({
          nodes: 1,
          directory: join(directory, "kafka"),
          config: { "num.partitions": "1", "group.min.session.timeout.ms": "1000" }
        }),
        startRedis({ directory: join(directory, "redis") }, ...durable)
      ],
      { concurrency: "unbounded" }
    )
    yield* test(directory, {
      TRIBUTARY_KAFKA_BROKERS: cluster.brokers,
      TRIBUTARY_REDIS_URL: redis.url,
      TRIBUTARY_VAULT_KEY: randomBytes(32).toString("base64"),
      TRIBUTARY_KAFKA_SESSION_TIMEOUT: "3 seconds",
      ...env
    }).pipe(Effect.provide(KafkaLog.layer({ brokers: cluster.brokers.split(",") })))
  }).pipe(Effect.scoped)
