import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { layerMemory, type RegistryError, SchemaRegistry, valueDecoder } from "../src/index.ts"
import { recordTexts } from "./records.ts"
import { bytes, encoderOf, fieldsOf, roundTrip, sorted, text } from "./support.ts"

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))
const runs = { arbitrary: { runs: 200 } }
const fresh = <A, E>(body: Effect.Effect<A, E, SchemaRegistry>) => Effect.provide(body, layerMemory, { local: true })
const subject = "raw.shop.orders-value"
const lastSchema = Effect.flatMap(SchemaRegistry, (registry) =>
  Effect.flatMap(registry.latest(subject), Effect.fromOption)
)

describe("values as Avro", () => {
  it.effect.prop(
    "are read back as the records that were written, whatever fields come and go",
    [Seed],
    ([seed]) =>
      fresh(
        Effect.gen(function* () {
          const encoder = yield* encoderOf({ format: "avro" })
          const records = recordTexts(seed, 12)
          for (let n = 0; n < records.length; n += 3) {
            const batch = records.slice(n, n + 3)
            const back = yield* roundTrip(encoder, batch)
            for (const [index, record] of batch.entries())
              assert.deepStrictEqual(sorted(fieldsOf(back[index]!)), sorted(fieldsOf(record)), record)
          }
        })
      ),
    runs
  )

  it.effect("have a field for each key, of the type that its values have", () =>
    fresh(
      Effect.gen(function* () {
        const encoder = yield* encoderOf({ format: "avro" }, { total: "decimal(18, 2)", at: "timestamp(6)?" })
        yield* encoder.encode(
          [
            '{"id":1,"total":"12.50","at":"2026-01-31T12:00:00+02:00","price":1.5,"paid":true,"lines":[1],"a-b":"x"}',
            '{"id":9007199254740993,"total":3,"price":2,"note":null}'
          ].map(bytes)
        )
        const schema = JSON.parse((yield* lastSchema).text)
        assert.deepStrictEqual([schema.namespace, schema.name], ["raw.shop", "orders"])
        assert.deepStrictEqual(
          schema.fields.map(({ name, type }: { readonly name: string; readonly type: unknown }) => [name, type]),
          [
            ["total", { type: "bytes", logicalType: "decimal", precision: 18, scale: 2 }],
            ["at", ["null", { type: "long", logicalType: "timestamp-micros" }]],
            ["id", ["null", "long"]],
            ["price", ["null", "double"]],
            ["paid", ["null", "boolean"]],
            ["lines", ["null", { type: "string", logicalType: "json" }]],
            ["a_b", ["null", "string"]],
            ["_extra", { type: "map", values: "string" }],
            ["_nulls", { type: "array", items: "string" }]
          ]
        )
      })
    )
  )

  it.effect("of declared fields are what the declaration says, in one spelling", () =>
    fresh(
      Effect.gen(function* () {
        const encoder = yield* encoderOf(
          { format: "avro" },
          {
            i8: "int8?",
            u64: "uint64?",
            i64: "int64?",
            d: "decimal(38, 9)?",
            f: "float64?",
            s: "string?",
            j: "json?",
            day: "date?",
            t0: "timestamp(0)?",
            t9: "timestamp(9)?",
            id: "uuid?",
            b: "bool?"
          }
        )
        const back = yield* roundTrip(encoder, [
          '{"i8":-128,"u64":18446744073709551615,"i64":"9223372036854775807","d":"-0.000000001","f":"1.5","s":1.50,"j":"x","day":"1899-12-31"}',
          '{"i64":1e3,"d":12345678901234567890123456789,"s":{"a": 1},"j":{"a": 1.50},"day":"2026-02-28","t0":0,"t9":"1969-12-31T23:59:59.999999999Z"}',
          '{"t0":"2026-01-31 12:00:00.000+02:00","t9":-0.5,"id":"3F2504E0-4F89-11D3-9A0C-0305E82C3301","b":false,"s":"\\u00e9"}',
          '{"i8":128}',
          '{"u64":-1,"i8":1}',
          '{"d":1e30}',
          '{"t0":"2026-01-31T12:00:00.5Z"}',
          '{"t0":"2026-02-30T12:00:00Z"}',
          '{"s":"\\ud800"}',
          '{"id":"x"}',
          '{"f":0.12345678901234567890123}',
          '{"i64":9223372036854775808}'
        ])
        assert.deepStrictEqual(back, [
          '{"i8":-128,"u64":18446744073709551615,"i64":9223372036854775807,"d":-0.000000001,"f":1.5,"s":"1.50","j":"x","day":"1899-12-31"}',
          '{"i64":1000,"d":12345678901234567890123456789.000000000,"s":"{\\"a\\": 1}","j":{"a": 1.50},"day":"2026-02-28","t0":"1970-01-01T00:00:00Z","t9":"1969-12-31T23:59:59.999999999Z"}',
          '{"s":"é","t0":"2026-01-31T10:00:00Z","t9":"1969-12-31T23:59:59.5Z","id":"3F2504E0-4F89-11D3-9A0C-0305E82C3301","b":false}',
          ...Array.from({ length: 9 }, () => "type_mismatch")
        ])
      })
    )
  )

  it.effect("that break what is declared, or are no records, are rejected, and say why", () =>
    fresh(
      Effect.gen(function* () {
        const encoder = yield* encoderOf({ format: "avro" }, { id: "int64" })
        const { rejected, values } = yield* encoder.encode(
          [
            '{"id":1}',
            "{}",
            '{"id":null}',
            '{"id":"x"}',
            "[1]",
            '{"id":1,"id":2}',
            '{"id":1,"a":1,"\\u0061":2}',
            '{"id":01}',
            ""
          ].map(bytes)
        )
        assert.deepStrictEqual(
          values.map((value) => value !== undefined),
          [true, false, false, false, false, false, false, false, false]
        )
        assert.deepStrictEqual(
          rejected.map(({ code, index }) => [index, code]),
          [
            [1, "missing_field"],
            [2, "missing_field"],
            [3, "type_mismatch"],
            [4, "not_an_object"],
            [5, "duplicate_field"],
            [6, "duplicate_field"],
            [7, "invalid_json"],
            [8, "not_an_object"]
          ]
        )
        assert.strictEqual(
          rejected[2]?.reason,
          'Field "id": found "x", expected an integer from -9223372036854775808 to 9223372036854775807.'
        )
      })
    )
  )

  it.effect("keep their schema while no field is new, and get the next version when one is", () =>
    fresh(
      Effect.gen(function* () {
        const encoder = yield* encoderOf({ format: "avro" })
        const idOf = (value: Uint8Array | undefined) => Buffer.from(value ?? []).readInt32BE(1)
        const first = yield* encoder.encode([bytes('{"id":1}'), bytes('{"id":2}')])
        const same = yield* encoder.encode([bytes('{"id":null}'), bytes('{"id":"not a number"}'), bytes("{}")])
        const next = yield* encoder.encode([bytes('{"id":3,"name":"x"}'), bytes('{"id":4,"size":null}')])
        assert.deepStrictEqual([...first.values, ...same.values, ...next.values].map(idOf), [1, 1, 1, 1, 1, 2, 2])
        // A second encoder, as after a restart, writes with the schema that is there.
        const again = yield* encoderOf({ format: "avro" })
        assert.deepStrictEqual((yield* again.encode([bytes('{"id":5}')])).values.map(idOf), [2])
      })
    )
  )

  it.effect("of two workers that meet different fields at once end with one schema", () =>
    fresh(
      Effect.gen(function* () {
        const [one, other] = [yield* encoderOf({ format: "avro" }), yield* encoderOf({ format: "avro" })]
        yield* one.encode([bytes('{"id":1}')])
        yield* other.encode([bytes('{"id":2}')])
        yield* Effect.all(
          [roundTrip(one, ['{"id":3,"a":1,"both":1}']), roundTrip(other, ['{"id":4,"b":"x","both":"text"}'])],
          { concurrency: "unbounded" }
        )
        const back = yield* roundTrip(one, ['{"id":5,"a":2,"b":"y","both":"text"}'])
        assert.deepStrictEqual(sorted(fieldsOf(back[0]!)), sorted(fieldsOf('{"id":5,"a":2,"b":"y","both":"text"}')))
        const fields: ReadonlyArray<{ readonly name: string }> = JSON.parse((yield* lastSchema).text).fields
        assert.deepStrictEqual(fields.map(({ name }) => name).sort(), ["_extra", "_nulls", "a", "b", "both", "id"])
      })
    )
  )

  it.effect("take the type that another worker has registered first", () =>
    fresh(
      Effect.gen(function* () {
        const registry = yield* SchemaRegistry
        const other = yield* encoderOf({ format: "avro" })
        yield* other.encode([bytes('{"id":1}')])
        let meanwhile: Effect.Effect<unknown, RegistryError> = other.encode([bytes('{"id":2,"both":"text"}')])
        // Between the look at the last version and the registration of the next.
        const late = SchemaRegistry.of({
          ...registry,
          latest: (subject) =>
            Effect.tap(registry.latest(subject), () =>
              Effect.suspend(() => {
                const now = meanwhile
                meanwhile = Effect.void
                return now
              })
            )
        })
        const one = yield* Effect.provideService(encoderOf({ format: "avro" }), SchemaRegistry, late)
        assert.deepStrictEqual(yield* roundTrip(one, ['{"id":3,"both":1}']), ['{"id":3,"both":1}'])
        const fields: ReadonlyArray<{ readonly name: string; readonly type: unknown }> = JSON.parse(
          (yield* lastSchema).text
        ).fields
        assert.deepStrictEqual(fields.find(({ name }) => name === "both")?.type, ["null", "string"])
      })
    )
  )

  it.effect("stay within a thousand fields, however many keys there are", () =>
    fresh(
      Effect.gen(function* () {
        const encoder = yield* encoderOf({ format: "avro" })
        const record = (n: number) => `{${Array.from({ length: 400 }, (_, k) => `"k${n * 400 + k}":${k}`).join()}}`
        for (let n = 0; n < 4; n++)
          assert.deepStrictEqual(
            sorted(fieldsOf((yield* roundTrip(encoder, [record(n)]))[0]!)),
            sorted(fieldsOf(record(n)))
          )
        assert.strictEqual(JSON.parse((yield* lastSchema).text).fields.length, 1_002)
        const registry = yield* SchemaRegistry
        assert.isTrue(Option.isSome(yield* registry.latest(subject)))
      })
    )
  )
})

