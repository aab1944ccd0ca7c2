import { LosslessJson } from "@tributary/codec"
import type { TransformStep } from "@tributary/domain"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { JsonObject, JsonValue } from "../src/RecordTransform.ts"
import { isRecord } from "../src/Step.ts"
import { recordText } from "./records.ts"
import { compile } from "./support.ts"

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))
const runs = { arbitrary: { runs: 100 } }

const record = (text: string): JsonObject => {
  const value = LosslessJson.parse(text)
  assert(isRecord(value))
  return value
}

/** Applies steps to one record: the texts that come out, or its rejection's code. */
const apply = (steps: ReadonlyArray<TransformStep>, text: string) =>
  Effect.map(compile(steps), (transform) => {
    const { out, rejected } = transform.apply([{ offset: 0, key: null, value: Buffer.from(text) }])
    return rejected[0]?.code ?? out.map(({ value }) => Buffer.from(value).toString())
  })

/** All scalars of a value with their paths, numbers as their text. */
const leaves = (value: JsonValue, path = "$", found = new Map<string, string>()): Map<string, string> => {
  if (isRecord(value))
    for (const [name, field] of Object.entries(value)) leaves(field, `${path}.${JSON.stringify(name)}`, found)
  else if (Array.isArray(value)) value.forEach((element, i) => leaves(element, `${path}[${i}]`, found))
  else found.set(path, `${typeof value} ${String(value)}`)
  return found
}

/** The record as the codec writes it: what a step that changes nothing must give. */
const same = (text: string) => LosslessJson.stringify(record(text))

