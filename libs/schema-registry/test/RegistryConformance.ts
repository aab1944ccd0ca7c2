import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import { type RegistryError, SchemaRegistry } from "../src/index.ts"
import { connector, fieldsOf, roundTrip, sorted } from "./support.ts"
import { valueEncoder } from "../src/ValueEncoder.ts"

let made = 0
/** A name that no other run has used: registries keep their subjects. */
const unique = (name: string): string =>
  `${name}-${(performance.timeOrigin + performance.now()).toString(36)}-${made++}`

const avro = (...fields: ReadonlyArray<unknown>): string =>
  JSON.stringify({ type: "record", name: "order", namespace: "shop", fields })
const id = { name: "id", type: "long" }
const note = { name: "note", type: ["null", "string"], default: null }
const total = { name: "total", type: "double" }

const json = (properties: unknown, more: Record<string, unknown> = {}): string =>
  JSON.stringify({
    $schema: "http://json-schema.org/draft-07/schema#",
    type: "object",
    properties,
    additionalProperties: false,
    ...more
  })

/** What every `SchemaRegistry` does. */
export const suite = (name: string, layer: Layer.Layer<SchemaRegistry, RegistryError>): void => {
  const test = (
    title: string,
    body: (registry: SchemaRegistry["Service"]) => Effect.Effect<void, unknown, SchemaRegistry>
  ) => it.live(title, () => Effect.provide(Effect.flatMap(SchemaRegistry, body), layer, { local: true }))
  const options = { type: "avro" } as const

  /** Registers versions in order; whether the last is refused, and then the message. */
  const lastOf = (
    registry: SchemaRegistry["Service"],
    how: Parameters<SchemaRegistry["Service"]["register"]>[2],
    ...versions: ReadonlyArray<string>
  ) =>
    Effect.gen(function* () {
      const subject = unique("changes")
      for (const version of versions.slice(0, -1)) yield* registry.register(subject, version, how)
      const before = yield* registry.latest(subject)
      return yield* registry.register(subject, versions.at(-1)!, how).pipe(
        Effect.as("taken"),
        Effect.catch((error) =>
          Effect.gen(function* () {
            assert.strictEqual(error.reason._tag, "SchemaIncompatible", error.message)
            assert.strictEqual(error.failureClass, "misconfigured")
            assert.include(error.message, subject)
            assert.deepStrictEqual(yield* registry.latest(subject), before)
            return error.message
          })
        )
      )
    })

  describe(name, () => {
    test("gives a schema an id, and the schema to the id", (registry) =>
      Effect.gen(function* () {
        const subject = unique("orders")
        const first = yield* registry.register(subject, avro(id), options)
        const second = yield* registry.register(subject, avro(id, note), options)
        assert.notStrictEqual(first, second)
        assert.strictEqual(yield* registry.register(subject, avro(id), options), first)
        assert.strictEqual(yield* registry.register(subject, avro(id, note), options), second)
        const found = yield* registry.byId(first)
        assert.strictEqual(found.type, "avro")
        assert.deepStrictEqual(JSON.parse(found.text), JSON.parse(avro(id)))
        const schema = yield* registry.register(unique("plain"), json({ id: { type: "integer" } }), {
          type: "json-schema"
        })
        const plain = yield* registry.byId(schema)
        assert.strictEqual(plain.type, "json-schema")
        assert.deepStrictEqual(JSON.parse(plain.text), JSON.parse(json({ id: { type: "integer" } })))
      }))

    test("knows the last version of a subject, and subjects that are not there", (registry) =>
      Effect.gen(function* () {
        const subject = unique("raw.shop.orders-value")
        assert.isTrue(Option.isNone(yield* registry.latest(subject)))
        yield* registry.register(subject, avro(id), options)
        const second = yield* registry.register(subject, avro(id, note), options)
        const latest = yield* Effect.orDie(Effect.fromOption(yield* registry.latest(subject)))
        assert.strictEqual(latest.id, second)
        assert.deepStrictEqual(JSON.parse(latest.text), JSON.parse(avro(id, note)))
        const error = yield* Effect.flip(registry.byId(2_000_000_000))
        assert.strictEqual(error.reason._tag, "UnknownSchema")
      }))

    test("keeps what is written by older writers readable, unless it is told otherwise", (registry) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* lastOf(registry, options, avro(id), avro(id, note)), "taken")
        assert.strictEqual(yield* lastOf(registry, options, avro(id, note), avro(id)), "taken")
        assert.strictEqual(
          yield* lastOf(registry, options, avro(id), avro({ name: "id", type: ["null", "long"], default: null })),
          "taken"
        )
        assert.include(yield* lastOf(registry, options, avro(id), avro(id, total)), '"total" is new')
        assert.include(
          yield* lastOf(registry, options, avro(id), avro({ name: "id", type: "string" })),
          'field "id" was long without a default and is string without a default'
        )
        assert.strictEqual(
          yield* lastOf(
            registry,
            { type: "avro", compatibility: "NONE" },
            avro(id),
            avro({ name: "id", type: "string" })
          ),
          "taken"
        )
      }))

    test("asks for what the other compatibilities are", (registry) =>
      Effect.gen(function* () {
        const forward = { type: "avro", compatibility: "FORWARD" } as const
        assert.strictEqual(yield* lastOf(registry, forward, avro(id), avro(id, total)), "taken")
        assert.include(yield* lastOf(registry, forward, avro(id, total), avro(id)), '"total" is gone')
        const full = { type: "avro", compatibility: "FULL" } as const
        assert.strictEqual(yield* lastOf(registry, full, avro(id), avro(id, note)), "taken")
        assert.include(yield* lastOf(registry, full, avro(id), avro(id, total)), "FULL")
        assert.include(yield* lastOf(registry, full, avro(id, total), avro(id)), "FULL")
      }))

    test("leaves a subject its compatibility, and changes it when it is told", (registry) =>
      Effect.gen(function* () {
        const subject = unique("settings")
        yield* registry.register(subject, avro(id), { type: "avro", compatibility: "NONE" })
        yield* registry.register(subject, avro({ name: "id", type: "string" }), options)
        const error = yield* Effect.flip(
          registry
            .register(subject, avro(id), { type: "avro", compatibility: "BACKWARD_TRANSITIVE" })
            .pipe(Effect.andThen(registry.register(subject, avro(id, total), options)))
        )
        assert.strictEqual(error.reason._tag, "SchemaIncompatible")
        assert.include(error.message, "BACKWARD_TRANSITIVE")
      }))

    test("compares JSON Schemas too", (registry) =>
      Effect.gen(function* () {
        const how = { type: "json-schema" } as const
        const integer = { type: ["integer", "null"] }
        const wider = { type: ["integer", "null", "string"] }
        assert.strictEqual(yield* lastOf(registry, how, json({ a: integer }), json({ a: integer, b: wider })), "taken")
        assert.strictEqual(yield* lastOf(registry, how, json({ a: integer }), json({ a: wider })), "taken")
        assert.include(yield* lastOf(registry, how, json({ a: wider }), json({ a: integer })), 'field "a"')
        assert.include(
          yield* lastOf(registry, how, json({ a: integer }), json({ a: integer, b: integer }, { required: ["b"] })),
          'field "b"'
        )
      }))

    for (const format of ["avro", "json_schema"]) {
      test(`holds schemas of records that change (${format})`, () =>
        Effect.gen(function* () {
          const settings = connector({ format, name: unique("orders") }, { id: "int64", total: "decimal(18, 2)?" })
          const batches = [
            ['{"id":9007199254740993,"total":12.50,"name":"Zoë","lines":[1.50]}', '{"id":2,"name":null}'],
            ['{"id":3,"name":"x","new":1.5,"big":18446744073709551615}', '{"id":4,"name":5}'],
            ['{"id":5,"new":"text","more":true,"a-b":"c"}']
          ]
          for (const batch of batches) {
            // Each batch with a worker of its own, which finds the schema that is there.
            const encoder = yield* valueEncoder(settings, "orders")
            assert.isDefined(encoder)
            const back = yield* roundTrip(encoder!, batch)
            for (const [index, record] of batch.entries())
              assert.deepStrictEqual(sorted(fieldsOf(back[index]!)), sorted(fieldsOf(record)))
          }
        }))
    }
  })
}
