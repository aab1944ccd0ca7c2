import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, PubSub, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Status, StreamStatus } from "../src/index.ts"

const test = <A, E>(name: string, body: (status: Status["Service"]) => Effect.Effect<A, E>) =>
  it.effect(name, () => Status.use(body).pipe(Effect.provide(Status.layer, { local: true })))

describe("Status", () => {
  test("counts what a stage reports, and when", (status) =>
    Effect.gen(function* () {
      const sink = yield* status.reporter("shop", "orders", "sink")
      assert.strictEqual(yield* sink.batches, 0)
      yield* TestClock.adjust("5 seconds")
      yield* sink.progress({ records: 10, bytes: 1000, rejected: 2, skipped: 1, freshness: 700 })
      yield* TestClock.adjust("1 second")
      yield* sink.progress({ records: 5, bytes: 1, skipped: 3 })
      yield* sink.restarted
      const [entry] = yield* status.snapshot
      assert.deepStrictEqual(entry, {
        connector: "shop",
        stream: "orders",
        stages: {
          sink: {
            state: "starting",
            problem: null,
            records: 15,
            bytes: 1001,
            rejected: 2,
            batches: 2,
            skipped: 4,
            unmarked: 0,
            ahead: 0,
            unasked: 0,
            restarts: 1,
            lastAt: 6000,
            nextAt: null,
            freshness: 700
          }
        }
      })
      assert.strictEqual(yield* sink.batches, 2)
    }))

  test("a state brings its problem and its next time, and takes the last ones away", (status) =>
    Effect.gen(function* () {
      const source = yield* status.reporter("shop", "orders", "source")
      const stage = Effect.map(status.snapshot, ([entry]) => entry?.stages.source)
      yield* TestClock.adjust(100)
      yield* source.state("retrying", { problem: { class: "transient", message: "no route" }, nextAt: 900 })
      assert.deepStrictEqual((yield* stage)?.problem, { class: "transient", message: "no route", at: 100 })
      assert.strictEqual((yield* stage)?.nextAt, 900)
      yield* source.state("running")
      assert.deepStrictEqual(
        [(yield* stage)?.state, (yield* stage)?.problem, (yield* stage)?.nextAt],
        ["running", null, null]
      )
    }))

  test("keeps streams and stages apart, and forgets a connector", (status) =>
    Effect.gen(function* () {
      const places = [
        ["shop", "orders", "source"],
        ["shop", "orders", "sink"],
        ["shop", "items", "source"],
        ["bank", "orders", "source"]
      ] as const
      for (const [k, [connector, stream, stage]] of places.entries()) {
        const reporter = yield* status.reporter(connector, stream, stage)
        yield* reporter.progress({ records: 10 ** k, bytes: 0 })
      }
      const all = yield* status.snapshot
      assert.deepStrictEqual(
        all.map(({ connector, stages, stream }) => [connector, stream, stages.source?.records, stages.sink?.records]),
        [
          ["shop", "orders", 1, 10],
          ["shop", "items", 100, undefined],
          ["bank", "orders", 1000, undefined]
        ]
      )
      const late = yield* status.reporter("shop", "orders", "sink")
      yield* status.forget("shop")
      // What a stage that is being stopped still reports does not bring it back.
      yield* late.progress({ records: 1, bytes: 1 })
      assert.deepStrictEqual(
        (yield* status.snapshot).map(({ connector }) => connector),
        ["bank"]
      )
      // A stage that starts again counts from nothing.
      yield* status.reporter("bank", "orders", "source")
      assert.strictEqual((yield* status.snapshot)[0]?.stages.source?.records, 0)
    }))

  test("says that something changed, once for all changes since the last look", (status) =>
    Effect.scoped(
      Effect.gen(function* () {
        const changes = yield* status.changes
        const sink = yield* status.reporter("shop", "orders", "sink")
        for (let k = 0; k < 100; k++) yield* sink.progress({ records: 1, bytes: 1 })
        yield* PubSub.take(changes)
        const next = yield* Effect.forkChild(PubSub.take(changes), { startImmediately: true })
        yield* Effect.yieldNow
        assert.isUndefined(next.pollUnsafe())
        yield* sink.state("waiting")
        yield* Fiber.join(next)
      })
    ))

  test("is what the status topic holds", (status) =>
    Effect.gen(function* () {
      const sink = yield* status.reporter("shop", "orders", "sink")
      yield* sink.state("paused", { problem: { class: "misconfigured", message: "no table" } })
      yield* sink.progress({ records: 1, bytes: 2, freshness: 3.5 })
      const [entry] = yield* status.snapshot
      const text = yield* Schema.encodeEffect(Schema.fromJsonString(StreamStatus))(entry!)
      assert.deepStrictEqual(yield* Schema.decodeEffect(Schema.fromJsonString(StreamStatus))(text), entry)
    }))
})