describe("properties", () => {
  it.effect.prop(
    "steps that touch nothing keep every number and text",
    [Seed],
    ([seed]) =>
      Effect.gen(function* () {
        const text = recordText(seed)
        const steps: ReadonlyArray<TransformStep> = [
          { drop: ["nowhere", "no.where"] },
          { rename: { nowhere: "somewhere" } },
          { rename: { "no.where": "some.where" } },
          { mask: { nowhere: "sha256" }, salt: "${env:SALT}" },
          { cast: { nowhere: "int8" } },
          { filter: "size(record) >= 0" },
          { typescript: "./same.ts" }
        ]
        for (const step of steps) assert.deepStrictEqual(yield* apply([step], text), [same(text)])
        assert.deepStrictEqual(yield* apply(steps, text), [same(text)])
      }),
    runs
  )
  it.effect.prop(
    "what keep keeps and what drop drops make up the record",
    [Seed],
    ([seed]) =>
      Effect.gen(function* () {
        const text = recordText(seed)
        const paths = ["a", "b.id", "__proto__", "constructor.a", "name"]
        const all = record(text)
        const [kept] = yield* apply([{ keep: paths }], text)
        const [rest] = yield* apply([{ drop: paths }], text)
        assert(kept !== undefined && rest !== undefined)
        const [keptLeaves, restLeaves] = [leaves(record(kept)), leaves(record(rest))]
        // Positions in lists may shift where elements have no such field: the values are compared as they occur.
        const values = [...keptLeaves.values(), ...restLeaves.values()].sort()
        assert.deepStrictEqual(values, [...leaves(all).values()].sort())
        for (const name of Object.keys(record(kept)))
          assert.isTrue(["a", "b", "__proto__", "constructor", "name"].includes(name))
        assert.deepStrictEqual(yield* apply([{ keep: paths }, { drop: paths }, { drop: ["b", "constructor"] }], text), [
          "{}"
        ])
      }),
    runs
  )
  it.effect.prop(
    "flatten leaves no object outside lists and loses no value",
    [Seed],
    ([seed]) =>
      Effect.gen(function* () {
        const text = recordText(seed)
        const result = yield* apply([{ flatten: "_" }], text)
        if (result === "name-collision") return
        assert(typeof result === "object" && result[0] !== undefined)
        const flat = record(result[0])
        assert.isFalse(Object.values(flat).some(isRecord))
        assert.deepStrictEqual([...leaves(flat).values()].sort(), [...leaves(record(text)).values()].sort())
        assert.deepStrictEqual(yield* apply([{ flatten: "_" }, { flatten: "_" }], text), result)
      }),
    runs
  )
  it.effect.prop(
    "rename and back again changes nothing",
    [Seed],
    ([seed]) =>
      Effect.gen(function* () {
        const text = recordText(seed)
        const back = yield* apply([{ rename: { a: "z", id: "__y" } }, { rename: { z: "a", __y: "id" } }], text)
        assert.deepStrictEqual(back, [same(text)])
        const moved = yield* apply(
          [{ rename: { id: "moved.id" } }, { rename: { "moved.id": "id" } }, { drop: ["moved"] }],
          text
        )
        assert(typeof moved === "object" && moved[0] !== undefined)
        assert.deepStrictEqual(new Map([...leaves(record(moved[0]))].sort()), new Map([...leaves(record(text))].sort()))
      }),
    runs
  )
  it.effect.prop(
    "mask gives equal values equal hashes and leaves none of them behind",
    [Seed, Schema.String],
    ([seed, secret]) =>
      Effect.gen(function* () {
        const plain = `secret-${seed}-${secret}`
        const value = {
          ...record(recordText(seed)),
          email: plain,
          list: [{ email: plain }, [{ email: plain }]],
          o: { email: plain }
        }
        const steps: ReadonlyArray<TransformStep> = [
          { mask: { email: "sha256", "list.email": "sha256", "o.email": "sha256" }, salt: "${env:SALT}" }
        ]
        const [masked] = yield* apply(steps, LosslessJson.stringify(value))
        assert(masked !== undefined)
        assert.isFalse(masked.includes(JSON.stringify(plain).slice(1, -1)))
        const hash = record(masked)["email"]
        assert(typeof hash === "string")
        assert.match(hash, /^[0-9a-f]{64}$/u)
        assert.deepStrictEqual(record(masked)["list"], [{ email: hash }, [{ email: hash }]])
        assert.deepStrictEqual(record(masked)["o"], { email: hash })
        assert.deepStrictEqual(yield* apply(steps, LosslessJson.stringify(value)), [masked])
        const [other] = yield* apply(steps, LosslessJson.stringify({ ...value, email: `${plain}.` }))
        assert.notStrictEqual(record(other ?? "{}")["email"], hash)
      }),
    runs
  )
  it.effect.prop(
    "cast to text and back keeps integers and decimals exactly",
    [Seed, Seed],
    ([high, low]) =>
      Effect.gen(function* () {
        const integer = String(BigInt(high) * BigInt(low) * (high % 2 === 0 ? 1n : -1n))
        const decimal = `${integer}.${low}`
        const text = `{"i":${integer},"d":${decimal}}`
        const result = yield* apply(
          [{ cast: { i: "string", d: "string" } }, { cast: { i: "int64", d: "decimal(38, 10)" } }],
          text
        )
        assert.deepStrictEqual(result, [
          `{"i":${integer === "-0" ? "0" : integer},"d":"${decimal}${"0".repeat(10 - String(low).length)}"}`
        ])
      }),
    runs
  )
  it.effect.prop(
    "each record of a batch is in the output or rejected, never both, in order",
    [Schema.Array(Seed)],
    ([seeds]) =>
      Effect.gen(function* () {
        const values = seeds.map((seed) => (seed % 5 === 0 ? recordText(seed).slice(1) : recordText(seed)))
        const transform = yield* compile([{ flatten: "_" }, { typescript: "./some.ts" }, { cast: { id: "string?" } }])
        const { out, rejected } = transform.apply(
          values.map((value, offset) => ({ offset, key: null, value: Buffer.from(value) }))
        )
        const sources = out.map(({ source }) => source)
        assert.deepStrictEqual(
          sources,
          [...sources].sort((a, b) => a - b)
        )
        const done = new Set(sources)
        for (const { index } of rejected) assert.isFalse(done.has(index))
        for (const [index, value] of values.entries()) {
          const invalid = rejected.some((one) => one.index === index)
          if (value[0] !== "{") assert.isTrue(invalid)
        }
        assert.deepStrictEqual(
          rejected.map(({ index }) => index),
          [...new Set(rejected.map(({ index }) => index))].sort((a, b) => a - b)
        )
      }),
    runs
  )
})
