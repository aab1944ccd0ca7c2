import { type Encoded, type InsertPlan, Warehouse } from "@tributary/clickhouse"
import { type Claim, Log } from "@tributary/log"
import { valueDecoder } from "@tributary/schema-registry"
import { Status } from "@tributary/telemetry"
import { assert, describe } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Deferred, Effect, Fiber } from "effect"
import { loadPartition } from "../src/PartitionLoader.ts"
import { belongingOf, encodeAcknowledged, encodePlan, type Plan } from "../src/Plan.ts"
import {
  dead,
  Engine,
  expected,
  failureOf,
  finish,
  publish,
  query,
  rows,
  run,
  runUntil,
  setting,
  type Setting,
  stored,
  wallClock,
  isAcknowledged
} from "./support.ts"

/** Commits a position with metadata as another program would. */
const commitAs = Effect.fnUntraced(function* (place: Setting, offset: number, metadata: (claim: Claim) => string) {
  const log = yield* Log
  const done = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkChild(
    log.consume({ group: place.group, topics: [place.topic] }, (claim) =>
      claim
        .commit(offset, metadata(claim))
        .pipe(Effect.andThen(Deferred.succeed(done, undefined)), Effect.andThen(Effect.never))
    )
  )
  yield* Deferred.await(done)
  yield* Fiber.interrupt(fiber)
})

const position = (place: Setting) => Effect.flatMap(Log, (log) => log.positions(place.group))

const partsOf = (place: Setting) =>
  Effect.map(
    query(`SELECT count() AS n FROM system.parts WHERE database = 'shop' AND table = '${place.spec.table}' AND active`),
    ([row]) => Number(row?.["n"])
  )