describe("values as JSON with a schema", () => {
  it.effect.prop(
    "are the bytes that were sent, and the schema allows them",
    [Seed],
    ([seed]) =>
      fresh(
        Effect.gen(function* () {
          const encoder = yield* encoderOf({ format: "json_schema" })
          const records = recordTexts(seed, 8)
          for (let n = 0; n < records.length; n += 2) {
            const batch = records.slice(n, n + 2)
            assert.deepStrictEqual(yield* roundTrip(encoder, batch), batch)
          }
          const schema = JSON.parse((yield* lastSchema).text)
          for (const record of records) {
            const value: Record<string, unknown> = JSON.parse(record)
            for (const key of Object.keys(value)) {
              const property: unknown = Object.getOwnPropertyDescriptor(schema.properties, key)?.value
              assert.isDefined(property, key)
            }
          }
        })
      ),
    { arbitrary: { runs: 60 } }
  )

  it.effect("have declared types in JSON's own spelling", () =>
    fresh(
      Effect.gen(function* () {
        const encoder = yield* encoderOf(
          { format: "json_schema" },
          { id: "int64", total: "decimal(18, 2)?", at: "timestamp?", name: "string?" }
        )
        assert.deepStrictEqual(
          yield* roundTrip(encoder, [
            '{ "total": "12.50", "id": "9007199254740993", "at": 1.5, "name": 7, "more": [1] }',
            '{"id":1,"more":1.5}',
            '{"total":1}'
          ]),
          [
            '{ "total": 12.50, "id": 9007199254740993, "at": "1970-01-01T00:00:01.5Z", "name": "7", "more": [1] }',
            '{"id":1,"more":1.5}',
            "missing_field"
          ]
        )
        const { additionalProperties, properties, required } = JSON.parse((yield* lastSchema).text)
        assert.deepStrictEqual(properties, {
          id: { type: "integer" },
          total: { type: ["number", "null"] },
          at: { type: ["string", "null"], format: "date-time" },
          name: { type: ["string", "null"] },
          more: { type: ["array", "null", "number"] }
        })
        assert.deepStrictEqual([required, additionalProperties], [["id"], false])
      })
    )
  )
})

