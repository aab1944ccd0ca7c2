import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pid } from "node:process"
import { DatabaseSync } from "node:sqlite"
import { Log, LogError, LogLocked, LogMaintenance, LogUnusable, SqliteLog } from "../src/index.ts"
import {
  bytes,
  claimOf,
  failureOf,
  makeTopic,
  numbers,
  readAll,
  reasonOf,
  record,
  textOf,
  values
} from "./conformance/support.ts"
import { temporaryDirectory } from "./temporaryDirectory.ts"

const limits = { maxRecords: 1000, maxBytes: 10_000_000, wait: Duration.zero }
const retain = LogMaintenance.use((maintenance) => maintenance.retain)

/** Runs with a log on `directory`, opened for this call. */
const on =
  (directory: string, options: Partial<SqliteLog.SqliteLogOptions> = {}) =>
  <A, E, R>(body: Effect.Effect<A, E, R>) =>
    Effect.scoped(body).pipe(Effect.provide(SqliteLog.layer({ directory, ...options })))
const readingOnly =
  (directory: string) =>
  <A, E, R>(body: Effect.Effect<A, E, R>) =>
    Effect.scoped(body).pipe(Effect.provide(SqliteLog.layerReadOnly({ directory })))

const edit = (directory: string, sql: string) =>
  Effect.sync(() => {
    const database = new DatabaseSync(join(directory, "log.db"))
    database.exec(sql)
    database.close()
  })

