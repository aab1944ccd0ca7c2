import { it } from "@effect/vitest"
import { type Claim, Log } from "@tributary/log"
import {
  bytes,
  eventually,
  makeTopic,
  numbers,
  patience,
  readAll,
  record,
  textOf,
  unique,
  values
} from "@tributary/log/testing"
import { Deferred, Duration, Effect, Fiber, Layer, Scope, Exit } from "effect"
import { type Admin, ConfigResourceTypes, Kafka, logLevel } from "kafkajs"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, beforeEach, describe } from "vitest"
import { KafkaLog } from "../src/index.ts"
import { brokerClassPath } from "./server/Jars.ts"
import { type KafkaCluster, quick, startCluster } from "./server/KafkaServer.ts"

const jars = brokerClassPath()
const missing = "missing" in jars ? jars.missing : undefined

let cluster: KafkaCluster
const scope = Scope.makeUnsafe()
const directory = mkdtempSync(join(tmpdir(), "tributary-kafka-"))

const use = <A, E>(body: (log: Log["Service"]) => Effect.Effect<A, E, Log | Scope.Scope>) =>
  Effect.suspend(() => {
    const layer = KafkaLog.layer({
      brokers: cluster.brokers.split(","),
      replication: 3,
      compression: "none",
      sessionTimeout: Duration.seconds(6),
      heartbeatInterval: Duration.millis(300)
    })
    return Effect.flatMap(Log, body).pipe(Effect.provide(Layer.fresh(layer)))
  })

const withAdmin = <A>(work: (admin: Admin) => Promise<A>) =>
  Effect.promise(async () => {
    const admin = new Kafka({ brokers: cluster.brokers.split(","), logLevel: logLevel.NOTHING }).admin()
    try {
      await admin.connect()
      return await work(admin)
    } finally {
      await admin.disconnect()
    }
  })

/** Waits until each replica of each partition is in sync, so that any broker may end. */
const inSync = eventually(
  withAdmin(async (admin) => {
    const { topics } = await admin.fetchTopicMetadata()
    return topics.flatMap(({ partitions }) => partitions).every(({ isr, replicas }) => isr.length === replicas.length)
  }),
  (all) => all
)

/** Copies records to another topic, each with its position in one transaction, and goes on after failures as services do. */
const copying = (group: string, from: string, to: string) =>
  use((log) =>
    log
      .consume({ group, topics: [from] }, (claim: Claim) =>
        Effect.gen(function* () {
          const producer = yield* log.producer(`${group}/${from}/${claim.partition}`)
          let at = (yield* claim.committed)?.offset ?? 0
          for (;;) {
            const { next, records } = yield* claim.read(at, { maxRecords: 50, maxBytes: 100_000, wait: patience })
            const copies = records.map(({ key, value }) => ({ topic: to, key, value }))
            if (copies.length > 0) yield* producer.transact({ records: copies, consumed: { claim, offset: next } })
            at = next
          }
        }).pipe(Effect.scoped)
      )
      .pipe(Effect.retry({ while: (error) => error.failureClass === "transient" }))
  )

