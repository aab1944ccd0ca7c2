import type { Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { assert, describe } from "vitest"
import type { Storage } from "../LogConformance.ts"
import {
  bytes,
  claimOf,
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

export const transactionCases = (it: Vitest.Methods, engine: Storage): void => {
  const use = withLog(engine)

  describe("a producer", () => {
    it.live("writes to several topics in one transaction, and gives the position of each record", () =>
      use((log) =>
        Effect.gen(function* () {
          const plain = yield* makeTopic({ partitions: 3 })
          const other = yield* makeTopic()
          const compacted = yield* makeTopic({ compacted: true })
          const producer = yield* log.producer(unique("id"))
          for (let i = 0; i < 3; i++) {
            const records = [
              ...numbers(0, 20).map((key) => record(plain.name, key, `${i}`)),
              record(other.name, null, `${i}`),
              record(compacted.name, "checkpoint", `${i}`)
            ]
            const positions = yield* producer.transact({ records })
            assert.deepStrictEqual(
              positions.map(({ topic }) => topic),
              records.map(({ topic }) => topic)
            )
          }
          assert.deepStrictEqual(values(yield* readAll(other.name)), ["0", "1", "2"])
          const spread = yield* Effect.forEach([0, 1, 2], (partition) => readAll(plain.name, partition))
          assert.strictEqual(spread.flat().length, 60)
          assert.strictEqual(textOf(yield* log.latest(compacted.name, bytes("checkpoint"))), "2")
        })
      )
    )

    it.live("writes nothing of a transaction of which a record is wrong, and goes on with the next", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const compacted = yield* makeTopic({ compacted: true })
          const producer = yield* log.producer(unique("id"))
          const good = [record(name, null, "a"), record(compacted.name, "k", "a")]
          assert.strictEqual(
            yield* reasonOf(producer.transact({ records: [...good, record(unique("missing"), null, "a")] })),
            "UnknownTopic"
          )
          assert.strictEqual(
            yield* reasonOf(producer.transact({ records: [...good, record(compacted.name, null, "no key")] })),
            "InvalidRequest"
          )
          assert.deepStrictEqual(yield* readAll(name), [])
          assert.isNull(yield* log.latest(compacted.name, bytes("k")))
          yield* producer.transact({ records: good })
          assert.deepStrictEqual(values(yield* readAll(name)), ["a"])
        })
      )
    )

    it.live("is fenced by a later one of its id and then writes nothing", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const id = unique("id")
          const first = yield* log.producer(id)
          const bystander = yield* log.producer(unique("id"))
          yield* first.transact({ records: [record(name, null, "first")] })
          const second = yield* log.producer(id)
          assert.strictEqual(yield* reasonOf(first.transact({ records: [record(name, null, "stale")] })), "Fenced")
          yield* second.transact({ records: [record(name, null, "second")] })
          assert.strictEqual(yield* reasonOf(first.transact({ records: [record(name, null, "stale")] })), "Fenced")
          yield* bystander.transact({ records: [record(name, null, "bystander")] })
          assert.deepStrictEqual(values(yield* readAll(name)), ["first", "second", "bystander"])
        })
      )
    )

    it.live("sees by `latest` the last commit of the one before it", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ compacted: true })
          const id = unique("id")
          const checkpoint = (value: string) => ({ records: [record(name, "checkpoint", value)] })
          let before = yield* log.producer(id)
          for (const value of numbers(0, 10)) {
            yield* before.transact(checkpoint(value))
            const after = yield* log.producer(id)
            assert.strictEqual(textOf(yield* log.latest(name, bytes("checkpoint"))), value)
            assert.strictEqual(yield* reasonOf(before.transact(checkpoint("stale"))), "Fenced")
            before = after
          }
        })
      )
    )

    it.live("commits a claim's position with the records", () =>
      use((log) =>
        Effect.gen(function* () {
          const input = yield* makeTopic()
          const output = yield* makeTopic()
          const group = unique("group")
          yield* log.publish(numbers(0, 10).map((value) => record(input.name, null, value)))
          const { claim } = yield* claimOf(group, input.name)
          yield* claim.commit(2, "plan")
          const producer = yield* log.producer(unique("id"))
          yield* producer.transact({ records: [record(output.name, null, "out")], consumed: { claim, offset: 5 } })
          assert.deepStrictEqual(yield* claim.committed, { offset: 5, metadata: "" })
          yield* producer.transact({ records: [], consumed: { claim, offset: 6 } })
          assert.deepStrictEqual(yield* log.positions(group), [
            { topic: input.name, partition: 0, offset: 6, metadata: "" }
          ])
          assert.deepStrictEqual(values(yield* readAll(output.name)), ["out"])
        })
      )
    )

    it.live("commits neither records nor position when it is fenced or the claim is over", () =>
      use((log) =>
        Effect.gen(function* () {
          const input = yield* makeTopic()
          const output = yield* makeTopic()
          const group = unique("group")
          const id = unique("id")
          yield* log.publish(numbers(0, 10).map((value) => record(input.name, null, value)))
          const { claim, member } = yield* claimOf(group, input.name)
          yield* claim.commit(1, "")
          const transaction = { records: [record(output.name, null, "out")], consumed: { claim, offset: 5 } }
          const stale = yield* log.producer(id)
          const producer = yield* log.producer(id)
          assert.strictEqual(yield* reasonOf(stale.transact(transaction)), "Fenced")
          yield* member.leave
          assert.strictEqual(yield* reasonOf(producer.transact(transaction)), "Fenced")
          const next = yield* claimOf(group, input.name)
          assert.strictEqual(yield* reasonOf(producer.transact(transaction)), "Fenced")
          assert.deepStrictEqual(yield* next.claim.committed, { offset: 1, metadata: "" })
          assert.deepStrictEqual(yield* readAll(output.name), [])
        })
      )
    )
  })
}