describe("SqliteLog's files", () => {
  it.live("are in use by one at a time, and the other learns by whom", () =>
    Effect.gen(function* () {
      const directory = join(yield* temporaryDirectory, "new", "one")
      yield* on(directory)(
        Effect.gen(function* () {
          const { reason } = yield* Effect.flip(on(directory)(Effect.void))
          assert.instanceOf(reason, LogLocked)
          assert.deepInclude(reason, { path: directory, pid })
          assert.include(reason.message, directory)
          assert.include(reason.message, `process ${pid}`)
        })
      )
      yield* on(directory)(Effect.void)
    })
  )

  it.live("are refused when they are no log of this version, or cannot be used", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const problem = Effect.map(Effect.flip(on(directory)(Effect.void)), ({ reason }) => {
        assert.instanceOf(reason, LogUnusable)
        assert.include(reason.message, directory)
        return reason.problem
      })
      yield* Effect.sync(() => writeFileSync(join(directory, "log.db"), "this is no database".repeat(1000)))
      assert.include(yield* problem, "not a SQLite database")
      yield* Effect.sync(() => writeFileSync(join(directory, "log.db"), ""))
      yield* on(directory)(makeTopic())
      yield* edit(directory, "PRAGMA user_version = 99")
      assert.include(yield* problem, "version 99")
      yield* edit(directory, "PRAGMA application_id = 1")
      assert.include(yield* problem, "another program")
      const { reason } = yield* Effect.flip(on(join(directory, "log.db", "below a file"))(Effect.void))
      assert.instanceOf(reason, LogUnusable)
      const missing = yield* Effect.flip(readingOnly(join(directory, "nowhere"))(Effect.void))
      assert.instanceOf(missing.reason, LogUnusable)
      assert.include(missing.reason.message, "does not exist")
    })
  )

  it.live("say where they are damaged", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const damage = (table: string) =>
        edit(
          directory,
          `UPDATE ${table} SET records = CAST(substr(records, 1, 20) || x'00' || substr(records, 22) AS BLOB)`
        )
      const { keyed, plain } = yield* on(directory)(
        Effect.gen(function* () {
          const log = yield* Log
          const plain = yield* makeTopic()
          const keyed = yield* makeTopic({ compacted: true })
          yield* log.publish([record(plain.name, "key", "value"), record(keyed.name, "key", "value")])
          return { plain, keyed }
        })
      )
      yield* damage("batches")
      yield* damage("keyed")
      yield* on(directory)(
        Effect.gen(function* () {
          const log = yield* Log
          for (const failed of [
            yield* Effect.flip(log.read(plain.name, 0, 0, limits)),
            yield* Effect.flip(log.read(keyed.name, 0, 0, limits)),
            yield* Effect.flip(log.latest(keyed.name, bytes("key")))
          ]) {
            assert.instanceOf(failed.reason, LogUnusable)
            assert.match(failed.reason.problem, /damaged: records of topic-\w+\/0 at offset 0: the checksum/)
          }
        })
      )
      yield* edit(directory, "DELETE FROM batches")
      const gone = yield* on(directory)(Log.use((log) => Effect.flip(log.read(plain.name, 0, 0, limits))))
      assert.include(gone.message, "are missing")
    })
  )

  it.live("full, take nothing more, and go on when there is room again", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* on(directory, { maxBytes: 2_000_000 })(
        Effect.gen(function* () {
          const log = yield* Log
          const { name } = yield* makeTopic({ retentionBytes: 500_000 })
          const other = yield* makeTopic({ compacted: true })
          const producer = yield* log.producer("full")
          const transact = (i: number) =>
            producer.transact({
              records: [record(other.name, "checkpoint", String(i)), record(name, null, `${i} ${"x".repeat(100_000)}`)]
            })
          let written = 0
          for (;;) {
            const result = yield* Effect.result(transact(written))
            if (result._tag === "Failure") {
              assert.strictEqual(result.failure.reason._tag, "LogFull")
              assert.strictEqual(result.failure.failureClass, "transient")
              break
            }
            written++
          }
          assert.isAbove(written, 5)
          // Nothing of the refused transaction is there, in neither topic.
          assert.strictEqual(textOf(yield* log.latest(other.name, bytes("checkpoint"))), String(written - 1))
          assert.strictEqual((yield* readAll(name)).at(-1)?.value?.length, `${written - 1} `.length + 100_000)
          yield* retain
          yield* transact(written)
          assert.strictEqual(textOf(yield* log.latest(other.name, bytes("checkpoint"))), String(written))
        })
      )
    })
  )

  it.live("do not grow while retention is steady", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* on(directory)(
        Effect.gen(function* () {
          const log = yield* Log
          const { name } = yield* makeTopic({ retentionBytes: 4_000_000 })
          const page = numbers(0, 50).map((value) => record(name, value, "x".repeat(10_000)))
          for (let i = 0; i < 100; i++) {
            yield* log.publish(page)
            if (i % 4 === 0) yield* retain
          }
          const [place] = yield* log.offsets(name)
          assert.isAbove(place!.earliest, 4000)
          assert.isBelow(statSync(join(directory, "log.db")).size, 12_000_000)
          assert.strictEqual((yield* readAll(name)).length, place!.end - place!.earliest)
        })
      )
    })
  )

  it.live("are emptied of deleted topics", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* on(directory)(
        Effect.gen(function* () {
          const log = yield* Log
          const plain = yield* makeTopic({ partitions: 3 })
          const keyed = yield* makeTopic({ compacted: true })
          yield* log.publish(
            numbers(0, 600).flatMap((value) => [record(plain.name, value, value), record(keyed.name, value, value)])
          )
          yield* log.deleteTopic(plain.name)
          yield* log.deleteTopic(keyed.name)
          yield* retain
        })
      )
      const database = new DatabaseSync(join(directory, "log.db"))
      for (const table of ["topics", "partitions", "batches", "keyed"])
        assert.deepEqual({ ...database.prepare(`SELECT count(*) AS n FROM ${table}`).get() }, { n: 0 }, table)
      database.close()
    })
  )

  it.live("take records of 64 MB, and refuse larger ones with advice", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* on(directory)(
        Effect.gen(function* () {
          const log = yield* Log
          const { name } = yield* makeTopic()
          const largest = new Uint8Array(64 * 1024 * 1024).fill(7)
          yield* log.publish([record(name, null, "before"), { topic: name, key: null, value: largest }])
          const { records } = yield* log.read(name, 0, 1, { ...limits, maxBytes: 1 })
          assert.strictEqual(records[0]?.value?.length, largest.length)
          const tooLarge = log.publish([{ topic: name, key: bytes("k"), value: largest }])
          const { message, reason } = yield* Effect.flip(tooLarge)
          assert.strictEqual(reason._tag, "InvalidRequest")
          assert.include(message, "at most 67108864 are accepted. Split it")
        })
      )
    })
  )

  it.live("closed, leave nobody waiting", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      let ended = false
      const { consuming, log, name, producer, reading } = yield* on(directory)(
        Effect.gen(function* () {
          const log = yield* Log
          const { name } = yield* makeTopic()
          const reading = yield* log
            .read(name, 0, 0, { ...limits, wait: Duration.infinity })
            .pipe(Effect.exit, Effect.forkDetach({ startImmediately: true }))
          const consuming = yield* log
            .consume({ group: "g", topics: [name] }, () =>
              Effect.never.pipe(Effect.ensuring(Effect.sync(() => (ended = true))))
            )
            .pipe(Effect.exit, Effect.forkDetach({ startImmediately: true }))
          yield* claimOf("other", name)
          const producer = yield* log.producer("id")
          return { log, name, reading, consuming, producer }
        })
      )
      for (const fiber of [reading, consuming]) {
        const failure = failureOf(yield* Effect.timeout(Fiber.join(fiber), "5 seconds"))
        assert.instanceOf(failure, LogError)
        assert.strictEqual(failure.reason._tag, "LogUnavailable")
      }
      assert.isTrue(ended)
      assert.strictEqual(yield* reasonOf(log.publish([record(name, null, "x")])), "LogUnavailable")
      assert.include(["LogUnavailable", "InvalidRequest"], yield* reasonOf(producer.transact({ records: [] })))
      assert.deepStrictEqual(readdirSync(directory).sort(), ["lock.db", "lock.pid", "log.db"])
    })
  )

  it.effect("lose tombstones after 24 hours, and expired records, by themselves", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* on(directory)(
        Effect.gen(function* () {
          const log = yield* Log
          const keyed = yield* makeTopic({ compacted: true })
          const aged = yield* makeTopic({ retention: Duration.hours(1) })
          const kept = yield* makeTopic()
          yield* log.publish([
            record(keyed.name, "a", "1"),
            record(keyed.name, "b", "1"),
            record(keyed.name, "a", null),
            record(aged.name, null, "old"),
            record(kept.name, null, "old")
          ])
          yield* TestClock.adjust("59 minutes")
          yield* log.publish([record(aged.name, null, "young")])
          assert.strictEqual((yield* readAll(aged.name)).length, 2)
          yield* TestClock.adjust("2 minutes")
          assert.deepStrictEqual(values(yield* readAll(aged.name)), ["young"])
          yield* TestClock.adjust("22 hours")
          assert.deepStrictEqual(values(yield* readAll(keyed.name)), ["1", null])
          yield* TestClock.adjust("1 hour")
          assert.deepStrictEqual(values(yield* readAll(keyed.name)), ["1"])
          assert.deepStrictEqual(values(yield* readAll(kept.name)), ["old"])
          // Where nothing is left, a reader still gets to the end.
          const [place] = yield* log.offsets(keyed.name)
          assert.strictEqual((yield* log.read(keyed.name, 0, 2, limits)).next, place!.end)
        })
      )
    })
  )

  it.effect("waits for a tail read end by the clock", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* on(directory)(
        Effect.gen(function* () {
          const log = yield* Log
          const { name } = yield* makeTopic()
          const reader = yield* log
            .read(name, 0, 0, { ...limits, wait: Duration.minutes(5) })
            .pipe(Effect.forkScoped({ startImmediately: true }))
          yield* TestClock.adjust("299 seconds")
          assert.isUndefined(reader.pollUnsafe())
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(yield* Fiber.join(reader), { records: [], next: 0, end: 0 })
        })
      )
    })
  )
})

