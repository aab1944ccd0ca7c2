import type { Vitest } from "@effect/vitest"
import { Duration, Effect, Fiber, Option } from "effect"
import { assert, describe } from "vitest"
import { OffsetOutOfRange } from "../../src/index.ts"
import type { Storage } from "../LogConformance.ts"
import {
  bytes,
  makeTopic,
  numbers,
  patience,
  readAll,
  reasonOf,
  record,
  textOf,
  unique,
  values,
  withLog
} from "./support.ts"

const limits = { maxRecords: 1000, maxBytes: 1_000_000, wait: Duration.zero }

export const recordCases = (it: Vitest.Methods, engine: Storage): void => {
  const use = withLog(engine)

  describe("records", () => {
    it.live("are read in the order of their publishing, none left out, whatever the page size", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          for (let start = 0; start < 300; start += 100) {
            const positions = yield* log.publish(numbers(start, start + 100).map((value) => record(name, null, value)))
            assert.strictEqual(positions.length, 100)
            for (let i = 1; i < 100; i++) assert.isAbove(positions[i]!.offset, positions[i - 1]!.offset)
          }
          for (const pageSize of [1, 7, 100, 1000])
            assert.deepStrictEqual(values(yield* readAll(name, 0, pageSize)), numbers(0, 300))
        })
      )
    )

    it.live("are where their positions say, and a read from there begins with them", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ partitions: 3 })
          const positions = yield* log.publish(numbers(0, 50).map((value) => record(name, `key ${value}`, value)))
          for (const [i, { offset, partition, topic }] of positions.entries()) {
            assert.strictEqual(topic, name)
            const { records } = yield* log.read(name, partition, offset, { ...limits, maxRecords: 1, wait: patience })
            assert.deepStrictEqual(
              records.map((record) => [record.offset, textOf(record.value)]),
              [[offset, String(i)]]
            )
          }
        })
      )
    )

    it.live("come back as they were written: keys, nulls, empty values, headers, any bytes", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const all = Uint8Array.from({ length: 256 }, (_, i) => i)
          const headers = {
            plain: "text",
            empty: "",
            "größe 🚀": "日本語 \u0000 \u{10ffff}",
            __proto: "x",
            ["__proto__"]: "own",
            "7": "seven",
            long: "é".repeat(500)
          }
          const written = [
            { topic: name, key: null, value: null },
            { topic: name, key: new Uint8Array(0), value: new Uint8Array(0) },
            { topic: name, key: all, value: all, headers },
            { topic: name, key: bytes("k"), value: null, headers },
            { topic: name, key: null, value: bytes("v"), headers: {} },
            { topic: name, key: bytes("x".repeat(300)), value: bytes("y".repeat(70_000)), headers: { other: "1" } }
          ]
          const before = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          yield* log.publish(written)
          const after = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          const read = yield* readAll(name)
          assert.deepStrictEqual(
            read.map(({ headers, key, value }) => ({
              key: key && [...key],
              value: value && [...value],
              headers: Object.entries(headers).sort()
            })),
            written.map(({ headers, key, value }) => ({
              key: key && [...key],
              value: value && [...value],
              headers: Object.entries(headers ?? {}).sort()
            }))
          )
          for (const { timestamp } of read)
            assert.isTrue(timestamp >= Math.floor(before) && timestamp <= Math.ceil(after), `timestamp ${timestamp}`)
        })
      )
    )

    it.live("are refused when a header is no Unicode text, and nothing is written", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const wrong = [record(name, null, "a"), { ...record(name, null, "b"), headers: { broken: "\ud800" } }]
          assert.strictEqual(yield* reasonOf(log.publish(wrong)), "InvalidRequest")
          assert.deepStrictEqual(yield* readAll(name), [])
        })
      )
    )

    it.live("go to the partition that Kafka's clients choose for their key", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ partitions: 7 })
          // murmur2 of the keys as Kafka's own tests have it, without its sign, modulo 7.
          const hashes = {
            "21": -973932308,
            foobar: -790332482,
            abc: 479470107,
            "a-little-bit-long-string": -985981536
          }
          const positions = yield* log.publish(Object.keys(hashes).map((key) => record(name, key, key)))
          assert.deepStrictEqual(
            positions.map((position) => position.partition),
            Object.values(hashes).map((hash) => (hash & 0x7fffffff) % 7)
          )
        })
      )
    )

    it.live("go to the partition that is named, and without key and partition to all in turn", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ partitions: 3 })
          const [named] = yield* log.publish([record(name, "abc", "x", 2)])
          assert.strictEqual(named?.partition, 2)
          const seen = new Set<number>()
          for (let i = 0; i < 30; i++)
            for (const { partition } of yield* log.publish([record(name, null, "x"), record(name, null, "y")]))
              seen.add(partition)
          assert.deepStrictEqual([...seen].sort(), [0, 1, 2])
          assert.strictEqual(yield* reasonOf(log.publish([record(name, null, "x", 3)])), "InvalidRequest")
          assert.strictEqual(yield* reasonOf(log.publish([record(name, null, "x", -1)])), "InvalidRequest")
        })
      )
    )

    it.live("of one call are all written or none", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const wrong = [record(name, null, "a"), record(unique("missing"), null, "b")]
          assert.strictEqual(yield* reasonOf(log.publish(wrong)), "UnknownTopic")
          assert.deepStrictEqual(yield* readAll(name), [])
          assert.deepStrictEqual(yield* log.publish([]), [])
        })
      )
    )
  })

  describe("read", () => {
    it.live("keeps to its limits, but gives at least one record", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          yield* log.publish(numbers(0, 20).map((value) => record(name, null, value.padEnd(1000, "."))))
          const few = yield* log.read(name, 0, 0, { ...limits, maxRecords: 3, wait: patience })
          assert.strictEqual(few.records.length, 3)
          const small = yield* log.read(name, 0, 0, { ...limits, maxBytes: 4500, wait: patience })
          assert.isTrue(small.records.length >= 1 && small.records.length <= 4, `${small.records.length} records`)
          const least = yield* log.read(name, 0, 0, { ...limits, maxBytes: 1, wait: patience })
          assert.strictEqual(least.records.length, 1)
        })
      )
    )

    it.live("wakes when a record is published, long before its wait ends", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ partitions: 2 })
          const reader = yield* log
            .read(name, 1, 0, { ...limits, wait: patience })
            .pipe(Effect.forkScoped({ startImmediately: true }))
          yield* log.publish([record(name, null, "elsewhere", 0)])
          yield* Effect.sleep("100 millis")
          assert.isUndefined(reader.pollUnsafe())
          yield* log.publish([record(name, null, "here", 1)])
          const [elapsed, batch] = yield* Effect.timed(Fiber.join(reader))
          assert.deepStrictEqual(values(batch.records), ["here"])
          assert.isBelow(Duration.toMillis(elapsed), Duration.toMillis(patience) / 2)
        })
      )
    )

    it.live("gives nothing when its wait has passed, and can be repeated from the same offset", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          yield* log.publish([record(name, null, "a")])
          const end = (yield* log.offsets(name))[0]!.end
          const [elapsed, batch] = yield* Effect.timed(
            log.read(name, 0, end, { ...limits, wait: Duration.millis(200) })
          )
          assert.deepStrictEqual(batch.records, [])
          assert.isAtLeast(batch.next, end)
          assert.isAtLeast(Duration.toMillis(elapsed), 190)
          yield* log.publish([record(name, null, "b")])
          const more = yield* log.read(name, 0, batch.next, { ...limits, wait: patience })
          assert.deepStrictEqual(values(more.records), ["b"])
        })
      )
    )

    it.live("can be interrupted while it waits", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const reader = yield* log
            .read(name, 0, 0, { ...limits, wait: Duration.infinity })
            .pipe(Effect.forkScoped({ startImmediately: true }))
          yield* Effect.sleep("50 millis")
          const ended = yield* Effect.timeoutOption(Fiber.interrupt(reader), Duration.divideUnsafe(patience, 2))
          assert.isTrue(Option.isSome(ended))
        })
      )
    )

    it.live("fails beyond the end, and says what the partition holds", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          yield* log.publish(numbers(0, 5).map((value) => record(name, null, value)))
          const end = (yield* log.offsets(name))[0]!.end
          const { reason } = yield* Effect.flip(log.read(name, 0, end + 10, limits))
          assert.instanceOf(reason, OffsetOutOfRange)
          assert.deepInclude(reason, { topic: name, partition: 0, offset: end + 10, earliest: 0 })
          // A broker writes the marker of the transaction behind the records, and may do so a moment later.
          assert.include([end, end + 1], reason.end)
        })
      )
    )

    it.live("fails for a topic or partition that is not there", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const missing = unique("missing")
          assert.strictEqual(yield* reasonOf(log.read(missing, 0, 0, limits)), "UnknownTopic")
          assert.strictEqual(yield* reasonOf(log.offsets(missing)), "UnknownTopic")
          assert.strictEqual(yield* reasonOf(log.latest(missing, bytes("k"))), "UnknownTopic")
          assert.strictEqual(yield* reasonOf(log.deleteTopic(missing)), "UnknownTopic")
          assert.strictEqual(yield* reasonOf(log.read(name, 1, 0, limits)), "InvalidRequest")
        })
      )
    )
  })
}
