import { createServer } from "node:net"
import { assert } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Effect, Layer, Redacted, Stream } from "effect"
import { makeClient } from "../src/Client.ts"
import { ClickHouseServer, Warehouse, type WarehouseError } from "../src/index.ts"
import { Embedded, planOf, records, spec } from "./support.ts"

const row = (offset: number): string => `{"id":${offset}}`

const tagOf = (error: WarehouseError) => [error.reason._tag, error.failureClass]

layerPerAttempt(Embedded)("errors of a real server", (it) => {
  const client = Effect.gen(function* () {
    const server = yield* ClickHouseServer
    return yield* makeClient(yield* server.endpoint)
  })

  it.effect("a wrong password", () =>
    Effect.gen(function* () {
      const server = yield* ClickHouseServer
      const { url, user } = yield* server.endpoint
      const password = Redacted.make("wr0ng")
      const error = yield* Effect.flip(
        Effect.provide(
          Warehouse.use((warehouse) => warehouse.ping),
          Warehouse.layerServer({ url, user, password })
        )
      )
      assert.deepStrictEqual(tagOf(error), ["Misconfigured", "misconfigured"])
      assert.include(error.message, "516")
      assert.include(error.message, "Check user and password")
      assert.notInclude(JSON.stringify(error) + error.message, "wr0ng")
    })
  )

  it.effect("no password at all: the engine's own user cannot log in", () =>
    Effect.gen(function* () {
      const server = yield* ClickHouseServer
      const { url } = yield* server.endpoint
      const open = yield* makeClient({ url, user: "default", password: Redacted.make("") })
      const error = yield* Effect.flip(open.rows("query", "SELECT 1"))
      assert.strictEqual(error.reason._tag === "Busy" ? error.reason.code : error.reason._tag, 700)
    })
  )

  it.effect("a table or database that is gone", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable({ ...spec("gone"), database: "vanishing" }, [])
      yield* warehouse.command("DROP TABLE vanishing.gone SYNC")
      const noTable = yield* Effect.flip(table.insert(planOf(0, 0), table.encode(records(0, 1, row))))
      assert.deepStrictEqual(tagOf(noTable), ["Misconfigured", "misconfigured"])
      assert.include(noTable.message, "insert into vanishing.gone")
      assert.include(noTable.message, "UNKNOWN_TABLE")
      yield* warehouse.command("DROP DATABASE vanishing")
      const noDatabase = yield* Effect.flip(table.insert(planOf(0, 0), table.encode(records(0, 1, row))))
      assert.deepStrictEqual(tagOf(noDatabase), ["Misconfigured", "misconfigured"])
    })
  )

  it.effect("a column that is gone", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(spec("narrowed", { schema: { id: "int64", a: "int64?" } }), [])
      yield* warehouse.command("ALTER TABLE shop.narrowed DROP COLUMN a")
      const error = yield* Effect.flip(table.insert(planOf(0, 0), table.encode(records(0, 1, row))))
      assert.deepStrictEqual(tagOf(error), ["Misconfigured", "misconfigured"])
    })
  )

  it.effect("a user who may only read", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.ensureTable(spec("readable"), [])
      const direct = yield* client
      const error = yield* Effect.flip(
        direct.insert("insert", "INSERT INTO shop.readable (id) FORMAT JSONEachRow", Buffer.from(`{"id":1}`), {
          readonly: 1
        })
      )
      assert.deepStrictEqual(tagOf(error), ["Misconfigured", "misconfigured"])
      assert.include(error.message, "READONLY")
    })
  )

  it.effect("too many partitions is a matter of configuration, too many parts passes", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(spec("shattered", { partitionBy: "id" }), [])
      const error = yield* Effect.flip(table.insert(planOf(0, 199), table.encode(records(0, 200, row))))
      assert.deepStrictEqual(tagOf(error), ["Misconfigured", "misconfigured"])
      assert.include(error.message, "partition_by")
      const crowded = yield* warehouse.ensureTable(spec("crowded"), [])
      yield* warehouse.command(
        "ALTER TABLE shop.crowded MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 2"
      )
      yield* warehouse.command("SYSTEM STOP MERGES shop.crowded")
      const busy = yield* Effect.flip(
        Effect.forEach([0, 1, 2, 3, 4], (k) => crowded.insert(planOf(k, k), crowded.encode(records(k, 1, row))), {
          discard: true
        })
      )
      assert.deepStrictEqual(tagOf(busy), ["Busy", "throttled"])
    })
  )

  it.effect("memory", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.ensureTable(spec("hungry"), [])
      const direct = yield* client
      const body = Buffer.concat(Array.from({ length: 50_000 }, (_, k) => Buffer.from(`{"id":${k}}\n`)))
      const error = yield* Effect.flip(
        direct.insert("insert", "INSERT INTO shop.hungry (id) FORMAT JSONEachRow", body, { max_memory_usage: 100_000 })
      )
      assert.deepStrictEqual(tagOf(error), ["OutOfMemory", "transient"])
    })
  )

  it.effect("a record that the server cannot read, with its row", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.ensureTable(spec("unreadable"), [])
      const direct = yield* client
      const error = yield* Effect.flip(
        direct.insert(
          "insert",
          "INSERT INTO shop.unreadable (id) FORMAT JSONEachRow",
          Buffer.from(`{"id":1}\n{"id":2}\n{"id":"x"}\n`),
          {}
        )
      )
      assert.deepStrictEqual(tagOf(error), ["BadRecord", "defect"])
      assert.strictEqual(error.reason._tag === "BadRecord" ? error.reason.row : undefined, 2)
      assert.include(error.message, "record 2")
    })
  )

  it.effect("the row that is meant, not one that the record speaks of", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.ensureTable(spec("misleading"), [])
      const direct = yield* client
      const error = yield* Effect.flip(
        direct.insert(
          "insert",
          "INSERT INTO shop.misleading (id) FORMAT JSONEachRow",
          Buffer.from(`{"id":1}\n{"id":"x (at row 7)"}\n`),
          {}
        )
      )
      assert.include(error.message, "(at row 7)")
      assert.strictEqual(error.reason._tag === "BadRecord" ? error.reason.row : undefined, 1)
    })
  )

  it.effect("a record that a constraint refuses, with its row", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(spec("constrained"), [])
      yield* warehouse.command("ALTER TABLE shop.constrained ADD CONSTRAINT small CHECK id < 4")
      const error = yield* Effect.flip(table.insert(planOf(0, 9), table.encode(records(0, 10, row))))
      assert.deepStrictEqual(tagOf(error), ["BadRecord", "defect"])
      assert.strictEqual(error.reason._tag === "BadRecord" ? error.reason.row : undefined, 4)
    })
  )

  it.effect("a view that cannot process a record: it is the view's fault, for the table has the rows by then", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(spec("watched", { schema: { id: "int64", name: "string" } }), [])
      yield* warehouse.command(
        "CREATE TABLE shop.seen (day Date) ENGINE = MergeTree ORDER BY day SETTINGS non_replicated_deduplication_window = 100"
      )
      yield* warehouse.command(
        "CREATE MATERIALIZED VIEW shop.seen_view TO shop.seen AS SELECT toDate(name) AS day FROM shop.watched"
      )
      const error = yield* Effect.flip(
        table.insert(planOf(0, 9), table.encode(records(0, 10, (offset) => `{"id":${offset},"name":"n"}`)))
      )
      assert.deepStrictEqual(tagOf(error), ["Misconfigured", "misconfigured"])
      assert.include(error.message, "shop.seen_view")
      assert.strictEqual(yield* table.stored(planOf(0, 9)), 10)
    })
  )

  it.effect("a query that is wrong, and one that fails in its middle", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const syntax = yield* Effect.flip(warehouse.query("SELEC 1"))
      assert.strictEqual(syntax.failureClass, "misconfigured")
      assert.include(syntax.message, "62 SYNTAX_ERROR")
      const middle = yield* Effect.flip(
        warehouse.query("SELECT throwIf(number = 3000000, 'here') AS x FROM numbers(5000000)")
      )
      assert.include(middle.message, "395")
      const format = yield* Effect.flip(Stream.runDrain(warehouse.stream("SELECT 1", "No; DROP")))
      assert.strictEqual(format.failureClass, "misconfigured")
      const streamed = yield* Effect.flip(Stream.runDrain(warehouse.stream("SELECT nope", "CSV")))
      assert.strictEqual(streamed.failureClass, "misconfigured")
    })
  )

  it.effect("a server that is not there, and one that never answers", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const made = createServer((socket) => socket.on("data", () => socket.destroy()))
          made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (made) => Effect.callback<void>((resume) => void made.close(() => resume(Effect.void)))
      )
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      for (const url of [`http://127.0.0.1:${port}`, "http://127.0.0.1:1"]) {
        const gone = Warehouse.layerServer({ url, user: "u", password: Redacted.make("s3cret") })
        const error = yield* Effect.flip(
          Effect.provide(
            Warehouse.use((warehouse) => warehouse.ping),
            Layer.fresh(gone)
          )
        )
        assert.deepStrictEqual(tagOf(error), ["Unavailable", "transient"])
        assert.notInclude(error.message, "s3cret")
      }
    })
  )

  it.effect("queries keep every digit, take parameters and stream", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      assert.deepStrictEqual(
        yield* warehouse.query("SELECT 18446744073709551615 AS n, toDecimal64('1.10', 2) AS d, {s:String} AS s", {
          s: "it's `'\\ \n ✓"
        }),
        [{ n: "18446744073709551615", d: "1.1", s: "it's `'\\ \n ✓" }]
      )
      const chunks = yield* Stream.runCollect(warehouse.stream("SELECT number FROM numbers(100000);", "CSV"))
      assert.strictEqual(Buffer.concat(chunks).toString().split("\n").length, 100_001)
    })
  )
})
