import { type Encoded, type InsertPlan, Unavailable, Warehouse, WarehouseError } from "@tributary/clickhouse"
import { type Claim, Log } from "@tributary/log"
import { valueDecoder } from "@tributary/schema-registry"
import { Status } from "@tributary/telemetry"
import { assert, describe, layer } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Ref } from "effect"
import { loadPartition } from "../src/PartitionLoader.ts"
import { belongingOf, encodeAcknowledged, encodePlan, type Plan } from "../src/Plan.ts"
import {
  dead,
  Engine,
  expected,
  failureOf,
  finish,
  killServer,
  overflow,
  publish,
  query,
  rows,
  run,
  runUntil,
  setting,
  settled,
  type Setting,
  stored,
  until,
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

const status = (place: Setting) =>
  Effect.map(
    Effect.flatMap(Status, ({ snapshot }) => snapshot),
    (entries) => entries.find(({ stream }) => stream === place.name)?.stages.sink
  )

const partsOf = (place: Setting) =>
  Effect.map(
    query(`SELECT count() AS n FROM system.parts WHERE database = 'shop' AND table = '${place.spec.table}' AND active`),
    ([row]) => Number(row?.["n"])
  )

layer(Engine, { timeout: "60 seconds", excludeTestServices: true })("loadPartition", (it) => {
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

  describe("rejected records", () => {
    it.effect("are in the dead-letter topic with reason and position, even where the reason cuts a character", () =>
      Effect.gen(function* () {
        const place = yield* setting("letters")
        // The reason quotes 60 characters of the value, of which the last is half of a surrogate pair.
        const cut = `{"id":"${"x".repeat(58)}😀 and more","name":"n"}`
        yield* publish(place, [`{"id":0,"name":"n0"}`, cut, `{"id":2,`, `{"id":3,"name":"n3"}`, "[1]"])
        yield* finish(place)
        assert.deepStrictEqual(yield* stored(place), ["0:0", "3:3"])
        const letters = yield* dead(place)
        assert.deepStrictEqual(
          letters.map(({ code, offset, partition, stage, topic, value }) => [
            offset,
            code,
            stage,
            topic,
            partition,
            value
          ]),
          [
            [1, "type_mismatch", "sink", place.topic, "0", cut],
            [2, "invalid_json", "sink", place.topic, "0", `{"id":2,`],
            [4, "not_an_object", "sink", place.topic, "0", "[1]"]
          ]
        )
        assert.isTrue(letters.every(({ reason }) => reason.length > 20))
        const now = yield* status(place)
        assert.deepStrictEqual([now?.records, now?.rejected, now?.batches], [2, 3, 1])
      })
    )

    it.effect("which only the server refuses and names: exactly those, wherever the loader is killed", () =>
      Effect.gen(function* () {
        // Beside them are some that the encoder rejects: rows of the insert are not records of the range.
        const isUnfit = (n: number) => n === 3 || n === 12
        const isRefused = (n: number) => n === 4 || n === 13 || n === 17
        const isBad = (n: number) => isUnfit(n) || isRefused(n)
        for (const [k, step] of (["during insert", "after insert", "before dead", "before plan"] as const).entries()) {
          const place = yield* setting(`constraint_${k}`)
          const warehouse = yield* Warehouse
          yield* warehouse.ensureTable(place.spec, [])
          yield* warehouse.command(`ALTER TABLE shop.constraint_${k} ADD CONSTRAINT lucky CHECK id NOT IN (4, 13, 17)`)
          yield* publish(place, rows(0, 25, isUnfit))
          for (const n of [2, 3]) {
            yield* runUntil(place, step, n)
            if (n === 3) yield* overflow(place)
          }
          yield* finish(place)
          assert.deepStrictEqual(yield* stored(place), expected(25, isBad))
          const letters = yield* dead(place)
          assert.deepStrictEqual(
            letters.map(({ code, offset }) => [offset, code]),
            [3, 4, 12, 13, 17].map((n) => [n, isUnfit(n) ? "type_mismatch" : "refused_by_clickhouse"])
          )
          assert.include(letters[1]?.reason, "lucky")
        }
      })
    )

    it.effect("which the server refuses without saying which: the range is halved until they stand alone", () =>
      Effect.gen(function* () {
        const isBad = (n: number) => n === 0 || n === 37 || n === 38 || n === 99
        for (const [k, step] of (["before plan", "during insert", "after insert", "before dead"] as const).entries()) {
          const place = yield* setting(`derived_${k}`, { options: { maxRows: 60 } })
          const warehouse = yield* Warehouse
          yield* warehouse.ensureTable(place.spec, [])
          yield* warehouse.command(`ALTER TABLE shop.derived_${k} ADD COLUMN day Date MATERIALIZED toDate(name)`)
          const text = (n: number) => `{"id":${n},"name":"${isBad(n) ? "no day" : "2026-11-21"}"}`
          yield* publish(
            place,
            Array.from({ length: 100 }, (_, n) => text(n))
          )
          for (const n of [1, 2, 3, 5, 8]) yield* runUntil(place, step, n)
          yield* finish(place)
          assert.deepStrictEqual(yield* stored(place), expected(100, isBad))
          assert.deepStrictEqual(
            (yield* dead(place)).map(({ code, offset }) => [offset, code]),
            [0, 37, 38, 99].map((offset) => [offset, "refused_by_clickhouse"])
          )
        }
      })
    )

    it.effect("which are all of them: few records of each insert are tried one by one", () =>
      Effect.gen(function* () {
        const place = yield* setting("hopeless", { options: { maxRows: 500 } })
        const warehouse = yield* Warehouse
        yield* warehouse.ensureTable(place.spec, [])
        yield* warehouse.command("ALTER TABLE shop.hopeless ADD CONSTRAINT never CHECK id < 0")
        yield* publish(place, rows(0, 200))
        let rowsSent = 0
        yield* finish(place, {
          insert: (_plan, encoded, real) => {
            rowsSent += encoded.rows
            return real
          }
        })
        assert.deepStrictEqual(yield* stored(place), [])
        assert.deepStrictEqual(
          (yield* dead(place)).map(({ offset }) => offset),
          Array.from({ length: 200 }, (_, n) => n)
        )
        // One by one it would be 20,000.
        assert.isBelow(rowsSent, 5_000)
      })
    )

    it.effect(
      "are none when a view fails: the loader pauses, and the view gets each record once when it is mended",
      () =>
        Effect.gen(function* () {
          const place = yield* setting("viewed")
          const warehouse = yield* Warehouse
          yield* warehouse.ensureTable(place.spec, [])
          yield* warehouse.command(
            "CREATE TABLE shop.days (id Int64, day Date) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000"
          )
          yield* warehouse.command(
            "CREATE MATERIALIZED VIEW shop.days_view TO shop.days AS SELECT id, toDate(name) AS day FROM shop.viewed"
          )
          const text = (n: number) => `{"id":${n},"name":"${n === 3 ? "no day" : "2026-11-21"}"}`
          yield* publish(
            place,
            Array.from({ length: 8 }, (_, n) => text(n))
          )
          for (let k = 0; k < 2; k++) {
            const error = yield* failureOf(place)
            assert.strictEqual(error.failureClass, "misconfigured")
            assert.include(error.message, "shop.days_view")
          }
          assert.deepStrictEqual(yield* dead(place), [])
          yield* warehouse.command(
            "ALTER TABLE shop.days_view MODIFY QUERY SELECT id, toDateOrZero(name) AS day FROM shop.viewed"
          )
          yield* finish(place)
          assert.deepStrictEqual(yield* stored(place), expected(8))
          assert.deepStrictEqual(yield* query("SELECT count() AS n, uniqExact(id) AS ids FROM shop.days"), [
            { n: "8", ids: "8" }
          ])
        })
    )
  })

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
      const place = yield* setting("fresh", { options: { flushEvery: Duration.seconds(3), maxRows: 1000 } })
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
      yield* Effect.sleep("3200 millis")
      assert.isBelow(yield* waitFor(3), 2_500)
      const fresh = yield* until(status(place), (stage) => stage?.batches === 3)
      assert.isBelow(fresh?.freshness ?? 0, 2_500)
      yield* Fiber.interrupt(loader)
    })
  )
})