describe.skipIf(missing !== undefined)(`Three brokers${missing ? ` (${missing})` : ""}`, () => {
  beforeAll(async () => {
    cluster = await Effect.runPromise(Scope.provide(startCluster({ directory, config: quick }), scope))
  }, 240_000)
  // What a test that failed has ended is there again for the next.
  beforeEach(() =>
    Effect.runPromise(Effect.forEach(cluster.nodes, ({ start }) => start, { concurrency: 3, discard: true }))
  )
  afterAll(async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    rmSync(directory, { recursive: true, force: true })
  })

  it.live(
    "each killed and started again: every call gets through, and nothing is lost or doubled",
    () =>
      use((log) =>
        Effect.gen(function* () {
          const { name: from } = yield* makeTopic({ partitions: 6 })
          const { name: to } = yield* makeTopic({ partitions: 3 })
          const { name: checkpoints } = yield* makeTopic({ partitions: 2, compacted: true })
          const group = unique("group")
          const members = yield* Effect.forEach([1, 2], () => Effect.forkScoped(copying(group, from, to)))

          let written = 0
          const stop = yield* Deferred.make<void>()
          const producer = yield* log.producer(unique("id"))
          const writing = yield* Effect.gen(function* () {
            while (!(yield* Deferred.isDone(stop))) {
              const batch = numbers(written, written + 20).map((text) => record(from, text, text))
              yield* producer.transact({ records: [...batch, record(checkpoints, "at", `${written + 20}`)] })
              written += 20
              assert.strictEqual(textOf(yield* log.latest(checkpoints, bytes("at"))), `${written}`)
              yield* Effect.sleep("5 millis")
            }
          }).pipe(Effect.forkScoped)
          const progress = Effect.suspend(() => {
            const goal = written + 200
            return Effect.raceFirst(
              Fiber.join(writing),
              eventually(
                Effect.sync(() => written),
                (count) => count >= goal
              )
            )
          })

          yield* progress
          for (const node of cluster.nodes) {
            yield* inSync
            yield* node.kill9
            // While it is away: everything else that a log does, at once and not only when the others have noticed.
            const made = yield* makeTopic({ partitions: 3 })
            yield* log.ensureTopic({ name: made.name, partitions: 4 })
            yield* log.publish(numbers(0, 10).map((text) => record(made.name, text, text)))
            const ends = yield* log.offsets(made.name)
            assert.strictEqual(ends.length, 4)
            const all = yield* Effect.forEach([0, 1, 2, 3], (partition) => readAll(made.name, partition))
            assert.strictEqual(all.flat().length, 10)
            yield* log.positions(group)
            yield* log.producer(unique("id"))
            yield* log.deleteTopic(made.name)
            yield* progress
            yield* node.start
            yield* progress
          }
          yield* Deferred.succeed(stop, undefined)
          yield* Fiber.join(writing)

          const copied = eventually(
            Effect.map(
              Effect.forEach([0, 1, 2], (partition) => readAll(to, partition)),
              (parts) => values(parts.flat())
            ),
            (all) => all.length >= written
          )
          const copies = yield* Effect.raceFirst(
            copied,
            Effect.raceFirst(Fiber.join(members[0]!), Fiber.join(members[1]!))
          )
          // What a member did not get through is done by the next, once.
          yield* Effect.sleep("1 second")
          const sources = yield* Effect.forEach([0, 1, 2, 3, 4, 5], (partition) => readAll(from, partition))
          assert.deepStrictEqual([...values(sources.flat())].sort(), [...numbers(0, written)].sort())
          assert.deepStrictEqual([...copies].sort(), [...numbers(0, written)].sort())
        })
      ),
    300_000
  )

  it.live(
    "fewer in sync than are asked for: a write fails as transient and says so, leaves nothing, and passes when they are back",
    () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          yield* withAdmin((admin) =>
            admin.alterConfigs({
              validateOnly: false,
              resources: [
                {
                  type: ConfigResourceTypes.TOPIC,
                  name,
                  configEntries: [{ name: "min.insync.replicas", value: "3" }]
                }
              ]
            })
          )
          yield* inSync
          const node = cluster.nodes[0]
          assert.isDefined(node)
          yield* node.kill9
          const error = yield* Effect.flip(log.publish([record(name, null, "a")]))
          assert.strictEqual(error.failureClass, "transient")
          assert.match(error.message, /NOT_ENOUGH_REPLICAS.*fewer replicas are in sync than min\.insync\.replicas/)
          yield* node.start
          yield* inSync
          yield* log.publish([record(name, null, "b")])
          assert.deepStrictEqual(values(yield* readAll(name)), ["b"])
        })
      ),
    180_000
  )
})
