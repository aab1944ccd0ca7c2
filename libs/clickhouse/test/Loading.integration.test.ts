import { kill } from "node:process"
import { assert } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Effect, Fiber, Schedule } from "effect"
import { ClickHouseServer, type InsertPlan, type SourceRecord, type Table, Warehouse } from "../src/index.ts"
import { Embedded, planOf, record, records, spec, wallClock } from "./support.ts"

const row = (offset: number): string => `{"id":${offset * 3},"name":"n${offset}"}`

/** Kills the server, which its supervisor then starts again. */
const killServer = Effect.gen(function* () {
  const server = yield* ClickHouseServer
  const pid = yield* server.pid
  yield* Effect.sync(() => kill(pid, "SIGKILL"))
  yield* server.pid.pipe(
    Effect.repeat({ until: (now) => now !== pid, schedule: Schedule.spaced("5 millis") }),
    Effect.timeout("90 seconds")
  )
})

/**
 * Loads a range as the sink does: after an insert of unknown outcome the table is asked what it lacks. To repeat the insert would
 * not do, as a server that was killed may remember the token of a block that it has lost.
 */
const insertUntilStored = (table: Table, plan: InsertPlan, rows: ReadonlyArray<SourceRecord>) => {
  const again = Effect.suspend(() => table.insertMissing({ ...plan, plannedAt: wallClock() }, rows)).pipe(
    Effect.retry({ schedule: Schedule.spaced("20 millis"), while: (error) => error.failureClass === "transient" }),
    Effect.timeout("90 seconds")
  )
  return Effect.suspend(() => table.insert({ ...plan, plannedAt: wallClock() }, table.encode(rows))).pipe(
    Effect.catchIf(
      (error) => error.failureClass === "transient",
      () => again
    )
  )
}

const one = Effect.fnUntraced(function* (sql: string) {
  const warehouse = yield* Warehouse
  const [found] = yield* warehouse.query(sql)
  return found ?? {}
})

const counts = (table: string) =>
  one(`SELECT count() AS n, uniqExact(_topic_id, _partition, _offset) AS offsets, sum(id) AS ids FROM ${table}`)

