import type { Vitest } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { assert, describe } from "vitest"
import { Log, OffsetOutOfRange } from "../../src/index.ts"
import type { Engine } from "../LogConformance.ts"
import {
  bytes,
  claimOf,
  eventually,
  makeTopic,
  numbers,
  readAll,
  reasonOf,
  record,
  textOf,
  unique,
  values,
  withLog
} from "./support.ts"

const limits = { maxRecords: 1, maxBytes: 1, wait: Duration.zero }

export const lifecycleCases = <R>(it: Vitest.Methods, engine: Engine<R>): void => {
  const use = withLog(engine)

  describe("a topic", () => {
    it.live("is made once, grows and never shrinks", () =>
      use((log) =>
        Effect.gen(function* () {
          const name = unique("topic")
          const made = yield* log.ensureTopic({ name, partitions: 2 })
          assert.deepInclude(made, { name, partitions: 2, compacted: false })
          assert.deepStrictEqual(yield* log.ensureTopic({ name, partitions: 2 }), made)
          assert.deepStrictEqual(yield* log.ensureTopic({ name, partitions: 1 }), made)
          assert.deepStrictEqual(yield* log.ensureTopic({ name, partitions: 3 }), { ...made, partitions: 3 })
          assert.deepStrictEqual(
            (yield* log.topics).filter((topic) => topic.name === name),
            [{ ...made, partitions: 3 }]
          )
          assert.deepStrictEqual(
            yield* log.offsets(name),
            [0, 1, 2].map((partition) => ({ partition, earliest: 0, end: 0 }))
          )
          assert.strictEqual(
            yield* reasonOf(log.ensureTopic({ name, partitions: 3, compacted: true })),
            "InvalidRequest"
          )
          const keyed = yield* makeTopic({ compacted: true, partitions: 2 })
          assert.deepStrictEqual(yield* log.ensureTopic({ ...keyed, partitions: 5 }), keyed)
        })
      )
    )

    it.live("needs a name and a number of partitions that every engine takes", () =>
      use((log) =>
        Effect.gen(function* () {
          for (const name of ["", ".", "..", "a b", "ä", "a/b", "x".repeat(250)])
            assert.strictEqual(yield* reasonOf(log.ensureTopic({ name, partitions: 1 })), "InvalidRequest", name)
          for (const partitions of [0, -1, 1.5])
            assert.strictEqual(
              yield* reasonOf(log.ensureTopic({ name: unique("topic"), partitions })),
              "InvalidRequest"
            )
        })
      )
    )

    it.live("has another id when it is deleted and made again, and nothing of before", () =>
      use((log) =>
        Effect.gen(function* () {
          const { id, name } = yield* makeTopic()
          yield* log.publish([record(name, null, "old")])
          yield* log.deleteTopic(name)
          assert.strictEqual(yield* reasonOf(log.read(name, 0, 0, limits)), "UnknownTopic")
          assert.strictEqual(yield* reasonOf(log.publish([record(name, null, "x")])), "UnknownTopic")
          assert.isFalse((yield* log.topics).some((topic) => topic.name === name))
          const again = yield* log.ensureTopic({ name, partitions: 1 })
          assert.notStrictEqual(again.id, id)
          assert.deepStrictEqual(yield* readAll(name), [])
          yield* log.publish([record(name, null, "new")])
          assert.deepStrictEqual(values(yield* readAll(name)), ["new"])
        })
      )
    )

    it.live("deletes by size what is oldest; a read of it fails", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ retentionBytes: 1_000_000 })
          const value = "x".repeat(100_000)
          for (let i = 0; i < 40; i++) yield* log.publish([record(name, String(i), value)])
          if (engine.retain !== undefined) yield* engine.retain
          const [place] = yield* eventually(log.offsets(name), ([place]) => place !== undefined && place.earliest > 0)
          assert.isDefined(place)
          const { reason } = yield* Effect.flip(log.read(name, 0, 0, limits))
          assert.instanceOf(reason, OffsetOutOfRange)
          assert.deepInclude(reason, { topic: name, partition: 0, offset: 0 })
          // A broker deletes step by step, and writes the marker of the last transaction a moment later.
          assert.isAtLeast(reason.earliest, place.earliest)
          assert.include([place.end, place.end + 1], reason.end)
          const kept = yield* Effect.retry(readAll(name), {
            while: (error) => error.reason._tag === "OffsetOutOfRange",
            times: 10
          })
          assert.isAtLeast(kept.length, 10)
          const keys = kept.map((record) => textOf(record.key))
          assert.deepStrictEqual(keys, [...numbers(40 - kept.length, 40)])
        })
      )
    )

    it.live("deletes by age", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ retention: Duration.millis(300) })
          for (let i = 0; i < 10; i++) yield* log.publish([record(name, null, "x")])
          yield* Effect.sleep("500 millis")
          if (engine.retain !== undefined) yield* engine.retain
          const [place] = yield* eventually(log.offsets(name), ([place]) => place !== undefined && place.earliest > 0)
          assert.isDefined(place)
          assert.strictEqual(yield* reasonOf(log.read(name, 0, 0, limits)), "OffsetOutOfRange")
          yield* log.publish([record(name, null, "later")])
          assert.isAtLeast((yield* log.offsets(name))[0]!.end, place.end + 1)
        })
      )
    )

    it.live("that is compacted keeps the last value of each key", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ compacted: true, partitions: 3 })
          for (let round = 0; round < 3; round++)
            yield* log.publish(numbers(0, 20).map((key) => record(name, key, `${key} in ${round}`)))
          yield* log.publish([record(name, "3", null), record(name, "twice", "a"), record(name, "twice", "b")])
          assert.isNull(yield* log.latest(name, bytes("3")))
          assert.isNull(yield* log.latest(name, bytes("never written")))
          assert.strictEqual(textOf(yield* log.latest(name, bytes("4"))), "4 in 2")
          assert.strictEqual(textOf(yield* log.latest(name, bytes("twice"))), "b")
          yield* log.publish([record(name, "3", "back"), record(name, "empty", "")])
          assert.strictEqual(textOf(yield* log.latest(name, bytes("3"))), "back")
          assert.strictEqual(textOf(yield* log.latest(name, bytes("empty"))), "")
          // Readers see at least the last value of each key, in order of offset.
          const last = new Map<string | null, string | null>()
          for (const partition of [0, 1, 2]) {
            let offset = -1
            for (const read of yield* readAll(name, partition, 3)) {
              assert.isAbove(read.offset, offset)
              offset = read.offset
              last.set(textOf(read.key), textOf(read.value))
            }
          }
          assert.strictEqual(last.size, 22)
          for (const key of numbers(0, 20)) assert.strictEqual(last.get(key), key === "3" ? "back" : `${key} in 2`)
          assert.strictEqual(yield* reasonOf(log.publish([record(name, null, "no key")])), "InvalidRequest")
          const plain = yield* makeTopic()
          assert.strictEqual(yield* reasonOf(log.latest(plain.name, bytes("k"))), "InvalidRequest")
        })
      )
    )
  })

  describe("a restart", () => {
    it.live("keeps topics, records, positions and fences, and generations go on growing", () =>
      Effect.gen(function* () {
        const layer = yield* engine.storage
        const id = unique("id")
        const group = unique("group")
        const once = <A, E>(body: Effect.Effect<A, E, Log>) => Effect.provide(body, Layer.fresh(layer))
        const before = yield* once(
          Effect.scoped(
            Effect.gen(function* () {
              const log = yield* Log
              const plain = yield* makeTopic({ partitions: 2 })
              const compacted = yield* makeTopic({ compacted: true })
              const producer = yield* log.producer(id)
              const { claim } = yield* claimOf(group, plain.name)
              yield* producer.transact({
                records: [
                  ...numbers(0, 10).map((value) => record(plain.name, null, value, 0)),
                  record(compacted.name, "checkpoint", "10")
                ]
              })
              yield* claim.commit(4, "plan")
              return { plain, compacted, producer, claim }
            })
          )
        )
        yield* once(
          Effect.scoped(
            Effect.gen(function* () {
              const log = yield* Log
              const names = new Set([before.plain.name, before.compacted.name])
              const topics = (yield* log.topics).filter((topic) => names.has(topic.name))
              assert.deepStrictEqual(
                new Map(topics.map((topic) => [topic.name, topic])),
                new Map([before.plain, before.compacted].map((topic) => [topic.name, topic]))
              )
              assert.deepStrictEqual(values(yield* readAll(before.plain.name)), numbers(0, 10))
              const producer = yield* log.producer(id)
              assert.strictEqual(textOf(yield* log.latest(before.compacted.name, bytes("checkpoint"))), "10")
              yield* producer.transact({ records: [record(before.plain.name, null, "10", 0)] })
              const zombie = { records: [], consumed: { claim: before.claim, offset: 9 } }
              assert.strictEqual(yield* reasonOf(producer.transact(zombie)), "Fenced")
              const { claim } = yield* claimOf(group, before.plain.name)
              assert.strictEqual(yield* reasonOf(producer.transact(zombie)), "Fenced")
              assert.isAbove(claim.generation, before.claim.generation)
              assert.deepStrictEqual(yield* log.positions(group), [
                { topic: before.plain.name, partition: 0, offset: 4, metadata: "plan" }
              ])
              assert.deepStrictEqual(values(yield* readAll(before.plain.name)), numbers(0, 11))
            })
          )
        )
      })
    )
  })
}
