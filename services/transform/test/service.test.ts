import { rejectedHeaders } from "@tributary/domain"
import { type Claim, Log, type Producer } from "@tributary/log"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { runTransform } from "../src/service.ts"
import { fixtures } from "./support.ts"
import {
  count,
  raw,
  output,
  dead,
  group,
  test,
  connector,
  steps,
  order,
  text,
  everything,
  positionOf,
  stage,
  until,
  publish,
  run,
  finish,
  consistent
} from "./serviceSupport.ts"

describe("runTransform", () => {
  it.live("lets a predecessor write nothing any more, neither records nor its position", () =>
    test(
      Effect.gen(function* () {
        yield* publish(Array.from({ length: count }, (_, n) => order(n)))
        const claims: Array<Claim> = []
        const producers: Array<Producer> = []
        const stuck = yield* Deferred.make<void>()
        const seen = {
          claim: (claim: Claim) => void claims.push(claim),
          producer: (producer: Producer) => void producers.push(producer)
        }
        const zombie = yield* Effect.forkChild(
          run(connector(steps), { ...seen, before: Effect.andThen(Deferred.succeed(stuck, undefined), Effect.never) })
        )
        yield* Deferred.await(stuck)
        yield* Fiber.interrupt(zombie)
        yield* finish(connector(steps), seen)
        yield* consistent
        const log = yield* Log
        const late = [{ topic: output, key: null, value: Buffer.from('{"line":"late"}') }]
        const tries = [
          // Its transactional id was taken over, its scope is closed, and its claim is over.
          producers[0]!.transact({ records: late }),
          producers[0]!.transact({ records: late, consumed: { claim: claims[0]!, offset: 4 } }),
          Effect.scoped(
            Effect.flatMap(log.producer("another"), (own) =>
              own.transact({ records: late, consumed: { claim: claims[0]!, offset: 4 } })
            )
          ),
          claims[0]!.commit(4, "")
        ]
        for (const one of tries) assert.strictEqual((yield* Effect.result(one))._tag, "Failure")
        yield* consistent
        assert.strictEqual(yield* positionOf, count)
      })
    )
  )

  it.live("begins again from the position when another producer has taken its id, with its effect once", () =>
    test(
      Effect.gen(function* () {
        yield* publish(Array.from({ length: count }, (_, n) => order(n)))
        const log = yield* Log
        let transactions = 0
        const steal = Effect.suspend(() =>
          ++transactions === 3 ? Effect.scoped(Effect.asVoid(log.producer(`${group}/${raw}/0`))) : Effect.void
        ).pipe(Effect.orDie)
        const fiber = yield* Effect.forkChild(run(connector(steps), { before: steal }))
        const retrying = yield* until(stage, (now) => now?.state === "retrying")
        assert.include(retrying?.problem?.message, "now belongs to another worker")
        assert.strictEqual(yield* positionOf, 8)
        yield* consistent
        yield* until(positionOf, (position) => position === count)
        yield* consistent
        yield* Fiber.interrupt(fiber)
      })
    )
  )

  it.live("sends what it cannot transform to the dead-letter topic, as it was, with reason and place", () =>
    test(
      Effect.gen(function* () {
        const values = [order(0), "no json", null, order(3), '{"n":4,"total":"1"}', "[]"]
        yield* publish(values)
        yield* finish(connector(steps))
        const rejected = yield* everything(dead)
        assert.deepStrictEqual(
          rejected.map(({ headers, key, value }) => [
            text(key),
            value === null ? null : text(value),
            headers[rejectedHeaders.code],
            headers[rejectedHeaders.stage],
            headers[rejectedHeaders.topic],
            headers[rejectedHeaders.partition],
            headers[rejectedHeaders.offset]
          ]),
          [
            ["k1", "no json", "not-json", "transform", raw, "0", "1"],
            ["k2", null, "not-json", "transform", raw, "0", "2"],
            ["k3", order(3), "cast", "transform", raw, "0", "3"],
            ["k4", '{"n":4,"total":"1"}', "filter", "transform", raw, "0", "4"],
            ["k5", "[]", "not-an-object", "transform", raw, "0", "5"]
          ]
        )
        assert.isTrue(rejected.every(({ headers }) => (headers[rejectedHeaders.reason] ?? "").length > 10))
        const status = yield* stage
        assert.deepStrictEqual([status?.records, status?.rejected, status?.batches], [6, 5, 2])
      })
    )
  )

  it.live("survives a reason that is no text", () =>
    test(
      Effect.gen(function* () {
        yield* publish(['{"a":1}', '{"b":2}'])
        yield* finish(connector([{ typescript: "./broken-text.ts" }]))
        const rejected = yield* everything(dead)
        assert.deepStrictEqual(
          rejected.map(({ headers }) => headers[rejectedHeaders.reason]?.includes("half a character: \ufffd")),
          [true, true]
        )
      })
    )
  )

  it.live("moves on when nothing comes out", () =>
    test(
      Effect.gen(function* () {
        yield* publish(Array.from({ length: 10 }, () => '{"n":1}'))
        yield* finish(connector([{ filter: "record.n > 1" }]))
        assert.strictEqual(yield* positionOf, 10)
        assert.deepStrictEqual(yield* everything(output), [])
        assert.deepStrictEqual(yield* everything(dead), [])
        const log = yield* Log
        assert.deepStrictEqual(
          (yield* log.positions(group)).map(({ metadata }) => metadata),
          [""]
        )
      })
    )
  )

  it.live("pauses when records that it has not read were deleted, and skips nothing", () =>
    test(
      Effect.gen(function* () {
        yield* publish([order(1), order(2)])
        const log = yield* Log
        const committed = yield* Deferred.make<void>()
        const other = yield* Effect.forkChild(
          log.consume({ group, topics: [raw] }, (claim) =>
            claim
              .commit(7, "")
              .pipe(Effect.andThen(Deferred.succeed(committed, undefined)), Effect.andThen(Effect.never))
          )
        )
        yield* Deferred.await(committed)
        yield* Fiber.interrupt(other)
        const fiber = yield* Effect.forkChild(run(connector(steps)))
        const paused = yield* until(stage, (now) => now?.state === "paused")
        assert.strictEqual(paused?.problem?.class, "misconfigured")
        assert.include(paused?.problem?.message, `Offset 7 of ${raw}/0 is not there`)
        assert.strictEqual(yield* positionOf, 7)
        assert.deepStrictEqual(yield* everything(output), [])
        yield* Fiber.interrupt(fiber)
      })
    )
  )

  it.live("pauses when a step is wrong, and names it", () =>
    test(
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(run(connector([{ typescript: "./nowhere.ts" }])))
        const paused = yield* until(stage, (now) => now?.state === "paused")
        assert.include(paused?.problem?.message, "step 1 (typescript)")
        yield* Fiber.interrupt(fiber)
        const once = yield* Effect.flip(
          runTransform(connector([{ typescript: "./nowhere.ts" }]), "orders", fixtures, { once: true })
        )
        assert.strictEqual(once.failureClass, "misconfigured")
      })
    )
  )

  it.live("loads its modules once, however often it begins again", () =>
    test(
      Effect.gen(function* () {
        const before = globalThis.loadsOfCounted ?? 0
        let tries = 0
        yield* publish([order(0)])
        yield* finish(connector([{ typescript: "./counted.ts" }]), {
          before: Effect.suspend(() => (++tries < 3 ? Effect.die(new Error("again")) : Effect.void))
        })
        assert.strictEqual(tries, 3)
        assert.strictEqual((globalThis.loadsOfCounted ?? 0) - before, 1)
        // One that cannot be made for want of a secret is tried again too.
        const wrong = connector([
          { typescript: "./counted.ts" },
          { mask: { customer: "sha256" }, salt: "${env:MISSING}" }
        ])
        const { problem } = yield* Effect.flip(runTransform(wrong, "orders", fixtures, { once: true }))
        assert.include(problem, "step 2 (mask)")
        assert.strictEqual((globalThis.loadsOfCounted ?? 0) - before, 1)
      })
    )
  )

  it.live("keeps each key's order over partitions, and goes on with what comes later", () =>
    test(
      Effect.gen(function* () {
        const settings = connector([{ keep: ["n"] }], 3)
        const fiber = yield* Effect.forkChild(run(settings))
        for (let round = 0; round < 3; round++) {
          yield* publish(
            Array.from({ length: 20 }, () => `{"n":${round},"other":1}`),
            3
          )
          yield* until(everything(output), (records) => records.length === 20 * (round + 1))
        }
        yield* Fiber.interrupt(fiber)
        const records = yield* everything(output)
        const byKey = new Map<string, string>()
        for (const { key, value } of records) byKey.set(text(key), (byKey.get(text(key)) ?? "") + text(value))
        assert.strictEqual(byKey.size, 20)
        for (const values of byKey.values()) assert.strictEqual(values, '{"n":0}{"n":1}{"n":2}')
      })
    )
  )

  it.live("returns at once when the stream has no steps", () => test(run(connector([]))))
})