layerPerAttempt(Embedded)("a plan is stored once", (it) => {
  it.effect("however often it is inserted, with a view, and after the server was killed", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const first = yield* warehouse.ensureTable(spec("replayed", { schema: { id: "int64", name: "string" } }), [])
      yield* warehouse.command(
        "CREATE TABLE shop.totals (name String, n UInt64) ENGINE = SummingMergeTree ORDER BY name SETTINGS non_replicated_deduplication_window = 10000"
      )
      yield* warehouse.command(
        "CREATE MATERIALIZED VIEW shop.totals_view TO shop.totals AS SELECT name, count() AS n FROM shop.replayed GROUP BY name"
      )
      const table = yield* warehouse.ensureTable(spec("replayed", { schema: { id: "int64", name: "string" } }), [])
      assert.strictEqual(first.name, "shop.replayed")
      const encoded = table.encode(records(0, 1000, row))
      const plan = planOf(0, 999)
      for (let k = 0; k < 3; k++) yield* table.insert(plan, encoded)
      yield* killServer
      yield* insertUntilStored(table, plan, records(0, 1000, row))
      const { inserted, stored } = yield* table.insertMissing(
        { ...plan, plannedAt: wallClock() },
        records(0, 1000, row)
      )
      assert.deepStrictEqual([stored, inserted], [1000, 0])
      assert.deepStrictEqual(yield* counts("shop.replayed"), { n: "1000", offsets: "1000", ids: String(999 * 1500) })
      assert.deepStrictEqual(yield* one("SELECT sum(n) AS n FROM shop.totals"), { n: "1000" })
      assert.strictEqual(yield* table.stored(planOf(10, 19)), 10)
      // The plan decides, not the bytes: another process may encode the same records otherwise.
      const wider = yield* warehouse.ensureTable(
        spec("replayed", { schema: { id: "int64", name: "string", more: "int8?" } }),
        []
      )
      const otherwise = wider.encode(records(0, 1000, (offset) => row(offset).replace("}", `,"more":1}`)))
      yield* wider.insert({ ...plan, plannedAt: wallClock() }, otherwise)
      assert.strictEqual((yield* counts("shop.replayed"))["n"], "1000")
    })
  )

  it.effect("as one block: 200,000 rows are one part, and with one that cannot be read none is stored", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(spec("large"), [Buffer.from(`{"id":1,"name":"x","note":"y"}`)])
      const note = "lorem ipsum ".repeat(20)
      const encoded = table.encode(
        records(0, 200_000, (offset) => `{"id":${offset},"name":"n${offset}","note":"${note}${offset}"}`)
      )
      assert.isAbove(encoded.body.length, 50_000_000)
      const broken = { ...encoded, body: Buffer.concat([encoded.body, Buffer.from(`{"_offset":7,"id":"x"}\n`)]) }
      const error = yield* Effect.flip(table.insert(planOf(200_000, 400_000), broken))
      assert.strictEqual(error.reason._tag, "BadRecord")
      if (error.reason._tag === "BadRecord") assert.strictEqual(error.reason.row, 200_000)
      assert.strictEqual((yield* counts("shop.large"))["n"], "0")
      yield* table.insert(planOf(0, 199_999), encoded)
      assert.deepStrictEqual(
        yield* one("SELECT count() AS n FROM system.parts WHERE table = 'large' AND database = 'shop' AND active"),
        { n: "1" }
      )
      assert.strictEqual((yield* counts("shop.large"))["offsets"], "200000")
    })
  )

  it.effect("though the server is killed in the middle of inserts, also into several partitions", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      // A second attempt would find the tokens and rows of the first.
      for (const name of ["killed", "killed_split"]) yield* warehouse.command(`DROP TABLE IF EXISTS shop.${name} SYNC`)
      const plain = yield* warehouse.ensureTable(spec("killed", { schema: { id: "int64", name: "string" } }), [])
      const split = yield* warehouse.ensureTable(
        spec("killed_split", { schema: { id: "int64", name: "string" }, partitionBy: "id % 7" }),
        []
      )
      const batch = 20_000
      let next = 0
      for (let kill = 0; kill < 4; kill++) {
        const writers = yield* Effect.forEach(
          [plain, split],
          (table) =>
            Effect.forEach(
              [0, 1, 2],
              (k) => {
                const from = next + k * batch
                return insertUntilStored(table, planOf(from, from + batch - 1), records(from, batch, row))
              },
              { discard: true }
            ).pipe(Effect.forkChild),
          { concurrency: 1 }
        )
        yield* Effect.sleep(`${20 + kill * 45} millis`)
        yield* killServer
        yield* Effect.forEach(writers, Fiber.join)
        next += 3 * batch
      }
      const expected = { n: String(next), offsets: String(next), ids: String((3 * next * (next - 1)) / 2) }
      assert.deepStrictEqual(yield* counts("shop.killed"), expected)
      assert.deepStrictEqual(yield* counts("shop.killed_split"), expected)
    })
  )

  it.effect("unless it comes too late: the server refuses it", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(spec("late"), [])
      const encoded = table.encode(records(0, 10, row))
      const error = yield* Effect.flip(table.insert(planOf(0, 9, { plannedAt: wallClock() - 20_500 }), encoded))
      assert.strictEqual(error.reason._tag, "PlanTooOld")
      assert.strictEqual(error.failureClass, "transient")
      assert.strictEqual(yield* table.stored(planOf(0, 9)), 0)
      yield* table.insert(planOf(0, 9, { plannedAt: wallClock() - 15_000 }), encoded)
      assert.strictEqual(yield* table.stored(planOf(0, 9)), 10)
    })
  )

  it.effect("in a topic that was deleted and made again: the same offsets are other records", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(spec("again"), [])
      yield* table.insert(planOf(0, 9), table.encode(records(0, 10, row)))
      const again = planOf(0, 9, { topicId: "topic-2" })
      assert.strictEqual(yield* table.stored(again), 0)
      const recovered = yield* table.insertMissing(again, records(0, 10, row))
      assert.deepStrictEqual([recovered.stored, recovered.inserted], [0, 10])
      assert.strictEqual((yield* counts("shop.again"))["offsets"], "20")
    })
  )
})

