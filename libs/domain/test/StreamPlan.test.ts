import { assert, describe, it } from "@effect/vitest"
import { Cron, DateTime, Duration, Option, Result } from "effect"
import {
  type Connector,
  outputTopic,
  parseConnector,
  parseFieldType,
  parsePoll,
  primaryKey,
  sinkFor,
  streamOf,
  transformSteps
} from "../src/index.ts"
import { nearest } from "../src/Nearest.ts"
import { wholeFile } from "./files.ts"

const parsed = (text: string): Connector => Result.getOrThrow(parseConnector(text, "a.yaml")).connector
const shop = parsed(wholeFile)

describe("what a stream is run with", () => {
  it("transform steps of its own, even none, come before the connector's", () => {
    assert.deepStrictEqual(
      transformSteps(shop, "orders").flatMap((step) => Object.keys(step)),
      ["mask", "salt", "rename", "filter", "typescript"]
    )
    assert.deepStrictEqual(transformSteps(shop, "items"), [])
    const plain = parsed(wholeFile.replace("    transform: []\n", ""))
    assert.deepStrictEqual(transformSteps(plain, "items"), [{ drop: ["internal_note"] }])
  })

  it("the topic that is named, else the connector's and stream's names, else the raw one", () => {
    assert.strictEqual(outputTopic(shop, "orders"), "orders")
    assert.strictEqual(outputTopic(shop, "items"), "raw.shop.items")
    assert.strictEqual(outputTopic(parsed(wholeFile.replace("    transform: []\n", "")), "items"), "shop.items")
  })

  it("its primary key as a list", () => {
    assert.deepStrictEqual(primaryKey(streamOf(shop, "orders")), ["shop.id", "id"])
    assert.deepStrictEqual(primaryKey(streamOf(shop, "items")), ["sku"])
    const keyless = parsed("connector: a\nhttp: { base_url: https://a.example }\nstreams: { b: { path: /b } }\n")
    assert.deepStrictEqual(primaryKey(streamOf(keyless, "b")), [])
    assert.isUndefined(sinkFor(keyless, "b"))
  })

  it("a sink of its own, else the connector's, with the names in it", () => {
    const orders = sinkFor(shop, "orders")
    assert.deepStrictEqual(
      orders === undefined ? undefined : { ...orders, flushEvery: Duration.toMillis(orders.flushEvery) },
      {
        database: "shop",
        table: "orders",
        orderBy: ["shop.id", "id"],
        partitionBy: undefined,
        mode: "upsert",
        batchRows: 10_000,
        batchBytes: 8_388_608,
        flushEvery: 1000,
        views: [{ database: "shop", name: "late_orders", select: "SELECT *\nFROM shop.orders FINAL\n" }]
      }
    )
    const items = sinkFor(shop, "items")
    assert.deepStrictEqual(
      [items?.database, items?.table, items?.mode, items?.orderBy, items?.partitionBy],
      ["shop", "all_items", "append", ["sku"], "toYYYYMM(at)"]
    )
  })

  it("a stream that the connector does not have is a defect", () => {
    assert.throws(() => sinkFor(shop, "order"), "Connector shop has no stream order")
  })
})

describe("parsePoll", () => {
  const nextOf = (poll: string) => {
    const times = parsePoll(poll)
    if (times._tag !== "Cron") return Duration.toMillis(times.interval)
    return Cron.next(times.cron, DateTime.makeUnsafe("2026-07-01T12:00:00Z")).toISOString()
  }

  it("reads intervals and cron expressions, with and without seconds and time zone", () => {
    assert.deepStrictEqual(
      [
        "every 2 seconds",
        "every  1.5 minutes",
        "cron 0 3 * * *",
        "cron 0 3 * * * Europe/Berlin",
        "cron 30 0 3 * * *",
        "cron 30 0 3 * * * +02:00",
        "cron */10 * * * MON UTC",
        "cron 0 3 29 2 *",
        "cron 0 3 * * 1"
      ].map(nextOf),
      [
        2000,
        90_000,
        "2026-07-02T03:00:00.000Z",
        "2026-07-02T01:00:00.000Z",
        "2026-07-02T03:00:30.000Z",
        "2026-07-02T01:00:30.000Z",
        "2026-07-06T00:00:00.000Z",
        "2028-02-29T03:00:00.000Z",
        "2026-07-06T03:00:00.000Z"
      ]
    )
  })

  it("refuses others", () => {
    for (const poll of [
      "",
      "every",
      "every day",
      "every 0 seconds",
      "every Infinity",
      "cron",
      "cron * * * *",
      "cron 0 0 30 2 *",
      "cron 0 0 31 4,6,9,11 * Europe/Berlin",
      "cron 61 * * * *",
      "cron 0 3 * * * Mars/Base"
    ]) {
      assert.throws(() => parsePoll(poll), "Not a poll", poll)
    }
  })
})

describe("parseFieldType", () => {
  it("reads every type", () => {
    assert.deepStrictEqual(
      [
        "bool",
        "int8?",
        "uint64",
        "float64",
        "decimal(18, 2)?",
        "decimal(76,0)",
        "timestamp",
        "timestamp(3)",
        "json?"
      ].map(parseFieldType),
      [
        { kind: "bool", nullable: false },
        { kind: "int", bits: 8, nullable: true },
        { kind: "uint", bits: 64, nullable: false },
        { kind: "float", bits: 64, nullable: false },
        { kind: "decimal", precision: 18, scale: 2, nullable: true },
        { kind: "decimal", precision: 76, scale: 0, nullable: false },
        { kind: "timestamp", precision: 6, nullable: false },
        { kind: "timestamp", precision: 3, nullable: false },
        { kind: "json", nullable: true }
      ]
    )
  })

  it("refuses others", () => {
    for (const type of [
      "",
      "?",
      "int",
      "int128",
      "float32",
      "decimal",
      "decimal(0, 0)",
      "decimal(77, 1)",
      "decimal(3, 4)",
      "timestamp(1)",
      "string??"
    ]) {
      assert.throws(() => parseFieldType(type), "Not a field type", type)
    }
  })
})

describe("nearest", () => {
  it("finds what was meant, and nothing when nothing is near", () => {
    const names = ["path", "primary_key", "pagination", "poll", "records"]
    assert.deepStrictEqual(
      ["paht", "primaryKey", "primary-key", "paginaton", "pol", "record", "Records", "x", "wibble", ""].map((name) =>
        nearest(name, names)
      ),
      [
        "path",
        "primary_key",
        "primary_key",
        "pagination",
        "poll",
        "records",
        "records",
        undefined,
        undefined,
        undefined
      ]
    )
  })

  it("does not take long over a long name", () => {
    assert.isTrue(Option.isNone(Option.fromUndefinedOr(nearest("x".repeat(1_000_000), ["path"]))))
  })
})
