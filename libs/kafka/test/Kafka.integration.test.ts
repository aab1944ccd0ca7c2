import { it } from "@effect/vitest"
import { type Claim, Log, LogError } from "@tributary/log"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, type Scope } from "effect"
import { Kafka, logLevel, type Producer as KafkaJsProducer } from "kafkajs"
import { spawn } from "node:child_process"
import { execPath } from "node:process"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe } from "vitest"
import {
  bytes,
  claimOf,
  eventually,
  makeTopic,
  numbers,
  patience,
  pump,
  readAll,
  reasonOf,
  record,
  suite,
  textOf,
  unique,
  values
} from "@tributary/log/testing"
import { KafkaLog } from "../src/index.ts"
import { findKafka } from "./server/KafkaServer.ts"

const kafka = await findKafka()
const brokers = "missing" in kafka ? [] : kafka.brokers
const server = "missing" in kafka ? undefined : kafka.server
afterAll(() => server?.stop())

const options: KafkaLog.KafkaLogOptions = {
  brokers,
  compression: "none",
  sessionTimeout: Duration.seconds(6),
  heartbeatInterval: Duration.millis(200)
}
const layer = KafkaLog.layer(options)
const use = <A, E>(
  body: (log: Log["Service"]) => Effect.Effect<A, E, Log | Scope.Scope>,
  own: Partial<KafkaLog.KafkaLogOptions> = {}
) => Effect.flatMap(Log, body).pipe(Effect.provide(Layer.fresh(KafkaLog.layer({ ...options, ...own }))))

const client = new Kafka({ brokers: [...brokers], clientId: "test", logLevel: logLevel.NOTHING })
/** A transactional producer of kafkajs, whose transactions can be left open and aborted. */
const other = (transactionTimeout = 60_000) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const producer = client.producer({
        transactionalId: unique("other"),
        idempotent: true,
        maxInFlightRequests: 1,
        transactionTimeout
      })
      await producer.connect()
      return producer
    }),
    (producer) => Effect.promise(() => producer.disconnect())
  )
type Open = Awaited<ReturnType<KafkaJsProducer["transaction"]>>
const begin = (producer: KafkaJsProducer) => Effect.promise(() => producer.transaction())
const send = (open: Open, topic: string, texts: ReadonlyArray<string>) =>
  Effect.promise(() => open.send({ topic, messages: texts.map((value) => ({ key: "key", value, partition: 0 })) }))
const abort = (open: Open) => Effect.promise(() => open.abort())
const commit = (open: Open) => Effect.promise(() => open.commit())