layerPerAttempt(Embedded)("a plan found at start", (it) => {
  it.effect("is completed when the table no longer remembers its token", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(spec("forgotten", { dedupWindow: 3 }), [])
      const all = records(0, 10, row)
      yield* table.insert(planOf(0, 9), table.encode(all.slice(0, 4)))
      const forget = Effect.forEach(
        [1, 2, 3, 4, 5],
        (k) => table.insert(planOf(k * 100, k * 100), table.encode([record(k * 100, row(k * 100))])),
        { discard: true }
      )
      yield* forget
      const some = yield* table.insertMissing(planOf(0, 9), all)
      assert.deepStrictEqual([some.stored, some.inserted], [4, 6])
      yield* Effect.forEach(
        [6, 7, 8, 9],
        (k) => table.insert(planOf(k * 100, k * 100), table.encode([record(k * 100, row(k * 100))])),
        { discard: true }
      )
      const none = yield* table.insertMissing(planOf(0, 9), all)
      assert.deepStrictEqual([none.stored, none.inserted], [10, 0])
      assert.strictEqual(yield* table.stored(planOf(0, 9)), 10)
      assert.deepStrictEqual(
        yield* one("SELECT count() AS n, uniqExact(_offset) AS offsets FROM shop.forgotten WHERE _offset < 10"),
        { n: "10", offsets: "10" }
      )
    })
  )

  it.effect("is completed under its own token where partitions were torn apart, view included", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.ensureTable(spec("torn", { partitionBy: "id % 2" }), [])
      yield* warehouse.command(
        "CREATE TABLE shop.torn_sum (k UInt8, n UInt64) ENGINE = SummingMergeTree ORDER BY k SETTINGS non_replicated_deduplication_window = 100"
      )
      yield* warehouse.command(
        "CREATE MATERIALIZED VIEW shop.torn_view TO shop.torn_sum AS SELECT 1 AS k, count() AS n FROM shop.torn GROUP BY k"
      )
      const table = yield* warehouse.ensureTable(spec("torn", { partitionBy: "id % 2" }), [])
      const all = records(0, 10, row)
      // What a crash leaves: one partition of the insert, and nothing in the view's target.
      yield* warehouse.command("DETACH TABLE shop.torn_view")
      yield* table.insert(planOf(0, 9), table.encode(all.filter((_, k) => k % 2 === 0)))
      yield* warehouse.command("ATTACH TABLE shop.torn_view")
      const recovered = yield* table.insertMissing(planOf(0, 9), all)
      assert.deepStrictEqual([recovered.stored, recovered.inserted], [5, 5])
      assert.deepStrictEqual(yield* counts("shop.torn"), { n: "10", offsets: "10", ids: "135" })
      assert.deepStrictEqual(yield* one("SELECT sum(n) AS n FROM shop.torn_sum"), { n: "10" })
    })
  )

  it.effect("has each record stored or rejected, also when it was tried with another schema first", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const narrow = yield* warehouse.ensureTable(spec("widened", { schema: { id: "int64", n: "int8" } }), [])
      // Offset 1 fits only now, and offset 3 did only then.
      const then = [record(0, `{"id":0,"n":1}`), record(1, `{"id":1,"n":999}`), record(2, `{"id":2,"n":2}`)]
      const bare = [record(3, `{"id":3}`)]
      const plan = planOf(0, 3)
      const wide = yield* warehouse.ensureTable(spec("widened", { schema: { id: "int64" } }), [])
      yield* narrow.insert(plan, {
        ...narrow.encode(then),
        body: Buffer.concat([narrow.encode(then).body, wide.encode(bare).body])
      })
      assert.strictEqual(yield* narrow.stored(plan), 3)
      const all = [...then, ...bare]
      const recovered = yield* wide.insertMissing(plan, all)
      assert.deepStrictEqual([recovered.stored, recovered.inserted, recovered.encoded.rejected], [3, 1, []])
      assert.strictEqual(yield* wide.stored(plan), 4)
      const again = yield* narrow.insertMissing(plan, all)
      assert.deepStrictEqual([again.inserted, again.encoded.rejected], [0, []])
      assert.strictEqual((yield* counts("shop.widened"))["n"], "4")
    })
  )

  it.effect("names the record that the server refuses, though it sends only what is missing", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(spec("refused", { dedupWindow: 2 }), [])
      const all = [...records(0, 6, row), record(6, "[]"), ...records(7, 5, row)]
      yield* table.insert(planOf(0, 11), table.encode(all.slice(0, 4)))
      yield* Effect.forEach([1, 2, 3, 4], (k) =>
        table.insert(planOf(k * 100, k * 100), table.encode([record(k * 100, row(k * 100))]))
      )
      yield* warehouse.command("ALTER TABLE shop.refused ADD CONSTRAINT odd CHECK id != 27")
      const error = yield* Effect.flip(table.insertMissing(planOf(0, 11), all))
      // Offset 9 is the ninth of those that fit.
      assert.strictEqual(error.reason._tag === "BadRecord" ? error.reason.row : undefined, 8)
      const rest = yield* table.insertMissing(
        planOf(0, 11),
        all.filter(({ offset }) => offset !== 9)
      )
      assert.deepStrictEqual([rest.stored, rest.inserted], [4, 6])
      assert.deepStrictEqual(
        yield* one("SELECT count() AS n, uniqExact(_offset) AS offsets FROM shop.refused WHERE _offset < 12"),
        { n: "10", offsets: "10" }
      )
    })
  )

  it.effect("reports its rejected records, and leaves a table that has everything alone", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(spec("mixed"), [])
      const all = [record(0, row(0)), record(1, "[]"), record(2, row(2)), record(3, `{"id":null}`)]
      const first = yield* table.insertMissing(planOf(0, 3), all)
      const second = yield* table.insertMissing(planOf(0, 3), all)
      for (const { encoded } of [first, second]) {
        assert.strictEqual(encoded.rows, 2)
        assert.deepStrictEqual(
          encoded.rejected.map(({ index, code }) => [index, code]),
          [
            [1, "not_an_object"],
            [3, "missing_field"]
          ]
        )
      }
      assert.deepStrictEqual([first.stored, first.inserted, second.stored, second.inserted], [0, 2, 2, 0])
      assert.strictEqual((yield* table.insertMissing(planOf(4, 5), [record(4, "1"), record(5, "2")])).inserted, 0)
    })
  )
})

