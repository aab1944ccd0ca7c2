import { assert } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Effect } from "effect"
import { Warehouse } from "../src/index.ts"
import { Embedded, planOf, record, spec } from "./support.ts"

const sample = (...texts: ReadonlyArray<string>): ReadonlyArray<Uint8Array> => texts.map((text) => Buffer.from(text))

layerPerAttempt(Embedded)("ensureTable", (it) => {
  it.effect("infers types from the sample and never guesses times", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const table = yield* warehouse.ensureTable(
        spec("inferred", { orderBy: ["id"], schema: { total: "decimal(18, 2)?", placed: "timestamp" } }),
        sample(
          `{"id":1,"total":"1.50","placed":"2026-01-01T00:00:00Z","big":9223372036854775807,"huge":1,"over":1,"rate":0.1,"wide":0.1,"flag":true,"name":"2026-01-01","nested":{"a":1},"list":[],"nothing":null,"mixed":1,"_offset":5}`,
          `not json`,
          `{"id":2,"big":-9223372036854775808,"huge":18446744073709551615,"over":18446744073709551616,"rate":2,"wide":0.12345678901234567890,"mixed":"a"}`
        )
      )
      assert.deepStrictEqual(
        table.columns.map(({ name, type, declared }) => `${name} ${type}${declared ? " declared" : ""}`),
        [
          "total Nullable(Decimal(18, 2)) declared",
          "placed DateTime64(6, 'UTC') declared",
          "id Int64",
          "big Nullable(Int64)",
          "huge Nullable(UInt64)",
          "over Nullable(String)",
          "rate Nullable(Float64)",
          "wide Nullable(String)",
          "flag Nullable(Bool)",
          "name Nullable(String)",
          "nested Nullable(String)",
          "list Nullable(String)",
          "nothing Nullable(String)",
          "mixed Nullable(String)"
        ]
      )
    })
  )

  it.effect("takes any field name, and keeps its own columns to itself", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const names = [
        "id",
        "a.b",
        "a.c",
        "with space",
        "qu`ote",
        "qu'ote",
        "back\\slash",
        'dou"ble',
        "é漢😀",
        "select",
        "_id",
        "line\nbreak",
        "1st",
        "{p:Int8}",
        "tab\t",
        "%s",
        "?"
      ]
      const json = `{${names.map((name, k) => `${JSON.stringify(name)}:${k}`).join(",")},"_topic":"mine","_extra":{"x":1},"":7,"_part":"p"}`
      const table = yield* warehouse.ensureTable(spec("names", { schema: {} }), sample(json))
      assert.deepStrictEqual(
        table.columns.map(({ name }) => name),
        names
      )
      yield* table.insert(planOf(0, 0, { topic: "it's \\ a `topic`" }), table.encode([record(0, json)]))
      const [row] = yield* warehouse.query("SELECT * FROM shop.names")
      assert.deepStrictEqual(
        names.map((name) => row?.[name]),
        names.map((_, k) => String(k))
      )
      assert.strictEqual(row?.["_extra"], `{"_topic":"mine","_extra":{"x":1},"":7,"_part":"p"}`)
      assert.strictEqual(row?.["_topic"], "it's \\ a `topic`")
    })
  )

  it.effect("refuses another sorting key for a table in mode upsert that it made, in whatever order", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const make = (table: string, orderBy: ReadonlyArray<string>, mode: "append" | "upsert" = "upsert") =>
        warehouse.ensureTable(spec(table, { mode, orderBy, schema: { id: "int64", "sh op": "string" } }), [])
      yield* make("keyed", ["id", "sh op"])
      yield* make("keyed", ["sh op", "id"])
      const error = yield* Effect.flip(make("keyed", ["id"]))
      assert.strictEqual(error.failureClass, "misconfigured")
      assert.include(error.message, "shop.keyed keeps one row for each id, sh op, but order_by is id.")
      assert.include(error.message, "Set order_by to [id, sh op] again; or name another table; or drop this one")
      yield* make("narrow", ["id"])
      assert.include((yield* Effect.flip(make("narrow", ["id", "sh op"]))).message, "one row for each id, but")
      // In mode append it says nothing of which rows there are.
      yield* make("appended", ["id"], "append")
      yield* make("appended", ["sh op"], "append")
      // And who makes a table knows why.
      yield* warehouse.command(
        "CREATE TABLE shop.given (id Int64, day Date, _version UInt64) ENGINE = ReplacingMergeTree(_version) ORDER BY (day, id) SETTINGS non_replicated_deduplication_window = 1000"
      )
      yield* warehouse.ensureTable(spec("given", { mode: "upsert", orderBy: ["id"], schema: { id: "int64" } }), [])
    })
  )

  it.effect("adds declared columns to an existing table and keeps the rest", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.ensureTable(spec("grown"), sample(`{"id":1,"a":1}`))
      const table = yield* warehouse.ensureTable(
        spec("grown", { schema: { id: "int64", b: "json?" } }),
        sample(`{"id":1,"c":1}`)
      )
      assert.deepStrictEqual(
        table.columns.map(({ name }) => name),
        ["id", "a", "b"]
      )
      yield* table.insert(planOf(0, 0), table.encode([record(0, `{"id":1,"b":"text","c":2}`)]))
      assert.deepStrictEqual(yield* warehouse.query("SELECT id, a, b, _extra FROM shop.grown"), [
        { id: "1", a: null, b: `"text"`, _extra: `{"c":2}` }
      ])
    })
  )

  it.effect("lets several processes make the same table at once", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const tables = yield* Effect.forEach(
        Array.from({ length: 8 }, (_, k) => k),
        (k) =>
          warehouse.ensureTable(
            spec("raced", { views: { raced_view: "SELECT id FROM shop.raced" } }),
            sample(`{"id":1,"f${k}":1}`)
          ),
        { concurrency: 8 }
      )
      assert.strictEqual(new Set(tables.map(({ columns }) => columns.map(({ name }) => name).join())).size, 1)
    })
  )

  it.effect("makes tables as the spec says: window, partitions, disk", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.ensureTable(
        spec("settings", {
          dedupWindow: 77,
          fsync: true,
          partitionBy: "toYYYYMM(day)",
          orderBy: ["day", "id"],
          schema: { id: "int64?", day: "date" }
        }),
        []
      )
      const [table] = yield* warehouse.query(
        "SELECT engine_full AS sql, sorting_key FROM system.tables WHERE database = 'shop' AND name = 'settings'"
      )
      for (const text of [
        "non_replicated_deduplication_window = 77",
        "fsync_after_insert = 1",
        "PARTITION BY (toYYYYMM(day))"
      ])
        assert.include(String(table?.["sql"]), text)
      assert.strictEqual(table?.["sorting_key"], "day, id")
    })
  )

  it.effect("replaces views", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      for (const limit of [1, 2]) {
        yield* warehouse.ensureTable(
          spec("viewed", { views: { "big ones": `SELECT ${limit} AS n FROM shop.viewed` } }),
          []
        )
      }
      const [view] = yield* warehouse.query(
        "SELECT create_table_query AS sql FROM system.tables WHERE name = 'big ones'"
      )
      assert.include(String(view?.["sql"]), "SELECT 2 AS n")
      const error = yield* Effect.flip(
        warehouse.ensureTable(spec("viewed", { views: { broken: "SELECT nope FROM shop.viewed" } }), [])
      )
      assert.strictEqual(error.failureClass, "misconfigured")
      assert.include(error.message, "view broken")
    })
  )

  it.effect("leaves columns alone that it cannot check or that the table fills itself", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.command("CREATE DATABASE IF NOT EXISTS shop")
      yield* warehouse.command(
        "CREATE TABLE shop.foreign (id Int64, tags Array(String), day Date MATERIALIZED today(), n UInt8, low LowCardinality(Nullable(String)), at DateTime, wide Int256) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"
      )
      const table = yield* warehouse.ensureTable(spec("foreign"), [])
      assert.deepStrictEqual(
        table.columns.map(({ name }) => name),
        ["id", "n", "low", "at", "wide"]
      )
      const big = "57896044618658097711785492504343953926634992332820282019728792003956564819967"
      yield* table.insert(
        planOf(0, 1),
        table.encode([
          record(
            0,
            `{"id":1,"tags":["x"],"day":"2020-01-01","n":256,"low":"l","at":"2026-01-01T00:00:00+01:00","wide":${big}}`
          ),
          record(1, `{"id":2,"n":null,"low":null,"wide":${big.slice(0, -1)}8}`)
        ])
      )
      assert.deepStrictEqual(
        yield* warehouse.query(
          "SELECT id, tags, n, low, at, toString(wide) AS wide, _extra FROM shop.foreign ORDER BY id"
        ),
        [
          {
            id: "1",
            tags: [],
            n: 0,
            low: "l",
            at: "2025-12-31 23:00:00",
            wide: big,
            _extra: `{"tags":["x"],"day":"2020-01-01","n":256}`
          },
          {
            id: "2",
            tags: [],
            n: 0,
            low: null,
            at: "1970-01-01 00:00:00",
            wide: "0",
            _extra: `{"n":null,"wide":${big.slice(0, -1)}8}`
          }
        ]
      )
    })
  )

  const refusals: ReadonlyArray<
    readonly [name: string, ddl: string | undefined, more: Parameters<typeof spec>[1], texts: ReadonlyArray<string>]
  > = [
    [
      "a table that does not remember inserts",
      "CREATE TABLE shop.bad (id Int64) ENGINE = MergeTree ORDER BY id",
      {},
      ["does not remember inserts", "MODIFY SETTING non_replicated_deduplication_window"]
    ],
    [
      "another declared type",
      "CREATE TABLE shop.bad (id String) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100",
      {},
      [`Column "id"`, "String", "int64", "MODIFY COLUMN"]
    ],
    [
      "a table that merges in mode append",
      "CREATE TABLE shop.bad (id Int64) ENGINE = SummingMergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100",
      {},
      ["SummingMergeTree", "append"]
    ],
    [
      "a plain table in mode upsert",
      "CREATE TABLE shop.bad (id Int64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100",
      { mode: "upsert" },
      ["ReplacingMergeTree(_version)"]
    ],
    ["a table in memory", "CREATE TABLE shop.bad (id Int64) ENGINE = Memory", {}, ["Memory"]],
    ["an unknown name in order_by", undefined, { orderBy: ["idd"], schema: {} }, [`"idd"`, `Did you mean "id"?`]],
    ["an empty order_by in mode upsert", undefined, { orderBy: [], mode: "upsert" }, ["order_by is empty"]],
    ["an impossible decimal", undefined, { schema: { id: "decimal(80, 2)" } }, ["decimal(80, 2)"]],
    ["a reserved name", undefined, { schema: { id: "int64", _offset: "int64" } }, [`"_offset"`]],
    ["a wrong partition expression", undefined, { partitionBy: "toYYYYMM(nope)" }, ["nope", "partition_by"]]
  ]
  for (const [name, ddl, more, texts] of refusals)
    it.effect(`refuses ${name} and says what to do`, () =>
      Effect.gen(function* () {
        const warehouse = yield* Warehouse
        yield* warehouse.command("CREATE DATABASE IF NOT EXISTS shop")
        yield* warehouse.command("DROP TABLE IF EXISTS shop.bad SYNC")
        if (ddl !== undefined) yield* warehouse.command(ddl)
        const error = yield* Effect.flip(warehouse.ensureTable(spec("bad", more), sample(`{"id":1,"name":"x"}`)))
        assert.strictEqual(error.failureClass, "misconfigured")
        for (const text of texts) assert.include(error.message, text)
      })
    )

  it.effect("refuses a materialised view whose target does not remember inserts, also behind another", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.ensureTable(spec("watched"), [])
      const target = (name: string, settings: string) =>
        warehouse.command(`CREATE TABLE shop.\`${name}\` (id Int64) ENGINE = MergeTree ORDER BY id${settings}`)
      yield* target("to it", " SETTINGS non_replicated_deduplication_window = 100")
      yield* target("behind", "")
      yield* warehouse.command(
        "CREATE MATERIALIZED VIEW shop.watched_view TO shop.`to it` AS SELECT id FROM shop.watched"
      )
      yield* warehouse.ensureTable(spec("watched"), [])
      yield* warehouse.command(
        "CREATE MATERIALIZED VIEW shop.behind_view TO shop.behind AS SELECT id FROM shop.`to it`"
      )
      const behind = yield* Effect.flip(warehouse.ensureTable(spec("watched"), []))
      assert.include(
        behind.message,
        "ALTER TABLE `shop`.`behind` MODIFY SETTING non_replicated_deduplication_window = 10000"
      )
      yield* warehouse.command("ALTER TABLE shop.behind MODIFY SETTING non_replicated_deduplication_window = 10000")
      yield* warehouse.ensureTable(spec("watched"), [])
      yield* warehouse.command(
        "CREATE MATERIALIZED VIEW shop.inner_view ENGINE = MergeTree ORDER BY id AS SELECT id FROM shop.watched"
      )
      const inner = yield* Effect.flip(warehouse.ensureTable(spec("watched"), []))
      assert.include(inner.message, ".inner_id.")
    })
  )
})
