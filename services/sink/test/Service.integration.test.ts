import { LosslessJson } from "@tributary/codec"
import { Warehouse } from "@tributary/clickhouse"
import { Connector, deadTopic, rawTopic, rejectedHeaders } from "@tributary/domain"
import { Log } from "@tributary/log"
import { Status } from "@tributary/telemetry"
import { seeded } from "@tributary/testkit"
import { assert, describe } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Duration, Effect, Fiber, Schema } from "effect"
import { runSink, sinkGroup } from "../src/index.ts"
import { Engine, query, until } from "./support.ts"

const decode = Schema.decodeUnknownSync(Connector)

/** A connector with one stream, whose records go from its raw topic into `shop.<stream>`. */
const connector = (
  stream: string,
  clickhouse: Record<string, unknown> = {},
  settings: Record<string, unknown> = {}
): Connector =>
  decode({
    connector: "shop",
    http: { base_url: "https://api.shop.example" },
    streams: { [stream]: { path: "/", primary_key: "id", schema: { id: "int64" }, ...settings } },
    sink: { clickhouse: { table: "shop.{stream}", flush_every: "20 millis", ...clickhouse } }
  })

const publish = Effect.fnUntraced(function* (stream: string, values: ReadonlyArray<string>, partitions = 1) {
  const log = yield* Log
  const topic = rawTopic("shop", stream)
  yield* log.ensureTopic({ name: topic, partitions, retention: Duration.days(7) })
  yield* log.publish(values.map((value, k) => ({ topic, key: Buffer.from(String(k)), value: Buffer.from(value) })))
})

/** Waits until the sink of a stream has loaded or rejected everything. */
const loaded = (stream: string) =>
  until(
    Effect.gen(function* () {
      const log = yield* Log
      const offsets = yield* log.offsets(rawTopic("shop", stream))
      const positions = yield* log.positions(sinkGroup("shop", stream, `shop.${stream}`))
      return offsets.reduce(
        (lag, { end, partition }) => lag + end - (positions.find((one) => one.partition === partition)?.offset ?? 0),
        0
      )
    }),
    (lag) => lag === 0
  )

const stateOf = (stream: string) =>
  Effect.map(
    Effect.flatMap(Status, ({ snapshot }) => snapshot),
    (entries) => entries.find((entry) => entry.stream === stream)?.stages.sink
  )

