import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { TransformStep } from "@tributary/domain"
import { compile, one, transformed } from "./support.ts"

const bytes = (text: string) => Buffer.from(text)

describe("compileTransform", () => {
  it.effect("keeps key and source, also of many", () =>
    Effect.gen(function* () {
      const transform = yield* compile([{ typescript: "./orders.ts" }])
      const key = bytes("k")
      const { out } = transform.apply([
        { offset: 7, key: null, value: bytes('{"lines":[]}') },
        { offset: 9, key, value: bytes('{"lines":[1,2]}') }
      ])
      assert.deepStrictEqual(
        out.map(({ source }) => source),
        [1, 1]
      )
      assert.isTrue(out.every((record) => record.key === key))
    })
  )
  it.effect("says what is no JSON, and where", () =>
    Effect.gen(function* () {
      for (const steps of [[], [{ keep: ["a"] }]] as ReadonlyArray<ReadonlyArray<TransformStep>>) {
        assert.include(yield* one(steps, '{"a":}'), "not-json: Invalid JSON at byte 5: expected a value")
        assert.include(yield* one(steps, ""), "not-json: Invalid JSON at byte 0: expected a value, found the end.")
        assert.include(yield* one(steps, '{"a":1} x'), "not-json: Invalid JSON at byte 8: expected the end")
        assert.strictEqual(yield* one(steps, "[1]"), "not-an-object: The record is a list, expected a JSON object.")
        assert.strictEqual(yield* one(steps, "1.50"), "not-an-object: The record is a number, expected a JSON object.")
        assert.strictEqual(yield* one(steps, "null"), "not-an-object: The record is null, expected a JSON object.")
      }
    })
  )
  it.effect("leaves the bytes alone when nothing is changed", () =>
    Effect.gen(function* () {
      const value = bytes(' { "a" : 1.0 , "a" : 2 } ')
      for (const steps of [[], [{ filter: "record.a > 1" }]] as ReadonlyArray<ReadonlyArray<TransformStep>>) {
        const { out } = (yield* compile(steps)).apply([{ offset: 0, key: null, value }])
        assert.strictEqual(out[0]?.value, value)
      }
    })
  )
  it.effect("rejects what is nested too deeply to be looked at, and goes on", () =>
    Effect.gen(function* () {
      const deep = `{"a":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`
      for (const steps of [[], [{ flatten: "_" }], [{ keep: ["a", "lines"] }]] as ReadonlyArray<
        ReadonlyArray<TransformStep>
      >) {
        const { out, rejected } = yield* transformed(steps, deep, '{"lines":[1]}')
        assert.strictEqual(out.length, 1)
        assert.deepStrictEqual(
          rejected.map(({ index }) => index),
          [0]
        )
      }
    })
  )
  it.effect("runs the steps in their order", () =>
    Effect.gen(function* () {
      const steps: ReadonlyArray<TransformStep> = [
        { filter: "record.total > 0" },
        { flatten: "_" },
        { rename: { customer_id: "customer" } },
        { cast: { total: "decimal(18, 2)", customer: "string" } },
        { drop: ["customer_note"] }
      ]
      const { out, rejected } = yield* transformed(
        steps,
        '{"total":10.5,"customer":{"id":9007199254740993,"note":"x"}}',
        '{"total":0}',
        '{"total":1,"customer":[1]}'
      )
      assert.deepStrictEqual(out, ['{"total":"10.50","customer":"9007199254740993"}'])
      assert.deepStrictEqual(
        rejected.map(({ code, index }) => [index, code]),
        [[2, "cast"]]
      )
    })
  )
})
