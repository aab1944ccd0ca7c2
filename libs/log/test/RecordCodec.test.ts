import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { NewRecord } from "../src/Log.ts"
import { CorruptRecords, decodeBatch, encodeBatch, type Page } from "../src/RecordCodec.ts"

const Bytes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const Headers = Schema.Record(Schema.String, Schema.String)
const Records = Schema.Array(
  Schema.Struct({ key: Schema.NullOr(Bytes), value: Schema.NullOr(Bytes), headers: Schema.optionalKey(Headers) })
)

const toRecords = (records: typeof Records.Type): ReadonlyArray<NewRecord> =>
  records.map(({ headers, key, value }) => ({
    topic: "t",
    key: key && Uint8Array.from(key),
    value: value && Uint8Array.from(value),
    ...(headers === undefined
      ? {}
      : {
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, text]) => [name.toWellFormed(), text.toWellFormed()])
          )
        })
  }))

const page = (maxRecords = Infinity, maxBytes = Infinity): Page => ({ records: [], bytes: 0, maxRecords, maxBytes })

describe("RecordCodec", () => {
  it.effect.prop(
    "gives back what was encoded, from any offset",
    [Records, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10 }))],
    ([input, skip]) => {
      const records = toRecords(input)
      const encoded = encodeBatch(records, 0, records.length, 1234.5)
      const read = page()
      assert.strictEqual(decodeBatch(encoded, 100, 100 + skip, read), 100 + records.length)
      assert.deepStrictEqual(
        read.records.map(({ headers, key, offset, timestamp, value }) => ({
          offset,
          timestamp,
          key: key && [...key],
          value: value && [...value],
          headers: Object.entries(headers)
        })),
        records.slice(skip).map(({ headers, key, value }, i) => ({
          offset: 100 + skip + i,
          timestamp: 1234.5,
          key: key && [...key],
          value: value && [...value],
          headers: Object.entries(headers ?? {})
        }))
      )
      return Effect.void
    },
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "notices every change of a byte, and every missing end",
    [Records, Schema.Natural, Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 255 }))],
    ([input, at, change]) => {
      const records = toRecords(input)
      const encoded = encodeBatch(records, 0, records.length, 1)
      const changed = Uint8Array.from(encoded)
      const i = at % changed.length
      changed[i] = changed[i]! ^ change
      assert.throws(() => decodeBatch(changed, 0, 0, page()), CorruptRecords)
      assert.throws(() => decodeBatch(encoded.subarray(0, i), 0, 0, page()), CorruptRecords)
      return Effect.void
    },
    { arbitrary: { runs: 300 } }
  )

  it("encodes long keys, values and header blocks", () => {
    const long = (length: number) => new Uint8Array(length).fill(7)
    const records: ReadonlyArray<NewRecord> = [127, 128, 16_383, 16_384, 2_097_152].map((length) => ({
      topic: "t",
      key: long(length - 1),
      value: long(length),
      headers: { name: "x".repeat(length) }
    }))
    const read = page()
    decodeBatch(encodeBatch(records, 0, records.length, 1), 0, 0, read)
    for (const [i, { headers, key, value }] of read.records.entries()) {
      assert.strictEqual(key?.length, records[i]!.key?.length)
      assert.strictEqual(value?.length, records[i]!.value?.length)
      assert.deepStrictEqual(headers, records[i]!.headers)
    }
  })

  it("fills a page to its limits and says where to go on", () => {
    const records: ReadonlyArray<NewRecord> = Array.from({ length: 10 }, () => ({
      topic: "t",
      key: null,
      value: new Uint8Array(100)
    }))
    const encoded = encodeBatch(records, 0, 10, 1)
    assert.strictEqual(decodeBatch(encoded, 50, 52, page(3)), 55)
    assert.strictEqual(decodeBatch(encoded, 50, 52, page(Infinity, 250)), 54)
    assert.strictEqual(decodeBatch(encoded, 50, 52, page(Infinity, 1)), 53)
  })

  it("gives views on the batch, and one headers object for equal headers", () => {
    const headers = { a: "b" }
    const records = [1, 2].map((n) => ({ topic: "t", key: null, value: Uint8Array.of(n), headers: { ...headers } }))
    const encoded = encodeBatch(records, 0, 2, 1)
    const read = page()
    decodeBatch(encoded, 0, 0, read)
    assert.strictEqual(read.records[0]!.value!.buffer, encoded.buffer)
    assert.strictEqual(read.records[0]!.headers, read.records[1]!.headers)
  })
})