layerPerAttempt(Engine)("loadPartition", (it) => {
  describe("a zombie", () => {
    it.effect("cannot plan, and what it had on its way is absorbed", () =>
      Effect.gen(function* () {
        const place = yield* setting("zombie")
        yield* publish(place, rows(0, 25))
        const claims: Array<Claim> = []
        const sent: Array<readonly [InsertPlan, Encoded]> = []
        const stuck = yield* Deferred.make<void>()
        const zombie = yield* Effect.forkChild(
          run(place, {
            claim: (claim) => {
              claims.push(claim)
              return claim
            },
            // Its insert stays in the network.
            insert: (plan, encoded) => {
              sent.push([plan, encoded])
              return Effect.andThen(Deferred.succeed(stuck, undefined), Effect.never)
            }
          })
        )
        yield* Deferred.await(stuck)
        yield* Fiber.interrupt(zombie)
        yield* finish(place)
        assert.deepStrictEqual(yield* stored(place), expected(25))

        const [claim] = claims
        const [late] = sent
        assert.isDefined(claim)
        assert.isDefined(late)
        const warehouse = yield* Warehouse
        const table = yield* warehouse.ensureTable(place.spec, [])
        yield* table.insert(...late!)
        assert.deepStrictEqual(yield* stored(place), expected(25))

        const log = yield* Log
        const reporter = yield* (yield* Status).reporter("shop", "other", "sink")
        const decoder = yield* valueDecoder
        const error = yield* Effect.flip(
          Effect.scoped(
            Effect.flatMap(log.producer("elsewhere"), (producer) =>
              // It believes that nothing was committed.
              loadPartition(
                { ...claim!, committed: Effect.undefined },
                producer,
                () => Effect.succeed(table),
                reporter,
                place.options,
                0,
                decoder
              )
            )
          )
        )
        assert.include(error.message, "now belongs to another worker")
        assert.deepStrictEqual(yield* stored(place), expected(25))
        const [after] = yield* position(place)
        assert.deepStrictEqual([after?.offset, isAcknowledged(after?.metadata)], [25, true])
      })
    )

    it.effect("cannot move the position by its dead letters either", () =>
      Effect.gen(function* () {
        const isBad = (n: number) => n === 3
        const place = yield* setting("zombie_dead")
        yield* publish(place, rows(0, 5, isBad))
        const log = yield* Log
        const warehouse = yield* Warehouse
        const reporter = yield* (yield* Status).reporter("shop", "other", "sink")
        const decoder = yield* valueDecoder
        const before = yield* log.producer("zombie_dead/0")
        yield* log.producer("zombie_dead/0")
        const error = yield* Effect.flip(
          log.consume({ group: place.group, topics: [place.topic] }, (claim) =>
            loadPartition(
              claim,
              before,
              (sample) => warehouse.ensureTable(place.spec, sample),
              reporter,
              place.options,
              0,
              decoder
            )
          )
        )
        assert.include(error.message, "now belongs to another worker")
        assert.deepStrictEqual(yield* dead(place), [])
        assert.strictEqual((yield* position(place))[0]?.offset, 0)
        yield* finish(place)
        assert.deepStrictEqual(yield* stored(place), expected(5, isBad))
        assert.strictEqual((yield* dead(place)).length, 1)
      })
    )
  })

  describe("a plan found", () => {
    it.effect("of an unknown version is refused and stays", () =>
      Effect.gen(function* () {
        const place = yield* setting("future")
        yield* publish(place, rows(0, 5))
        const metadata = '{"v":2,"ranges":[[0,4]]}'
        yield* commitAs(place, 0, () => metadata)
        const error = yield* failureOf(place)
        assert.strictEqual(error.failureClass, "misconfigured")
        assert.include(error.message, "shop.future/0")
        assert.include(error.message, metadata)
        assert.strictEqual((yield* position(place))[0]?.metadata, metadata)
        assert.deepStrictEqual(
          yield* query("SELECT count() AS n FROM system.tables WHERE database = 'shop' AND name = 'future'"),
          [{ n: "0" }]
        )
      })
    )

    it.effect(
      "for another table is dropped, and the position counts; for another topic of that name neither counts",
      () =>
        Effect.gen(function* () {
          const plan = (place: Setting, claim: Claim): Plan => ({
            v: 1,
            first: 5,
            last: 99,
            epoch: claim.topic.id,
            table: place.options.table
          })
          const cases: ReadonlyArray<
            readonly [name: string, offset: number, first: number, (place: Setting, claim: Claim) => string]
          > = [
            ["moved", 5, 5, (place, claim) => encodePlan({ ...plan(place, claim), table: "shop.elsewhere" })],
            ["epoch", 5, 0, (place, claim) => encodePlan({ ...plan(place, claim), epoch: "another topic" })],
            // Without a plan, and beyond the end of the topic that is there now.
            ["epoch_done", 50, 0, () => encodeAcknowledged("generation", "another topic")],
            ["same_done", 5, 5, (_, claim) => encodeAcknowledged(undefined, claim.topic.id)],
            // As versions wrote it that did not know the topic.
            ["old_done", 5, 5, () => '{"v":1,"generation":"before"}'],
            ["older_done", 5, 5, () => ""],
            // Somebody has set the position, and left the metadata.
            ["epoch_reset", 8, 8, (place, claim) => encodePlan({ ...plan(place, claim), epoch: "another topic" })]
          ]
          for (const [name, offset, first, metadata] of cases) {
            const place = yield* setting(name)
            yield* publish(place, rows(0, 15))
            yield* commitAs(place, offset, (claim) => metadata(place, claim))
            yield* finish(place)
            assert.deepStrictEqual(
              yield* stored(place),
              expected(15, (n) => n < first),
              name
            )
            const [after] = yield* position(place)
            const topic = (yield* (yield* Log).topics).find((one) => one.name === place.topic)
            assert.strictEqual(after === undefined ? undefined : belongingOf(after).epoch, topic?.id, name)
          }
        })
    )

    it.effect("keeps the time at which it was made, by which it is told whether the server was started since", () =>
      Effect.gen(function* () {
        const place = yield* setting("made_at")
        yield* publish(place, rows(0, 15))
        yield* commitAs(place, 0, (claim) =>
          encodePlan({ v: 1, first: 0, last: 4, epoch: claim.topic.id, table: place.options.table, madeAt: 12_345 })
        )
        const plans: Array<string> = []
        const before = wallClock() - 1
        yield* finish(place, {
          claim: (claim) => ({
            ...claim,
            commit: (offset, metadata) => {
              if (!isAcknowledged(metadata)) plans.push(metadata)
              return claim.commit(offset, metadata)
            }
          })
        })
        assert.strictEqual(plans.length, 2)
        assert.include(plans[0], '"madeAt":12345')
        assert.isAtLeast(Number(/"madeAt":(\d+)/u.exec(plans[1] ?? "")?.[1]), before)
        assert.deepStrictEqual(yield* stored(place), expected(15))
      })
    )

    it.effect("that does not begin at the position was reset, and is dropped", () =>
      Effect.gen(function* () {
        const place = yield* setting("reset")
        yield* publish(place, rows(0, 8))
        yield* commitAs(place, 5, (claim) =>
          encodePlan({ v: 1, first: 2, last: 4, epoch: claim.topic.id, table: place.options.table })
        )
        yield* finish(place)
        assert.deepStrictEqual(yield* stored(place), ["5:5", "6:6", "7:7"])
      })
    )

    it.effect("beyond the topic's end, or before its beginning, stops the partition", () =>
      Effect.gen(function* () {
        const beyond = yield* setting("beyond")
        yield* publish(beyond, rows(0, 3))
        yield* commitAs(beyond, 0, (claim) =>
          encodePlan({ v: 1, first: 0, last: 9, epoch: claim.topic.id, table: beyond.options.table })
        )
        const lost = yield* failureOf(beyond)
        assert.strictEqual(lost.failureClass, "misconfigured")
        assert.include(lost.message, "offsets 0 to 9")
        assert.include(lost.message, "ends at 3")

        const late = yield* setting("late")
        yield* publish(late, rows(0, 3))
        yield* commitAs(late, 7, () => "")
        const range = yield* failureOf(late)
        assert.strictEqual(range.failureClass, "misconfigured")
        assert.strictEqual((yield* position(late))[0]?.offset, 7)
      })
    )

    it.effect("larger than what is loaded at once today is replayed whole", () =>
      Effect.gen(function* () {
        const place = yield* setting("wide", { options: { maxRows: 1000 } })
        yield* publish(place, rows(0, 300))
        assert.isTrue(yield* runUntil(place, "after insert", 1))
        const narrow = { ...place, options: { ...place.options, maxRows: 7, maxBytes: 200 } }
        yield* finish(narrow)
        assert.deepStrictEqual(yield* stored(place), expected(300))
        assert.strictEqual(yield* partsOf(place), 1)
      })
    )

    it.effect(
      "that a changed schema reads otherwise: each record is in the table or rejected, never both or neither",
      () =>
        Effect.gen(function* () {
          const isBad = (n: number) => n === 2 || n === 4
          const strict = yield* setting("widened", { spec: { schema: { id: "int64", name: "string", n: "int8" } } })
          const loose = { ...strict, spec: { ...strict.spec, schema: { id: "int64", name: "string" } } }
          const text = (n: number) => `{"id":${n},"name":"n","n":${isBad(n) ? 1000 : n}}`
          yield* publish(
            strict,
            Array.from({ length: 6 }, (_, n) => text(n))
          )
          assert.isTrue(yield* runUntil(strict, "after insert", 1))
          assert.deepStrictEqual(yield* stored(strict), expected(6, isBad))
          // Now 2 and 4 fit.
          yield* finish(loose)
          assert.deepStrictEqual(yield* stored(strict), expected(6))
          assert.deepStrictEqual(yield* dead(strict), [])

          const other = yield* setting("narrowed", { spec: { schema: { id: "int64", name: "string" } } })
          yield* publish(
            other,
            Array.from({ length: 6 }, (_, n) => `{"id":${n},"name":"n","n":${isBad(n) ? null : n}}`)
          )
          assert.isTrue(yield* runUntil(other, "after insert", 1))
          yield* query("SELECT 1")
          // Now 2 and 4 would not fit, but they are loaded.
          yield* finish({ ...other, spec: { ...other.spec, schema: { id: "int64", name: "string", m: "int8" } } })
          assert.deepStrictEqual(yield* stored(other), expected(6))
          assert.deepStrictEqual(yield* dead(other), [])
        })
    )
  })
})
