import type { Vitest } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { assert, describe } from "vitest"
import { type Claim, Log, type Producer } from "../../src/index.ts"
import type { Storage } from "../LogConformance.ts"
import { bytes, claimOf, makeTopic, readAll, reasonOf, record, type TestMember, textOf, unique } from "./support.ts"

const small = (to: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: to }))
const Records = Schema.Array(
  Schema.Struct({ compacted: Schema.Boolean, key: small(3), value: Schema.NullOr(small(99)) })
)

/** What may happen to a log. Producers and claims are those that were made so far, the newest first. */
const Step = Schema.Union([
  Schema.TaggedStruct("Fence", { id: small(1) }),
  Schema.TaggedStruct("Transact", { producer: small(3), records: Records }),
  Schema.TaggedStruct("Consume", { producer: small(2), claim: small(2), offset: small(50), records: Records }),
  Schema.TaggedStruct("Publish", { records: Records }),
  Schema.TaggedStruct("Commit", { claim: small(2), offset: small(50), metadata: Schema.String }),
  Schema.TaggedStruct("Handover", {})
])
type Step = typeof Step.Type
type Written = (typeof Records)["Type"]

/** The log as it should be: two topics of one partition each, one group. */
class Model {
  readonly plain: Array<string> = []
  readonly compacted = new Map<string, string | null>()
  position: { readonly offset: number; readonly metadata: string } | undefined
  write(records: Written): void {
    for (const { compacted, key, value } of records) {
      if (compacted) this.compacted.set(`${key}`, value === null ? null : `${value}`)
      else this.plain.push(`${key}=${value}`)
    }
  }
}

const history = Effect.fnUntraced(function* (steps: ReadonlyArray<Step>) {
  const log = yield* Log
  const plain = yield* makeTopic()
  const keyed = yield* makeTopic({ compacted: true })
  const group = unique("group")
  const ids = [unique("id"), unique("id")]
  const model = new Model()
  const producers: Array<{ readonly id: number; readonly producer: Producer }> = []
  const claims: Array<Claim> = []
  let member: TestMember | undefined
  const fence = Effect.fnUntraced(function* (id: number) {
    producers.unshift({ id, producer: yield* log.producer(ids[id]!) })
  })
  const handover = Effect.fnUntraced(function* () {
    if (member !== undefined) yield* member.leave
    const next = yield* claimOf(group, plain.name)
    member = next.member
    claims.unshift(next.claim)
  })
  const toRecords = (records: Written) =>
    records.map(({ compacted, key, value }) =>
      record(compacted ? keyed.name : plain.name, `${key}`, value === null ? null : `${value}`)
    )
  yield* fence(0)
  yield* handover()

  const step = Effect.fnUntraced(function* (next: Step) {
    switch (next._tag) {
      case "Fence":
        return yield* fence(next.id)
      case "Handover":
        return yield* handover()
      case "Publish":
        yield* log.publish(toRecords(next.records))
        return model.write(next.records)
      case "Commit": {
        const metadata = next.metadata.toWellFormed()
        const claim = claims[next.claim % claims.length]!
        if (claim !== claims[0])
          return assert.strictEqual(yield* reasonOf(claim.commit(next.offset, metadata)), "Fenced")
        yield* claim.commit(next.offset, metadata)
        model.position = { offset: next.offset, metadata }
        return
      }
      case "Transact":
      case "Consume": {
        const chosen = producers[next.producer % producers.length]!
        const newest = producers.find((other) => other.id === chosen.id)
        const claim = next._tag === "Consume" ? claims[next.claim % claims.length]! : undefined
        const transaction = {
          records: toRecords(next.records),
          ...(next._tag === "Consume" && claim !== undefined ? { consumed: { claim, offset: next.offset } } : {})
        }
        if (chosen !== newest || (claim !== undefined && claim !== claims[0]))
          return assert.strictEqual(yield* reasonOf(chosen.producer.transact(transaction)), "Fenced")
        yield* chosen.producer.transact(transaction)
        model.write(next.records)
        if (next._tag === "Consume") model.position = { offset: next.offset, metadata: "" }
      }
    }
  })
  for (const next of steps) yield* step(next)

  const read = (yield* readAll(plain.name, 0, 3)).map(({ key, value }) => `${textOf(key)}=${textOf(value)}`)
  assert.deepStrictEqual(read, model.plain)
  const last = new Map((yield* readAll(keyed.name, 0, 3)).map(({ key, value }) => [textOf(key), textOf(value)]))
  for (const key of ["0", "1", "2", "3"]) {
    const value = model.compacted.get(key) ?? null
    assert.strictEqual(textOf(yield* log.latest(keyed.name, bytes(key))), value)
    assert.strictEqual(last.get(key) ?? null, value)
  }
  assert.deepStrictEqual(
    yield* log.positions(group),
    model.position === undefined ? [] : [{ topic: plain.name, partition: 0, ...model.position }]
  )
})

export const modelCases = (it: Vitest.Methods, engine: Storage & { readonly histories?: number }): void => {
  describe("any history", () => {
    it.live.prop(
      "of transactions, fences, commits and handovers leaves what a simple model says",
      [Schema.Array(Step)],
      ([steps]) =>
        Effect.scoped(
          Effect.gen(function* () {
            const layer = yield* engine.storage
            return yield* Effect.scoped(history(steps)).pipe(Effect.provide(Layer.fresh(layer)))
          })
        ),
      { arbitrary: { runs: engine.histories ?? 100, size: 40 } }
    )
  })
}
