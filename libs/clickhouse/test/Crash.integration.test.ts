import { it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { rmSync } from "node:fs"
import { assert, describe } from "vitest"
import { type InsertPlan, type Table, Warehouse } from "../src/index.ts"
import { type LocalClickHouse, startClickHouse } from "./server/index.ts"
import { planOf, records, spec, temporaryDirectory, wallClock } from "./support.ts"

const rows = (first: number) => records(first, 10, (offset) => `{"id":${offset}}`)

const again = (plan: InsertPlan): InsertPlan => ({ ...plan, plannedAt: wallClock() })

const start = Effect.flatMap(temporaryDirectory, (directory) => startClickHouse({ directory }))

const query = (sql: string) => Warehouse.use((warehouse) => warehouse.query(sql))
const command = (sql: string) => Warehouse.use((warehouse) => warehouse.command(sql))

const count = (table: string) =>
  Effect.map(query(`SELECT count() AS n, uniqExact(_offset) AS o FROM shop.${table}`), ([found]) => found)

const exactly = (n: number) => ({ n: String(n), o: String(n) })

/** Kills the server and takes parts from the disk: what a crash leaves when the tokens are written down, and the parts not named. */
const crashWithout = Effect.fnUntraced(function* (server: LocalClickHouse, condition: string) {
  const parts = yield* query(`SELECT path FROM system.parts WHERE active AND database = 'shop' AND (${condition})`)
  assert.strictEqual(parts.length, 1)
  yield* server.kill9
  rmSync(String(parts[0]?.["path"]), { recursive: true })
  yield* server.start
})

/** Two ranges of ten records each; the second is lost in a crash, its token is not. */
const torn = Effect.fnUntraced(function* (server: LocalClickHouse, table: Table, name: string) {
  yield* table.insert(planOf(0, 9), table.encode(rows(0)))
  yield* table.insert(planOf(10, 19), table.encode(rows(10)))
  yield* crashWithout(server, `table = '${name}' AND name = 'all_2_2_0'`)
  assert.deepStrictEqual(yield* count(name), exactly(10))
})

describe("a server that was killed between a block's token and the block", () => {
  for (const mode of ["append", "upsert"] as const) {
    it.live(`does not lose the rows of a plan that is tried again (${mode})`, () =>
      Effect.gen(function* () {
        const server = yield* start
        yield* Effect.gen(function* () {
          const warehouse = yield* Warehouse
          const table = yield* warehouse.ensureTable(spec("torn", { mode }), [])
          yield* torn(server, table, "torn")
          for (let tries = 0; tries < 2; tries++) {
            yield* table.insertMissing(again(planOf(10, 19)), rows(10))
            assert.deepStrictEqual(yield* count("torn"), exactly(20))
          }
        }).pipe(Effect.provide(Warehouse.layerServer(server)))
      }).pipe(Effect.scoped)
    )
  }

  it.live("again and again for the same rows: they are sent three times under other tokens, then it says so", () =>
    Effect.gen(function* () {
      const server = yield* start
      yield* Effect.gen(function* () {
        const warehouse = yield* Warehouse
        const table = yield* warehouse.ensureTable(spec("torn"), [])
        yield* torn(server, table, "torn")
        for (let crashes = 1; crashes <= 3; crashes++) {
          yield* table.insertMissing(again(planOf(10, 19)), rows(10))
          assert.deepStrictEqual(yield* count("torn"), exactly(20))
          yield* crashWithout(server, "table = 'torn' AND min_block_number > 1")
        }
        const error = yield* Effect.flip(table.insertMissing(again(planOf(10, 19)), rows(10)))
        assert.strictEqual(error.failureClass, "misconfigured")
        assert.include(error.message, "partition 0, offsets 10 to 19")
        assert.include(error.message, "10 of them were sent 3 times")
        assert.deepStrictEqual(yield* count("torn"), exactly(10))
      }).pipe(Effect.provide(Warehouse.layerServer(server)))
    }).pipe(Effect.scoped)
  )

  for (const mode of ["append", "upsert"] as const) {
    it.live(`does not lose them from a table with views either, and the views count them once (${mode})`, () =>
      Effect.gen(function* () {
        const server = yield* start
        yield* Effect.gen(function* () {
          const warehouse = yield* Warehouse
          yield* warehouse.ensureTable(spec("both", { mode }), [])
          yield* command(
            "CREATE TABLE shop.counted (p UInt32, n UInt64) ENGINE = SummingMergeTree ORDER BY p SETTINGS non_replicated_deduplication_window = 1000"
          )
          yield* command(
            "CREATE MATERIALIZED VIEW shop.counting TO shop.counted AS SELECT _partition AS p, count() AS n FROM shop.both GROUP BY p"
          )
          const table = yield* warehouse.ensureTable(spec("both", { mode }), [])
          yield* torn(server, table, "both")
          for (let tries = 0; tries < 2; tries++) {
            yield* table.insertMissing(again(planOf(10, 19)), rows(10))
            assert.deepStrictEqual(yield* count("both"), exactly(20))
            assert.deepStrictEqual(yield* query("SELECT sum(n) AS n FROM shop.counted"), [{ n: "20" }])
          }
          const copies = yield* query("SELECT name FROM system.tables WHERE name LIKE 'both\\_\\_lost\\_%'")
          assert.deepStrictEqual(copies, [])
        }).pipe(Effect.provide(Layer.merge(Warehouse.layerServer(server), Logger.layer([]))))
      }).pipe(Effect.scoped)
    )
  }

  it.live("may leave a view without a range, which is warned of only if the server was started since the plan", () =>
    Effect.gen(function* () {
      const server = yield* start
      const warnings: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === "Warn") warnings.push(String(message))
      })
      yield* Effect.gen(function* () {
        const warehouse = yield* Warehouse
        yield* warehouse.ensureTable(spec("seen"), [])
        yield* command(
          "CREATE TABLE shop.counted (p UInt32, n UInt64) ENGINE = SummingMergeTree ORDER BY p SETTINGS non_replicated_deduplication_window = 1000"
        )
        yield* command(
          "CREATE MATERIALIZED VIEW shop.counting TO shop.counted AS SELECT _partition AS p, count() AS n FROM shop.seen GROUP BY p"
        )
        const table = yield* warehouse.ensureTable(spec("seen"), [])
        const madeAt = wallClock()
        yield* table.insert({ ...planOf(0, 9), madeAt }, table.encode(rows(0)))
        const plan = { ...planOf(10, 19), madeAt: wallClock() }
        yield* table.insert(plan, table.encode(rows(10)))
        // The plan was made long after the server was started.
        yield* table.insertMissing(again({ ...plan, madeAt: madeAt + 60_000 }), rows(10))
        assert.deepStrictEqual(warnings, [])
        yield* crashWithout(server, "table = 'counted' AND name = 'all_2_2_0'")
        yield* table.insertMissing(again(plan), rows(10))
        assert.deepStrictEqual(yield* count("seen"), exactly(20))
        // The limit: nothing says that the view has not had them.
        assert.deepStrictEqual(yield* query("SELECT sum(n) AS n FROM shop.counted"), [{ n: "10" }])
        assert.strictEqual(warnings.length, 1)
        assert.include(warnings[0], "shop.seen")
        assert.include(warnings[0], "materialised views of the table may lack it")
      }).pipe(Effect.provide(Layer.merge(Warehouse.layerServer(server), Logger.layer([logger]))))
    }).pipe(Effect.scoped)
  )
})

