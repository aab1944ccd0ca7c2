import { Warehouse } from "@tributary/clickhouse"
import { Status } from "@tributary/telemetry"
import { assert, describe } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Effect } from "effect"
import {
  dead,
  Engine,
  expected,
  failureOf,
  finish,
  overflow,
  publish,
  query,
  rows,
  runUntil,
  setting,
  type Setting,
  stored
} from "./support.ts"

const status = (place: Setting) =>
  Effect.map(
    Effect.flatMap(Status, ({ snapshot }) => snapshot),
    (entries) => entries.find(({ stream }) => stream === place.name)?.stages.sink
  )

layerPerAttempt(Engine)("loadPartition", (it) => {
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
})
