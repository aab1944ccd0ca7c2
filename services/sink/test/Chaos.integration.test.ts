import { Warehouse } from "@tributary/clickhouse"
import { Log } from "@tributary/log"
import { assert } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Effect, Fiber, Random } from "effect"
import {
  dead,
  Engine,
  expected,
  finish,
  killServer,
  publish,
  query,
  run,
  setting,
  stored,
  wallClock
} from "./support.ts"

const millis = 7_000
const partitions = 2

/** Of these the encoder rejects the first kind, a constraint of the table the second, a derived column the third. */
const kindOf = (n: number): "good" | "unfit" | "forbidden" | "underivable" =>
  n % 211 === 5 ? "unfit" : n % 503 === 7 ? "forbidden" : n % 1999 === 11 ? "underivable" : "good"
const isBad = (n: number) => kindOf(n) !== "good"
const text = (n: number) =>
  `{"id":${kindOf(n) === "unfit" ? `"no ${n}"` : n},"name":"${kindOf(n) === "underivable" ? "never" : "2026-11-21"}","lucky":${kindOf(n) !== "forbidden"}}`

let attempts = 0

layerPerAttempt(Engine)("loaders and ClickHouse", (it) => {
  it.effect("are killed at random moments: each record is in the table, in its view, or rejected, once", () =>
    Effect.gen(function* () {
      const log = yield* Log
      const warehouse = yield* Warehouse
      // A second attempt finds nothing of the first.
      const name = `chaos${++attempts}`
      const table = `shop.${name}`
      const counts = `shop.counted${attempts}`
      const place = yield* setting(name, {
        partitions,
        spec: { schema: { id: "int64", name: "string", lucky: "bool" } },
        options: { maxRows: 300 }
      })
      yield* warehouse.ensureTable(place.spec, [])
      yield* warehouse.command(`ALTER TABLE ${table} ADD CONSTRAINT lucky CHECK lucky`)
      yield* warehouse.command(`ALTER TABLE ${table} ADD COLUMN day Date MATERIALIZED toDate(name)`)
      yield* warehouse.command(
        `CREATE TABLE ${counts} (p UInt32, n UInt64) ENGINE = SummingMergeTree ORDER BY p SETTINGS non_replicated_deduplication_window = 10000`
      )
      yield* warehouse.command(
        `CREATE MATERIALIZED VIEW ${counts}_view TO ${counts} AS SELECT _partition AS p, count() AS n FROM ${table} GROUP BY p`
      )
      const end = wallClock() + millis
      const ends = Array.from({ length: partitions }, () => 0)
      const published = () => ends.reduce((sum, n) => sum + n, 0)
      let kills = 0
      let lives = 0
      // A busy machine needs longer for enough of each.
      const isOver = () => wallClock() > end && published() > 5_000 && lives > 20 && kills > 2

      const publisher = Effect.gen(function* () {
        while (!isOver()) {
          const partition = yield* Random.nextIntBetween(0, partitions - 1)
          const count = yield* Random.nextIntBetween(1, 250)
          const from = ends[partition]!
          ends[partition] = from + count
          yield* publish(
            place,
            Array.from({ length: count }, (_, k) => text(from + k)),
            partition
          )
          yield* Effect.sleep(yield* Random.nextIntBetween(5, 60))
        }
      })
      const loaders = Effect.gen(function* () {
        while (!isOver()) {
          lives++
          const fiber = yield* Effect.forkChild(run(place))
          yield* Effect.sleep(yield* Random.nextIntBetween(1, 200))
          yield* Fiber.interrupt(fiber)
          const exit = fiber.pollUnsafe()
          // What may end a loader by itself is a server that is away when the table is looked at.
          if (exit?._tag === "Failure") {
            const reasons = exit.cause.reasons.map((reason) =>
              reason._tag === "Fail" ? reason.error.message : reason._tag
            )
            assert.deepStrictEqual(
              reasons.filter((reason) => reason !== "Interrupt" && !reason.includes("did not complete the request")),
              []
            )
          }
        }
      })
      const killer = Effect.gen(function* () {
        while (!isOver()) {
          yield* Effect.sleep(yield* Random.nextIntBetween(400, 1_600))
          yield* killServer
          kills++
        }
      })
      yield* Effect.all([publisher, loaders, killer], { concurrency: "unbounded", discard: true })
      yield* finish(place)

      const letters = yield* dead(place)
      for (const partition of ends.keys()) {
        assert.deepStrictEqual(yield* stored(place, partition), expected(ends[partition]!, isBad))
        assert.deepStrictEqual(
          letters.flatMap((letter) => (letter.partition === String(partition) ? [letter.offset] : [])),
          Array.from({ length: ends[partition]! }, (_, n) => n).filter(isBad)
        )
      }
      const counted = yield* query(`SELECT p, sum(n) AS n FROM ${counts} GROUP BY p ORDER BY p`)
      assert.deepStrictEqual(
        counted.map((row) => Number(row["n"])),
        ends.map((last) => expected(last, isBad).length)
      )
      assert.strictEqual((yield* log.offsets(place.options.deadTopic))[0]?.end, letters.length)
    })
  )
})