describe("rows that are not seen, though they were inserted", () => {
  it.live("are never stored twice: those that a filter hides are not sent again, and it says why", () =>
    Effect.gen(function* () {
      const server = yield* start
      yield* Effect.gen(function* () {
        const warehouse = yield* Warehouse
        const table = yield* warehouse.ensureTable(spec("hidden"), [])
        for (const first of [0, 10]) yield* table.insert(planOf(first, first + 9), table.encode(rows(first)))
        // Those of a DELETE are not hidden, and come again.
        yield* command("DELETE FROM shop.hidden WHERE id IN (3, 4)")
        const filter = encodeURIComponent("{'shop.hidden':'id < 5'}")
        const limited = Warehouse.layerServer({
          ...server,
          url: `${server.url}/?ch_additional_table_filters=${filter}`
        })
        yield* Effect.gen(function* () {
          const same = yield* Warehouse.use((one) => one.ensureTable(spec("hidden"), []))
          // Some of the first range are hidden, and all of the second.
          for (const first of [0, 10]) {
            const error = yield* Effect.flip(same.insertMissing(again(planOf(first, first + 9)), rows(first)))
            assert.strictEqual(error.failureClass, "misconfigured")
            assert.include(error.message, "a filter hides 15 rows of the table")
          }
          // A server that has run since the plan was made has not lost it.
          yield* same.insertMissing(again(planOf(10, 19, { madeAt: wallClock() + 60_000 })), rows(10))
        }).pipe(Effect.provide(limited))
        yield* table.insertMissing(again(planOf(0, 9)), rows(0))
        yield* table.insertMissing(again(planOf(10, 19)), rows(10))
        assert.deepStrictEqual(yield* count("hidden"), exactly(20))
      }).pipe(Effect.provide(Warehouse.layerServer(server)))
    }).pipe(Effect.scoped)
  )

  it.live("because their time has come are gone, and no failure; a view does not get them twice", () =>
    Effect.gen(function* () {
      const server = yield* start
      yield* Effect.gen(function* () {
        const warehouse = yield* Warehouse
        const old = { schema: { id: "int64", at: "timestamp" } } as const
        const sent = records(0, 10, (offset) => `{"id":${offset},"at":"2001-01-01T00:00:00Z"}`)
        for (const name of ["expired", "expired_seen"]) {
          yield* warehouse.ensureTable(spec(name, old), [])
          yield* command(`ALTER TABLE shop.${name} MODIFY TTL toDateTime(at) + INTERVAL 1 DAY`)
          if (name === "expired_seen") {
            yield* command(
              "CREATE TABLE shop.old (id Int64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000"
            )
            yield* command(`CREATE MATERIALIZED VIEW shop.old_view TO shop.old AS SELECT id FROM shop.${name}`)
          }
          const table = yield* warehouse.ensureTable(spec(name, old), [])
          yield* table.insert(planOf(0, 9), table.encode(sent))
          yield* command(`OPTIMIZE TABLE shop.${name} FINAL`)
          assert.deepStrictEqual(yield* count(name), exactly(0))
          for (let tries = 0; tries < 2; tries++) yield* table.insertMissing(again(planOf(0, 9)), sent)
          yield* command(`OPTIMIZE TABLE shop.${name} FINAL`)
          assert.deepStrictEqual(yield* count(name), exactly(0))
        }
        assert.deepStrictEqual(yield* query("SELECT count() AS n FROM shop.old"), [{ n: "10" }])
      }).pipe(Effect.provide(Layer.merge(Warehouse.layerServer(server), Logger.layer([]))))
    }).pipe(Effect.scoped)
  )
})
