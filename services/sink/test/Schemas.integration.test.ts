import { LosslessJson } from "@tributary/codec"
import { Connector, deadTopic, rawTopic, rejectedHeaders } from "@tributary/domain"
import { Log } from "@tributary/log"
import { RegistryError, RegistryUnreachable, SchemaRegistry, valueEncoder } from "@tributary/schema-registry"
import { Status } from "@tributary/telemetry"
import { assert, describe } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Duration, Effect, Fiber, Schema } from "effect"
import { runSink, sinkGroup } from "../src/index.ts"
import { Engine, query, until } from "./support.ts"

const decode = Schema.decodeUnknownSync(Connector)

const schema = {
  n: "int64",
  total: "decimal(18, 2)?",
  at: "timestamp(6)?",
  day: "date?",
  label: "string?",
  raw: "json?",
  u64: "uint64?",
  ratio: "float64?",
  uuid: "uuid?",
  flag: "bool?"
}

const connector = (stream: string, format: string): Connector =>
  decode({
    connector: "shop",
    http: { base_url: "https://api.shop.example" },
    streams: { [stream]: { path: "/", primary_key: "n", schema, topic: { format } } },
    sink: { clickhouse: { table: "shop.{stream}", flush_every: "20 millis" } }
  })

/** Records of which a table takes most, and some not; the later ones differ from what the first ones looked like. */
const records = [
  '{"n":0,"total":"12.50","at":"2026-01-31T12:00:00.123456+02:00","day":"2026-01-31","label":"Zoë 李","raw":{"a": 1.50},"u64":18446744073709551615}',
  '{"n":1,"ratio":0.1,"uuid":"3F2504E0-4F89-11D3-9A0C-0305E82C3301","flag":true,"big":9007199254740993,"name":"x","price":1.50,"tags":["a", 2.50]}',
  '{"n":9007199254740993,"total":-0.01,"at":1.5,"label":1.50,"raw":"text","big":-9223372036854775808,"name":null,"price":2e3}',
  '{"n":2,"total":null,"label":{"a": [1]},"raw":null,"big":null,"mixed":1,"huge":18446744073709551615}',
  '{"n":3,"mixed":"one","huge":1,"name":"a\\u00e9\\n\\"b\\"","price":-0.0,"tags":null}',
  '{"n":4,"big":1.5,"name":7,"price":"free","late":{"deep":{"x":9007199254740993}},"tags":{}}',
  '{"n":5,"late":null,"other":null,"name":"\\ud83d\\ude00","a-b":1,"_extra":2,"_offset":3}',
  '{"n":6,"exact":0.12345678901234567890,"price":0.1000000000000000055511151231257827}',
  '{"n":7,"at":"1899-12-31T00:00:00Z"}',
  '{"n":8,"total":1e30}',
  '{"n":10,"flag":"yes"}',
  '{"total":1}',
  '{"n":11,"at":"2026-01-31 10:00:00Z","day":"1969-12-31","ratio":"1e-7"}',
  '{"n":12,"at":-0.5,"total":0,"u64":"0"}'
]

const row = (value: Readonly<Record<string, unknown>>) =>
  Object.entries(value)
    .map(([name, field]) => [
      name,
      name === "_extra" && field !== "" ? sortedKeys(LosslessJson.parse(String(field))) : field
    ])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
const sortedKeys = (value: LosslessJson.Json): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value)
        .map(([key, field]) => [key, LosslessJson.stringify(field)])
        .sort()
    : value

/** What became of the records: rows of the table, and for each rejected record its bytes and why. */
const outcome = Effect.fnUntraced(function* (stream: string, format: string) {
  const settings = connector(stream, format)
  const log = yield* Log
  const topic = rawTopic("shop", stream)
  yield* log.ensureTopic({ name: topic, partitions: 1, retention: Duration.days(7) })
  const rejected: Array<readonly [value: string, code: string]> = []
  const encoder = yield* valueEncoder(settings, stream)
  const bytes = records.map((record) => Buffer.from(record))
  const encoded = encoder === undefined ? { values: bytes, rejected: [] } : yield* encoder.encode(bytes)
  for (const { code, index } of encoded.rejected) rejected.push([records[index]!, code])
  const values = encoded.values.flatMap((value) => (value === undefined ? [] : [value]))
  if (format !== "json") for (const value of values) assert.strictEqual(value[0], 0)
  yield* log.publish(values.map((value) => ({ topic, key: null, value })))
  const sink = yield* Effect.forkChild(runSink(settings, stream, { once: false }))
  yield* until(
    log.positions(sinkGroup("shop", stream, `shop.${stream}`)),
    ([position]) => position?.offset === values.length
  )
  yield* Fiber.interrupt(sink)
  const letters = yield* log.read(deadTopic("shop", stream), 0, 0, {
    maxRecords: 100,
    maxBytes: 1_000_000,
    wait: Duration.zero
  })
  for (const { headers, value } of letters.records)
    rejected.push([Buffer.from(value ?? []).toString(), headers[rejectedHeaders.code]!])
  const rows = yield* query(
    `SELECT * EXCEPT (_topic, _topic_id, _offset, _inserted_at) FROM shop.${stream} ORDER BY n SETTINGS output_format_json_quote_64bit_integers = 1`
  )
  return { rows: rows.map(row), rejected: rejected.sort() }
})