describe("SqliteLog read only", () => {
  it.live("sees what the writer commits, and refuses to write", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* on(directory)(
        Effect.gen(function* () {
          const log = yield* Log
          const plain = yield* makeTopic({ partitions: 2 })
          const keyed = yield* makeTopic({ compacted: true })
          yield* log.publish([
            ...numbers(0, 5).map((value) => record(plain.name, null, value, 1)),
            record(keyed.name, "k", "v")
          ])
          const { claim } = yield* claimOf("group", plain.name)
          yield* claim.commit(1, "plan")
          const expected = { topics: yield* log.topics, offsets: yield* log.offsets(plain.name) }
          yield* Effect.gen(function* () {
            const reader = yield* Log
            assert.sameDeepMembers([...(yield* reader.topics)], [...expected.topics])
            assert.deepStrictEqual(yield* reader.offsets(plain.name), expected.offsets)
            assert.deepStrictEqual(values(yield* readAll(plain.name, 1, 2)), numbers(0, 5))
            assert.strictEqual(textOf(yield* reader.latest(keyed.name, bytes("k"))), "v")
            assert.deepStrictEqual(yield* reader.positions("group"), [
              { topic: plain.name, partition: 0, offset: 1, metadata: "plan" }
            ])
            assert.strictEqual(yield* reasonOf(reader.read(plain.name, 0, 9, limits)), "OffsetOutOfRange")
            assert.strictEqual(yield* reasonOf(reader.read("missing", 0, 0, limits)), "UnknownTopic")
            for (const call of [
              reader.publish([]),
              reader.ensureTopic({ name: "x", partitions: 1 }),
              reader.deleteTopic("x"),
              reader.producer("x"),
              reader.consume({ group: "g", topics: [] }, () => Effect.never)
            ])
              assert.strictEqual(yield* reasonOf(call), "InvalidRequest")
          }).pipe(Effect.provide(SqliteLog.layerReadOnly({ directory })))
        })
      )
      // No writer, no WAL.
      const topics = yield* readingOnly(directory)(Log.use((log) => log.topics))
      assert.strictEqual(topics.length, 2)
    })
  )

  it.live("wakes when the writer commits", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* on(directory)(
        Effect.gen(function* () {
          const log = yield* Log
          const { name } = yield* makeTopic()
          yield* Effect.gen(function* () {
            const reader = yield* Log
            let from = 0
            const latencies: Array<number> = []
            for (let i = 0; i < 20; i++) {
              const reading = yield* reader
                .read(name, 0, from, { ...limits, wait: Duration.seconds(10) })
                .pipe(Effect.forkScoped({ startImmediately: true }))
              yield* Effect.sleep("10 millis")
              assert.isUndefined(reading.pollUnsafe())
              yield* log.publish([record(name, null, `${i}`)])
              const [elapsed, batch] = yield* Effect.timed(Fiber.join(reading))
              assert.deepStrictEqual(values(batch.records), [`${i}`])
              from = batch.next
              latencies.push(Duration.toMillis(elapsed))
            }
            // By the safety look alone it would be half a second in the middle.
            latencies.sort((a, b) => a - b)
            assert.isBelow(latencies[10]!, 250)
            const waited = yield* Effect.timeoutOption(
              reader.read(name, 0, from, { ...limits, wait: Duration.millis(100) }),
              "5 seconds"
            )
            assert.deepStrictEqual(
              Option.map(waited, (batch) => batch.records.length),
              Option.some(0)
            )
          }).pipe(Effect.scoped, Effect.provide(Layer.fresh(SqliteLog.layerReadOnly({ directory }))))
        })
      )
    })
  )
})
