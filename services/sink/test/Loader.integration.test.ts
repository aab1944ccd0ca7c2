import { Unavailable, Warehouse, WarehouseError } from "@tributary/clickhouse"
import { type Claim, Log } from "@tributary/log"
import { Status } from "@tributary/telemetry"
import { unhurried } from "@tributary/testkit"
import { assert, describe } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Deferred, Duration, Effect, Fiber, Ref } from "effect"
import {
  dead,
  Engine,
  expected,
  failureOf,
  finish,
  killServer,
  overflow,
  publish,
  rows,
  run,
  setting,
  settled,
  type Setting,
  stored,
  until,
  wallClock,
  isAcknowledged
} from "./support.ts"

const position = (place: Setting) => Effect.flatMap(Log, (log) => log.positions(place.group))

const status = (place: Setting) =>
  Effect.map(
    Effect.flatMap(Status, ({ snapshot }) => snapshot),
    (entries) => entries.find(({ stream }) => stream === place.name)?.stages.sink
  )

let attempts = 0

layerPerAttempt(Engine)("loadPartition", (it) => {
  describe("ClickHouse", () => {
    it.effect("is killed again and again while records come: the loader recovers by itself", () =>
      Effect.gen(function* () {
        const place = yield* setting("killed", { options: { maxRows: 2_000 } })
        const loader = yield* Effect.forkChild(run(place))
        const killer = yield* Effect.forkChild(
          Effect.gen(function* () {
            for (let k = 0; k < 3; k++) {
              yield* Effect.sleep("150 millis")
              yield* killServer
            }
          })
        )
        let next = 0
        while (killer.pollUnsafe() === undefined) {
          yield* publish(place, rows(next, 500))
          next += 500
          yield* Effect.sleep("10 millis")
        }
        yield* Fiber.join(killer)
        yield* settled(place)
        assert.isUndefined(loader.pollUnsafe())
        yield* Fiber.interrupt(loader)
        assert.deepStrictEqual(yield* stored(place), expected(next))
        assert.deepStrictEqual(yield* dead(place), [])
      })
    )

    it.effect("took the rows, but its answer was lost and the token forgotten: nothing comes twice", () =>
      Effect.gen(function* () {
        const place = yield* setting("unanswered", { spec: { dedupWindow: 3 } })
        yield* publish(place, rows(0, 10))
        let lost = 0
        const services = yield* Effect.context<Warehouse>()
        yield* finish(place, {
          insert: (_plan, _encoded, real) =>
            lost++ > 0
              ? real
              : Effect.gen(function* () {
                  yield* real
                  yield* Effect.orDie(overflow(place))
                  return yield* new WarehouseError({
                    action: "insert",
                    reason: new Unavailable({ code: 0, name: "no answer", detail: "the answer was lost" })
                  })
                }).pipe(Effect.provide(services))
        })
        assert.strictEqual(lost, 1)
        assert.deepStrictEqual(yield* stored(place), expected(10))
      })
    )

    it.effect("has a table that cannot be loaded: nothing is skipped, and it goes on once the table is mended", () =>
      Effect.gen(function* () {
        const place = yield* setting("mended")
        const warehouse = yield* Warehouse
        yield* warehouse.command("CREATE DATABASE IF NOT EXISTS shop")
        yield* warehouse.command("CREATE TABLE shop.mended (id Int64, name String) ENGINE = MergeTree ORDER BY id")
        yield* publish(place, rows(0, 12))
        const error = yield* failureOf(place)
        assert.strictEqual(error.failureClass, "misconfigured")
        assert.include(error.message, "non_replicated_deduplication_window")
        assert.deepStrictEqual(yield* position(place), [])
        yield* warehouse.command("ALTER TABLE shop.mended MODIFY SETTING non_replicated_deduplication_window = 1000")
        yield* finish(place)
        assert.deepStrictEqual(yield* stored(place), expected(12))
        assert.deepStrictEqual(yield* dead(place), [])
      })
    )

    it.effect("loses the table in the middle: the loader stops, and what is not loaded is loaded into a new one", () =>
      Effect.gen(function* () {
        const place = yield* setting("dropped")
        yield* publish(place, rows(0, 10))
        const warehouse = yield* Warehouse
        const loader = yield* Effect.forkChild(Effect.flip(run(place)))
        yield* settled(place)
        yield* warehouse.command("DROP TABLE shop.dropped SYNC")
        yield* publish(place, rows(10, 10))
        const error = yield* Fiber.join(loader)
        assert.strictEqual(error.failureClass, "misconfigured")
        assert.include(error.message, "restart the sink")
        yield* finish(place)
        assert.deepStrictEqual(
          yield* stored(place),
          expected(20, (n) => n < 10)
        )
      })
    )
  })

  describe("the next range", () => {
    it.effect("is only one ahead, however long an insert takes; nothing is left when the insert fails", () =>
      Effect.gen(function* () {
        const place = yield* setting("ahead")
        yield* publish(place, rows(0, 200))
        const read = yield* Ref.make(0)
        const reading = yield* Ref.make(0)
        const gate = yield* Deferred.make<void>()
        const claim = (real: Claim): Claim => ({
          ...real,
          read: (from, limits) =>
            Effect.gen(function* () {
              yield* Ref.update(reading, (n) => n + 1)
              const batch = yield* Effect.ensuring(
                real.read(from, limits),
                Ref.update(reading, (n) => n - 1)
              )
              yield* Ref.update(read, (n) => n + batch.records.length)
              return batch
            })
        })
        const loader = yield* Effect.forkChild(
          Effect.flip(
            run(place, {
              claim,
              insert: () => Effect.andThen(Deferred.await(gate), Effect.die("the insert broke"))
            }).pipe(Effect.catchDefect((defect) => Effect.fail(String(defect))))
          )
        )
        yield* until(Ref.get(read), (n) => n === 20)
        yield* Effect.sleep("50 millis")
        assert.strictEqual(yield* Ref.get(read), 20)
        yield* Deferred.succeed(gate, undefined)
        assert.include(String(yield* Fiber.join(loader)), "the insert broke")
        const after = yield* Ref.get(read)
        assert.strictEqual(yield* Ref.get(reading), 0)
        yield* publish(place, rows(200, 20))
        yield* Effect.sleep("50 millis")
        assert.strictEqual(yield* Ref.get(read), after)
        yield* finish(place)
        assert.deepStrictEqual(yield* stored(place), expected(220))
      })
    )

    it.effect("ends with a claim that is revoked; the new owner goes on from the plan", () =>
      Effect.gen(function* () {
        const place = yield* setting("revoked", { partitions: 2 })
        const total = 400
        for (const partition of [0, 1]) yield* publish(place, rows(0, total), partition)
        const open = new Set<Claim>()
        const claim = (real: Claim): Claim => ({
          ...real,
          read: (from, limits) =>
            Effect.acquireUseRelease(
              Effect.sync(() => open.add(real)),
              () => real.read(from, limits),
              () => Effect.sync(() => open.delete(real))
            )
        })
        const claims: Array<Claim> = []
        const seen = (real: Claim): Claim => {
          claims.push(real)
          return claim(real)
        }
        const first = yield* Effect.forkChild(run(place, { claim: seen }))
        yield* until(stored(place), (found) => found.length >= 30)
        const second = yield* Effect.forkChild(run(place, { claim: seen }))
        yield* until(
          Effect.sync(() => claims.length),
          (n) => n === 3
        )
        yield* settled(place)
        for (const partition of [0, 1]) assert.deepStrictEqual(yield* stored(place, partition), expected(total))
        // One of the first member's claims is over, and so is its read ahead.
        assert.isAtMost(open.size, 2)
        yield* Fiber.interrupt(first)
        yield* Fiber.interrupt(second)
        assert.strictEqual(open.size, 0)
      })
    )

    it.effect("is waited for after an acknowledgement, so that nothing is left to replay when there is none", () =>
      Effect.gen(function* () {
        const place = yield* setting("idle", { options: { flushEvery: Duration.seconds(20) } })
        const loader = yield* Effect.forkChild(run(place))
        // A full range goes at once; the records behind it wait for others.
        yield* publish(place, rows(0, 13))
        yield* until(position(place), ([now]) => now?.offset === 10 && isAcknowledged(now.metadata))
        assert.deepStrictEqual(yield* stored(place), expected(10))
        yield* publish(place, rows(13, 7))
        yield* settled(place)
        assert.deepStrictEqual(yield* stored(place), expected(20))
        yield* Fiber.interrupt(loader)
      })
    )
  })

  it.effect("makes a record queryable at once after a pause, else after flush_every, and says how soon", () =>
    Effect.gen(function* () {
      // A second attempt finds nothing of the first; and the pause is long beside what a busy machine needs.
      const place = yield* setting(`fresh${++attempts}`, {
        options: { flushEvery: Duration.seconds(8), maxRows: 1000 }
      })
      const loader = yield* Effect.forkChild(run(place))
      /** Milliseconds until the n-th record can be queried. */
      const waitFor = Effect.fnUntraced(function* (n: number) {
        const begun = wallClock()
        yield* publish(place, rows(n - 1, 1))
        yield* until(stored(place), (found) => found.length === n)
        return wallClock() - begun
      })
      yield* publish(place, rows(0, 1))
      yield* settled(place)
      // Right behind another: it waits until flush_every has passed since that one was sent.
      assert.isAbove(yield* waitFor(2), 1_000)
      const held = yield* until(status(place), (stage) => stage?.batches === 2)
      assert.isAbove(held?.freshness ?? 0, 1_000)
      // The pause is what is tested.
      yield* Effect.sleep("8200 millis")
      assert.isBelow(yield* waitFor(3), unhurried(6_000))
      const fresh = yield* until(status(place), (stage) => stage?.batches === 3)
      assert.isBelow(fresh?.freshness ?? 0, unhurried(6_000))
      yield* Fiber.interrupt(loader)
    })
  )
})