layerPerAttempt(Engine)("topics with schemas", (it) => {
  it.effect("are loaded as topics of JSON are", () =>
    Effect.gen(function* () {
      const json = yield* outcome("as_json", "json")
      assert.isAbove(json.rows.length, 8)
      assert.isAbove(json.rejected.length, 2)
      const schemaJson = yield* outcome("as_json_schema", "json_schema")
      assert.deepStrictEqual(schemaJson.rows, json.rows)
      assert.deepStrictEqual(
        schemaJson.rejected.map(([, code]) => code),
        json.rejected.map(([, code]) => code)
      )
      const avro = yield* outcome("as_avro", "avro")
      assert.deepStrictEqual(avro.rows, json.rows)
      assert.deepStrictEqual(
        avro.rejected.map(([, code]) => code),
        json.rejected.map(([, code]) => code)
      )
    })
  )

  describe("of which a value cannot be read", () => {
    it.effect("has it in the dead letters, with the reason", () =>
      Effect.gen(function* () {
        const stream = "broken"
        const settings = connector(stream, "avro")
        const encoder = yield* valueEncoder(settings, stream)
        const { values } = yield* encoder!.encode(['{"n":1}', '{"n":2}', '{"n":3}'].map((text) => Buffer.from(text)))
        const [one, two, three] = values.map((value) => Buffer.from(value!))
        const log = yield* Log
        const topic = rawTopic("shop", stream)
        yield* log.ensureTopic({ name: topic, partitions: 1 })
        yield* log.publish([one!, two!.subarray(0, 7), three!].map((value) => ({ topic, key: null, value })))
        const sink = yield* Effect.forkChild(runSink(settings, stream, { once: false }))
        const { records: letters } = yield* until(
          log.read(deadTopic("shop", stream), 0, 0, { maxRecords: 9, maxBytes: 9_999, wait: Duration.zero }).pipe(
            Effect.catchIf(
              ({ reason }) => reason._tag === "UnknownTopic",
              () => Effect.succeed({ records: [] })
            )
          ),
          ({ records }) => records.length > 0
        )
        yield* until(query(`SELECT n FROM shop.${stream} ORDER BY n`), (rows) => rows.length === 2)
        yield* Fiber.interrupt(sink)
        assert.strictEqual(letters[0]?.headers[rejectedHeaders.code], "undecodable")
        assert.include(letters[0]?.headers[rejectedHeaders.reason], "the bytes end too soon")
        assert.deepStrictEqual(Buffer.from(letters[0]?.value ?? []), two!.subarray(0, 7))
      })
    )
  })

  it.effect("wait for a registry that is away, and go on by themselves", () =>
    Effect.gen(function* () {
      const stream = "away"
      const settings = connector(stream, "avro")
      const encoder = yield* valueEncoder(settings, stream)
      const { values } = yield* encoder!.encode(['{"n":1}', '{"n":2}'].map((text) => Buffer.from(text)))
      const log = yield* Log
      const topic = rawTopic("shop", stream)
      yield* log.ensureTopic({ name: topic, partitions: 1 })
      yield* log.publish(values.map((value) => ({ topic, key: null, value: value! })))
      const registry = yield* SchemaRegistry
      let isAway = true
      const away = SchemaRegistry.of({
        ...registry,
        byId: (id) =>
          isAway
            ? Effect.fail(
                new RegistryError({
                  reason: new RegistryUnreachable({
                    registry: "there",
                    action: `read schema ${id}`,
                    detail: "no answer"
                  })
                })
              )
            : registry.byId(id)
      })
      const sink = yield* Effect.forkChild(
        Effect.provideService(runSink(settings, stream, { once: false }), SchemaRegistry, away)
      )
      const stage = yield* until(
        Effect.map(
          Effect.flatMap(Status, ({ snapshot }) => snapshot),
          (entries) => entries.find((entry) => entry.stream === stream)?.stages.sink
        ),
        (found) => found?.state === "retrying"
      )
      assert.include(stage?.problem?.message, "The schema registry there cannot read schema")
      isAway = false
      yield* until(
        query(`SELECT count() AS n FROM system.tables WHERE database = 'shop' AND name = '${stream}'`),
        ([found]) => found?.["n"] === "1"
      )
      yield* until(query(`SELECT n FROM shop.${stream} ORDER BY n`), (rows) => rows.length === 2)
      yield* Fiber.interrupt(sink)
    })
  )
})