describe("values that are decoded", () => {
  it.effect("stay what they are when they are in no wire format, and say what is wrong when they cannot be read", () =>
    fresh(
      Effect.gen(function* () {
        const encoder = yield* encoderOf({ format: "avro" })
        const { values } = yield* encoder.encode([bytes('{"id":1,"name":"Zoë"}')])
        const good = Buffer.from(values[0]!)
        const decoder = yield* valueDecoder
        const inputs = [
          bytes('{"id":2}'),
          bytes("text"),
          good,
          good.subarray(0, 8),
          good.subarray(0, 3),
          Buffer.concat([good, good])
        ]
        const decoded = yield* decoder.decode(inputs)
        assert.deepStrictEqual(decoded.values.slice(0, 3).map(text), ['{"id":2}', "text", '{"id":1,"name":"Zoë"}'])
        assert.deepStrictEqual(decoded.values.slice(3), inputs.slice(3))
        assert.deepStrictEqual(
          [...decoded.wrong].map(([index, { code }]) => [index, code]),
          [
            [3, "undecodable"],
            [4, "undecodable"],
            [5, "undecodable"]
          ]
        )
        const unknown = Buffer.from(good)
        unknown.writeInt32BE(99, 1)
        const error = yield* Effect.flip(decoder.decode([unknown]))
        assert.strictEqual(error.failureClass, "misconfigured")
        assert.include(error.message, "has no schema 99")
      })
    )
  )
})