layerPerAttempt(Engine)("runSink", (it) => {
  it.effect("returns at once when the stream has no sink", () =>
    runSink(
      decode({ connector: "shop", http: { base_url: "https://api.shop.example" }, streams: { bare: { path: "/" } } }),
      "bare",
      { once: false }
    )
  )

  it.effect("pauses and says why when its table cannot be loaded; nothing is skipped", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.command("CREATE DATABASE IF NOT EXISTS shop")
      yield* warehouse.command("CREATE TABLE shop.logged (id Int64) ENGINE = Log")
      yield* publish("logged", [`{"id":1}`])
      const sink = yield* Effect.forkChild(runSink(connector("logged"), "logged", { once: false }))
      const state = yield* until(stateOf("logged"), (stage) => stage?.state === "paused")
      assert.strictEqual(state?.problem?.class, "misconfigured")
      assert.include(state?.problem?.message, "shop.logged is a Log")
      assert.isNotNull(state?.nextAt)
      yield* Fiber.interrupt(sink)
      const log = yield* Log
      assert.deepStrictEqual(yield* log.positions(sinkGroup("shop", "logged", "shop.logged")), [])
      assert.strictEqual((yield* log.offsets(deadTopic("shop", "logged")))[0]?.end, 0)

      const once = yield* Effect.flip(runSink(connector("logged"), "logged", { once: true }))
      assert.deepStrictEqual([once._tag, once.failureClass], ["GaveUp", "misconfigured"])
      yield* warehouse.command("DROP TABLE shop.logged SYNC")
      const again = yield* Effect.forkChild(runSink(connector("logged"), "logged", { once: false }))
      yield* loaded("logged")
      yield* Fiber.interrupt(again)
      assert.deepStrictEqual(yield* query("SELECT id FROM shop.logged"), [{ id: "1" }])
    })
  )

  it.effect("pauses without the right to insert, and goes on when it is granted", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.ensureTable(
        { database: "shop", table: "closed", mode: "append", orderBy: ["id"], schema: { id: "int64" }, views: {} },
        []
      )
      yield* warehouse.command("ALTER TABLE shop.closed MODIFY SETTING table_readonly = 1")
      yield* publish("closed", [`{"id":1}`])
      const sink = yield* Effect.forkChild(runSink(connector("closed"), "closed", { once: false }))
      const state = yield* until(stateOf("closed"), (stage) => stage?.state === "paused")
      assert.strictEqual(state?.problem?.class, "misconfigured")
      assert.include(state?.problem?.message, "read-only")
      yield* Fiber.interrupt(sink)
      yield* warehouse.command("ALTER TABLE shop.closed MODIFY SETTING table_readonly = 0")
      const again = yield* Effect.forkChild(runSink(connector("closed"), "closed", { once: false }))
      yield* loaded("closed")
      yield* Fiber.interrupt(again)
      assert.deepStrictEqual(yield* query("SELECT id FROM shop.closed"), [{ id: "1" }])
    })
  )

  it.effect(
    "loads again what a table that is gone has held, but not for a partition that only comes from another member",
    () =>
      Effect.gen(function* () {
        const stream = "handed"
        const settings = connector(stream, {}, { topic: { partitions: 2 } })
        const ids = (from: number) => Array.from({ length: 20 }, (_, k) => `{"id":${from + k}}`)
        const counted = (n: number) =>
          Effect.map(query(`SELECT count() AS n, uniqExact(id) AS ids FROM shop.${stream}`), (rows) =>
            assert.deepStrictEqual(rows, [{ n: String(n), ids: String(n) }])
          )
        // There is no table when this one begins; it makes it.
        yield* publish(stream, ids(0), 2)
        const first = yield* Effect.forkChild(runSink(settings, stream, { once: false }))
        yield* loaded(stream)
        yield* counted(20)
        const second = yield* Effect.forkChild(runSink(settings, stream, { once: false }))
        yield* Effect.sleep("200 millis")
        yield* publish(stream, ids(20), 2)
        yield* loaded(stream)
        // Its partition goes back to the first, which has not loaded it last.
        yield* Fiber.interrupt(second)
        yield* publish(stream, ids(40), 2)
        yield* loaded(stream)
        yield* counted(60)
        yield* Fiber.interrupt(first)
        const warehouse = yield* Warehouse
        yield* warehouse.command(`DROP TABLE shop.${stream} SYNC`)
        const again = yield* Effect.forkChild(runSink(settings, stream, { once: false }))
        yield* until(
          Effect.orElseSucceed(query(`SELECT count() AS n FROM shop.${stream}`), () => []),
          ([row]) => row?.["n"] === "60"
        )
        yield* loaded(stream)
        yield* Fiber.interrupt(again)
        yield* counted(60)
      })
  )

  it.effect("loads everything again into a table that another process made anew while this one had nothing to do", () =>
    Effect.gen(function* () {
      const stream = "anew"
      const settings = connector(stream, { order_by: ["id"] }, { topic: { partitions: 2 } })
      const ids = (from: number) => Array.from({ length: 20 }, (_, k) => `{"id":${from + k}}`)
      const warehouse = yield* Warehouse
      yield* publish(stream, ids(0), 2)
      const sink = yield* Effect.forkChild(runSink(settings, stream, { once: false }))
      yield* loaded(stream)
      const before = yield* warehouse.findTable("shop", stream)
      yield* warehouse.command(`DROP TABLE shop.${stream} SYNC`)
      yield* warehouse.ensureTable(
        { database: "shop", table: stream, mode: "append", orderBy: ["id"], schema: { id: "int64" }, views: {} },
        []
      )
      assert.notStrictEqual((yield* warehouse.findTable("shop", stream))?.generation, before?.generation)
      // To one partition only; the other has nothing new.
      yield* publish(stream, ['{"id":20}'], 2)
      yield* until(
        query(`SELECT count() AS n, uniqExact(id) AS ids FROM shop.${stream}`),
        ([row]) => row?.["n"] === "21"
      )
      yield* loaded(stream)
      yield* Fiber.interrupt(sink)
      assert.deepStrictEqual(yield* query(`SELECT count() AS n, uniqExact(id) AS ids FROM shop.${stream}`), [
        { n: "21", ids: "21" }
      ])
    })
  )

  describe("views", () => {
    const views = {
      "shop.total": "SELECT count() AS n FROM shop.{stream}",
      "reports.daily": "SELECT max(id) AS last FROM shop.{stream}",
      "shop.broken": "SELECT nonsense( FROM shop.{stream}"
    }

    it.effect("are made as soon as their tables are, also in other databases; one that is wrong harms nobody", () =>
      Effect.gen(function* () {
        const sink = yield* Effect.forkChild(runSink(connector("viewed", { views }), "viewed", { once: false }))
        yield* Effect.sleep("300 millis")
        yield* publish("viewed", [`{"id":1}`, `{"id":7}`])
        const found = yield* until(
          Effect.orElseSucceed(query("SELECT n, last FROM shop.total, reports.daily"), () => []),
          // The views are there before the rows are.
          (rows) => rows[0]?.["n"] === "2"
        )
        assert.deepStrictEqual(found, [{ n: "2", last: "7" }])
        yield* Fiber.interrupt(sink)
      })
    )

    it.effect("are there when a run that ends has ended", () =>
      Effect.gen(function* () {
        const only = { "shop.at_once": "SELECT count() AS n FROM shop.{stream}" }
        const sink = yield* Effect.forkChild(runSink(connector("hasty", { views: only }), "hasty", { once: true }))
        // By now the next try is far away.
        yield* Effect.sleep("800 millis")
        yield* publish("hasty", [`{"id":1}`])
        yield* loaded("hasty")
        yield* Fiber.interrupt(sink)
        assert.deepStrictEqual(yield* query("SELECT n FROM shop.at_once"), [{ n: "1" }])
      })
    )
  })

  it.effect("loads what was published as it was published: numbers, text, nulls, what no column has", () =>
    Effect.gen(function* () {
      const seed = Math.floor(Math.random() * 2 ** 31)
      const sent = records(seed, 3_000)
      const stream = "faithful"
      yield* publish(
        stream,
        sent.map(({ text }) => text),
        3
      )
      const settings = {
        schema: {
          id: "int64",
          big: "uint64?",
          amount: "decimal(38, 9)?",
          name: "string?",
          at: "timestamp(6)?",
          flag: "bool?",
          score: "float64?",
          doc: "json?"
        },
        topic: { partitions: 3 }
      }
      const sink = yield* Effect.forkChild(
        runSink(connector(stream, { batch_rows: 700 }, settings), stream, { once: false })
      )
      yield* loaded(stream)
      yield* Fiber.interrupt(sink)
      const log = yield* Log
      const { records: rejected } = yield* log.read(deadTopic("shop", stream), 0, 0, {
        maxRecords: 10,
        maxBytes: 1_000_000,
        wait: Duration.zero
      })
      assert.deepStrictEqual(
        rejected.map(({ headers }) => headers[rejectedHeaders.reason]),
        [],
        `seed ${seed}`
      )
      const rows = yield* query(
        `SELECT * EXCEPT (_topic, _topic_id, _partition, _offset, _inserted_at, at), toUnixTimestamp64Micro(at) AS at FROM shop.${stream} ORDER BY id`
      )
      assert.strictEqual(rows.length, sent.length)
      const ordered = sent.toSorted((a, b) => (a.id < b.id ? -1 : 1))
      for (const [k, row] of rows.entries()) {
        const problem = difference(ordered[k]!, row)
        if (problem !== undefined)
          assert.fail(`seed ${seed}: ${problem}\nsent ${ordered[k]!.text}\nfound ${JSON.stringify(row)}`)
      }
    })
  )
})