layerPerAttempt(Embedded)("mode upsert", (it) => {
  it.effect("keeps the last record of a key, also over a replay and a topic made again", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(
        spec("upserted", { mode: "upsert", schema: { id: "int64", v: "string" } }),
        []
      )
      const versions = (from: number, tag: string) =>
        records(from, 10, (offset) => `{"id":${offset % 5},"v":"${tag}${offset}"}`)
      const final = Effect.map(warehouse.query("SELECT id, v FROM shop.upserted FINAL ORDER BY id"), (rows) =>
        rows.map((one) => one["v"])
      )
      yield* table.insert(planOf(0, 9), table.encode(versions(0, "a")))
      assert.strictEqual(yield* table.stored(planOf(0, 9)), 10)
      yield* table.insert(planOf(10, 19), table.encode(versions(10, "a")))
      yield* warehouse.command("OPTIMIZE TABLE shop.upserted FINAL")
      assert.deepStrictEqual(yield* final, ["a15", "a16", "a17", "a18", "a19"])
      // The first plan comes again: some of its rows were replaced since.
      yield* table.insertMissing(planOf(0, 9), versions(0, "a"))
      yield* table.insertMissing(planOf(10, 19), versions(10, "a"))
      assert.deepStrictEqual(yield* final, ["a15", "a16", "a17", "a18", "a19"])
      // Offsets begin at 0 again, and still the new records win, also when another process goes on.
      yield* table.insert(planOf(0, 9, { topicId: "topic-2" }), table.encode(versions(0, "b")))
      assert.deepStrictEqual(yield* final, ["b5", "b6", "b7", "b8", "b9"])
      const other = yield* warehouse.ensureTable(
        spec("upserted", { mode: "upsert", schema: { id: "int64", v: "string" } }),
        []
      )
      yield* other.insert(planOf(10, 19, { topicId: "topic-2" }), other.encode(versions(10, "b")))
      assert.deepStrictEqual(yield* final, ["b15", "b16", "b17", "b18", "b19"])
    })
  )
})