if ("missing" in kafka) {
  describe.skip(`Kafka: ${kafka.missing}`, () => it("is not there", () => {}))
} else {
  describe("on a broker", () => {
    suite("KafkaLog", { storage: Effect.succeed(layer), histories: 30 })

    describe("reads", () => {
      it.live("see nothing of a producer that aborted twice", () =>
        use((log) =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic()
            const producer = yield* other()
            for (const round of ["a", "b"]) {
              const open = yield* begin(producer)
              yield* send(open, name, [`${round}1`, `${round}2`, `${round}3`])
              yield* abort(open)
            }
            const open = yield* begin(producer)
            yield* send(open, name, ["kept 1", "kept 2"])
            yield* commit(open)
            yield* log.publish([record(name, null, "kept 3")])
            for (const size of [1, 2, 1000])
              assert.deepStrictEqual(values(yield* readAll(name, 0, size)), ["kept 1", "kept 2", "kept 3"])
          })
        )
      )

      it.live("see nothing of transactions that were aborted in another order than they began", () =>
        use((log) =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic()
            const first = yield* begin(yield* other())
            yield* send(first, name, ["first 1", "first 2", "first 3"])
            const second = yield* begin(yield* other())
            yield* send(second, name, ["second 1", "second 2"])
            const third = yield* begin(yield* other())
            yield* send(third, name, ["kept 1"])
            yield* send(first, name, ["first 4"])
            yield* send(second, name, ["second 3"])
            yield* abort(second)
            yield* send(third, name, ["kept 2"])
            yield* send(first, name, ["first 5"])
            yield* abort(first)
            yield* commit(third)
            yield* log.publish([record(name, null, "kept 3")])
            for (const size of [1, 2, 1000])
              assert.deepStrictEqual(values(yield* readAll(name, 0, size)), ["kept 1", "kept 2", "kept 3"])
          })
        )
      )

      it.live("see nothing of an abort that is longer than a fetch", () =>
        use((log) =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic()
            const open = yield* begin(yield* other())
            // 64 KiB are fetched at a time.
            for (let i = 0; i < 12; i++)
              yield* send(
                open,
                name,
                Array.from({ length: 20 }, () => "x".repeat(1000))
              )
            yield* abort(open)
            yield* log.publish([record(name, null, "kept")])
            const { records } = yield* log.read(name, 0, 0, { maxRecords: 10, maxBytes: 1, wait: patience })
            assert.deepStrictEqual(values(records), ["kept"])
          })
        )
      )

      it.live("understand records that were compressed", () =>
        Effect.forEach(
          ["gzip", "zstd"] as const,
          (compression) =>
            use(
              (log) =>
                Effect.gen(function* () {
                  const { name } = yield* makeTopic()
                  const texts = numbers(0, 2000)
                  yield* log.publish(texts.map((text) => record(name, text, text)))
                  assert.deepStrictEqual(values(yield* readAll(name, 0, 300)), texts)
                }),
              { compression }
            ),
          { discard: true }
        )
      )
    })

    describe("latest", () => {
      it.live("waits for a hung transaction in front of the last commit, and then sees that", () =>
        Effect.gen(function* () {
          const id = unique("id")
          const name = unique("checkpoints")
          const value = (text: string) => ({ records: [record(name, "mine", text)] })
          yield* use((log) =>
            Effect.gen(function* () {
              yield* log.ensureTopic({ name, partitions: 1, compacted: true })
              const producer = yield* log.producer(id)
              yield* producer.transact(value("20"))
              // Another stream hangs with its transaction open: the last stable offset stays before it.
              const hung = yield* other(3000)
              yield* send(yield* begin(hung), name, ["never"])
              yield* producer.transact(value("70"))
              const started = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
              yield* use((again) =>
                Effect.gen(function* () {
                  yield* again.producer(id)
                  assert.strictEqual(textOf(yield* again.latest(name, bytes("mine"))), "70")
                })
              )
              const ended = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
              assert.isAbove(ended - started, 500, "it had to wait for the time limit of the hung transaction")
            })
          )
        })
      )
    })

    describe("a member", () => {
      it.live.each(["commit", "transact"])(
        "that was frozen longer than its session can neither commit nor read; first it tries to %s",
        (first) =>
          use(
            (log) =>
              Effect.gen(function* () {
                const { name } = yield* makeTopic()
                const output = yield* makeTopic()
                const group = unique("group")
                yield* log.publish([record(name, null, "a")])
                const fixture = fileURLToPath(new URL("fixtures/member.ts", import.meta.url))
                const child = yield* Effect.acquireRelease(
                  Effect.sync(() =>
                    spawn(execPath, [fixture, brokers.join(","), group, name, output.name, unique("id"), first], {
                      stdio: ["pipe", "pipe", "inherit"]
                    })
                  ),
                  (child) => Effect.sync(() => child.kill("SIGKILL"))
                )
                let said = ""
                child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text))
                const words = Effect.sync(() => said.split("\n").filter((word) => word !== ""))
                yield* eventually(words, (all) => all.length === 1)
                child.kill("SIGSTOP")
                // Its session runs out, and the partition goes to another.
                const { claim } = yield* claimOf(group, name)
                yield* claim.commit(1, "mine")
                child.kill("SIGCONT")
                child.stdin.write("go\n")
                assert.deepStrictEqual(yield* eventually(words, (all) => all.length === 4), [
                  "claimed",
                  "Fenced",
                  "Fenced",
                  "Fenced"
                ])
                assert.deepStrictEqual(yield* claim.committed, { offset: 1, metadata: "mine" })
                assert.deepStrictEqual(yield* readAll(output.name), [])
              }),
            { sessionTimeout: Duration.seconds(2) }
          ),
        240_000
      )

      it.live("keeps its position when retention has passed it", () =>
        use((log) =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic()
            yield* log.publish(numbers(0, 20).map((text) => record(name, null, text)))
            const { claim } = yield* claimOf(unique("group"), name)
            yield* claim.commit(5, "plan")
            yield* Effect.acquireUseRelease(
              Effect.promise(async () => {
                const admin = client.admin()
                await admin.connect()
                return admin
              }),
              (admin) =>
                Effect.promise(async () => {
                  // It makes the client know the topic.
                  await admin.fetchTopicOffsets(name)
                  await admin.deleteTopicRecords({ topic: name, partitions: [{ partition: 0, offset: "10" }] })
                }),
              (admin) => Effect.promise(() => admin.disconnect())
            )
            const { reason } = yield* Effect.flip(
              claim.read(5, { maxRecords: 10, maxBytes: 1000, wait: Duration.seconds(1) })
            )
            assert.deepInclude(reason, { _tag: "OffsetOutOfRange", offset: 5, earliest: 10 })
            assert.deepStrictEqual(yield* claim.committed, { offset: 5, metadata: "plan" })
          })
        )
      )
    })

    describe("a producer", () => {
      it.live("that goes on after an error does not take its id back", () =>
        use((log) =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic()
            const id = unique("id")
            const old = yield* log.producer(id)
            const large = { topic: name, key: null, value: Buffer.alloc(3 * 1024 * 1024, "x") }
            assert.strictEqual(
              yield* reasonOf(old.transact({ records: [record(name, null, "a"), large] })),
              "InvalidRequest"
            )
            yield* old.transact({ records: [record(name, null, "b")] })
            assert.strictEqual(yield* reasonOf(old.transact({ records: [large] })), "InvalidRequest")
            const next = yield* log.producer(id)
            assert.strictEqual(yield* reasonOf(old.transact({ records: [record(name, null, "zombie")] })), "Fenced")
            yield* next.transact({ records: [record(name, null, "c")] })
            assert.deepStrictEqual(values(yield* readAll(name)), ["b", "c"])
          })
        )
      )

      it.live("leaves nothing behind when it is interrupted, and goes on", () =>
        use((log) =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic({ partitions: 3 })
            const producer = yield* log.producer(unique("id"))
            const kept: Array<string> = []
            for (let i = 0; i < 30; i++) {
              const texts = numbers(i * 100, i * 100 + 50)
              const fiber = yield* producer
                .transact({ records: texts.map((text) => record(name, text, text)) })
                .pipe(Effect.forkChild({ startImmediately: true }))
              yield* Effect.sleep(Duration.millis(i % 10))
              yield* Fiber.interrupt(fiber)
              const exit = yield* Fiber.await(fiber)
              if (Exit.isSuccess(exit)) kept.push(...texts)
            }
            yield* producer.transact({ records: [record(name, "last", "last")] })
            kept.push("last")
            const read = yield* Effect.forEach([0, 1, 2], (partition) => readAll(name, partition))
            // What was committed although its fiber was interrupted is there as a whole.
            const found = new Set(values(read.flat()))
            for (const text of kept) assert.isTrue(found.has(text), text)
            assert.strictEqual((found.size - 1) % 50, 0, `${found.size} records`)
          })
        )
      )
    })

    describe("opening", () => {
      it.live("fails with a reason when nobody answers", () =>
        Effect.gen(function* () {
          const closed = KafkaLog.layer({ brokers: ["127.0.0.1:9"], patience: Duration.millis(500) })
          const error = yield* Effect.flip(Effect.provide(Log, Layer.fresh(closed)))
          assert.instanceOf(error, LogError)
          assert.strictEqual(error.reason._tag, "LogUnavailable")
          assert.match(error.message, /127\.0\.0\.1:9.*ECONNREFUSED/)
          const wrong = KafkaLog.layer({ brokers: ["kafka"] })
          const unusable = yield* Effect.flip(Effect.provide(Log, Layer.fresh(wrong)))
          assert.match(unusable.message, /"kafka" is not the address of a broker; expected host:port/)
        })
      )
    })

    describe.skipIf(server === undefined)("a crash of the broker", () => {
      it.live(
        "interrupts nobody: transactions, members and readers go on, and nothing is lost or doubled",
        () =>
          use(
            (log) =>
              Effect.gen(function* () {
                const { name } = yield* makeTopic()
                const group = unique("group")
                const seen: Array<string | null> = []
                const done = yield* Deferred.make<void>()
                const worker = yield* log
                  .consume({ group, topics: [name] }, (claim: Claim) =>
                    pump(claim, (records) => {
                      seen.push(...values(records))
                      return seen.includes("99") ? Deferred.succeed(done, undefined) : Effect.void
                    })
                  )
                  .pipe(Effect.forkScoped)
                const producer = yield* log.producer(unique("id"))
                for (let i = 0; i < 100; i++) {
                  yield* producer.transact({ records: [record(name, null, String(i))] })
                  if (i === 50) {
                    yield* Effect.promise(() => server?.kill() ?? Promise.resolve())
                    yield* Effect.forkScoped(Effect.promise(() => server?.restart() ?? Promise.resolve()))
                  }
                }
                yield* Effect.raceFirst(Deferred.await(done), Fiber.join(worker))
                assert.deepStrictEqual(values(yield* readAll(name)), numbers(0, 100))
                assert.deepStrictEqual([...new Set<string | null>(seen)], [...numbers(0, 100)])
              }),
            // However long the broker takes to start on a loaded machine.
            { patience: Duration.minutes(2), transactionTimeout: Duration.minutes(3) }
          ),
        180_000
      )
    })
  })
}