// Random records, and what is to be found of them.

interface Sent {
  readonly id: bigint
  readonly text: string
  /** Texts of the values, by field. */
  readonly fields: ReadonlyMap<string, string>
}

const characters = ["a", "Z", " ", "é", "漢", "😀", "\u2028", "\\n", "\\t", '\\"', "\\\\", "\\/", "\\u0000", "\\u00e9", "\\uD83D\\uDE00", "'", "`", "{", "]", ",", ":"] // prettier-ignore

const records = (seed: number, count: number): ReadonlyArray<Sent> => {
  const { below, digits, next, pick } = seeded(seed)
  const string = () => `"${Array.from({ length: below(20) }, () => pick(characters)).join("")}"`
  const number = () =>
    pick([
      () => String(below(1000) - 500),
      () => `${pick(["", "-"])}${below(9) + 1}${digits(below(40))}`,
      () => `${pick(["", "-"])}${below(1000)}.${digits(below(20) + 1)}`,
      () => `${below(9) + 1}.${digits(3)}${pick(["e", "E"])}${pick(["", "+", "-"])}${below(300)}`,
      () => String(next()),
      () => pick(["-0", "9007199254740993", "9223372036854775807", "18446744073709551615", "0.1", "1.50", "5e-324"])
    ])()
  const value = (depth: number): string =>
    pick([
      string,
      number,
      () => pick(["true", "false", "null"]),
      () => (depth > 2 ? "[]" : `[ ${Array.from({ length: below(4) }, () => value(depth + 1)).join(" ,")}]`),
      () =>
        depth > 2 ? "{}" : `{${Array.from({ length: below(4) }, (_, k) => `"k${k}": ${value(depth + 1)}`).join(",")} }`
    ])()
  const pad = (n: number) => String(n).padStart(2, "0")
  const declared: Readonly<Record<string, () => string>> = {
    big: () => pick(["0", "18446744073709551615", "9007199254740993", String(below(1_000_000))]),
    amount: () => {
      const text = `${pick(["", "-"])}${pick(["0", `${below(9) + 1}${digits(below(28))}`])}.${digits(below(9) + 1)}`
      return pick([text, `"${text}"`])
    },
    name: string,
    at: () =>
      `"${1950 + below(300)}-${pad(below(12) + 1)}-${pad(below(28) + 1)}T${pad(below(24))}:${pad(below(60))}:${pad(below(60))}.${digits(below(6) + 1)}${pick(["Z", "+02:00", "-11:30"])}"`,
    flag: () => pick(["true", "false"]),
    score: () => String((next() - 0.5) * 10 ** (below(600) - 300)),
    doc: () => value(0)
  }
  const strange = ["note", "tags", "größe", "", "a b", "_offset", "_extra", "__proto__", 'q"uote', "x.y", "ID", "😀"]
  const ids = new Set<bigint>([-(2n ** 63n), 2n ** 63n - 1n, 0n, 2n ** 53n + 1n])
  while (ids.size < count)
    ids.add(BigInt.asIntN(64, BigInt(Math.floor(next() * 2 ** 32)) * BigInt(Math.floor(next() * 2 ** 32))))
  return [...ids].map((id) => {
    const fields = new Map<string, string>([["id", String(id)]])
    for (const [name, make] of Object.entries(declared)) {
      const chance = below(10)
      if (chance < 7) fields.set(name, make())
      else if (chance < 9) fields.set(name, "null")
    }
    for (let k = below(5); k > 0; k--) fields.set(pick(strange), value(0))
    // Fields that are now of one kind and now of another.
    if (below(3) === 0) fields.set("mixed", value(1))
    if (below(3) === 0) fields.set("counted", String(below(1_000_000)))
    const shuffled = [...fields].sort(() => next() - 0.5)
    const space = pick(["", " ", "\n"])
    const text = `{${shuffled.map(([name, one]) => `${JSON.stringify(name)}${space}:${space}${one}`).join(`${space},`)}${space}}`
    return { id, text, fields }
  })
}

/** A number as its digits and power of ten, made of its text alone. */
const exact = (text: string): string => {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e")
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".")
  const all = (whole + fraction).replace(/^0+/u, "")
  const significant = all.replace(/0+$/u, "")
  if (significant === "") return "0"
  return `${mantissa.startsWith("-") ? "-" : ""}${significant}e${Number(exponent) - fraction.length + all.length - significant.length}`
}

/** Microseconds since 1970. */
const microseconds = (text: string): string => {
  const [, seconds = "", fraction = "", zone = ""] = /^(.*)\.(\d+)(Z|[+-]..:..)$/u.exec(text) ?? []
  // oxlint-disable-next-line eslint/no-restricted-globals -- parses a given time
  return String(BigInt(Date.parse(`${seconds}${zone}`)) * 1000n + BigInt(fraction.padEnd(6, "0")))
}

const isNumberText = (text: string): boolean => /^-?\d/u.test(text)

const sameInColumn = (name: string, text: string, found: unknown): boolean => {
  if (text === "null") return found === null
  if (name === "at") return String(found) === microseconds(String(JSON.parse(text)))
  if (name === "doc") return found === text
  if (name === "amount") return typeof found === "string" && exact(found) === exact(text.replaceAll('"', ""))
  if (text.startsWith('"')) return found === JSON.parse(text)
  if (text === "true" || text === "false") return String(found) === text
  if (isNumberText(text)) {
    return typeof found === "number"
      ? Object.is(found, Number(text)) && exact(String(found)) === exact(text)
      : typeof found === "string" && exact(found) === exact(text)
  }
  // Arrays and objects are text columns' JSON.
  return found === text
}

/** What of a record is not as it was sent. */
const difference = ({ fields }: Sent, row: Readonly<Record<string, unknown>>): string | undefined => {
  const extra = row["_extra"] === "" ? {} : LosslessJson.parse(Buffer.from(String(row["_extra"])))
  if (typeof extra !== "object" || extra === null) return "_extra is no object"
  const spare = new Map<string, LosslessJson.Json>(Object.entries(extra))
  for (const [name, text] of fields) {
    const moved = spare.get(name)
    if (spare.delete(name)) {
      const sent = LosslessJson.stringify(LosslessJson.parse(Buffer.from(text)))
      if (LosslessJson.stringify(moved ?? null) !== sent) return `${name} was altered in _extra`
    } else if (name === "_extra" || name === "_offset" || !(name in row)) return `${name} is missing`
    else if (!sameInColumn(name, text, row[name])) return `${name} was altered`
  }
  for (const name of spare.keys()) return `${name} was not sent`
  for (const [name, found] of Object.entries(row))
    if (name !== "_extra" && !fields.has(name) && found !== null) return `${name} was not sent, and is ${String(found)}`
  return undefined
}
