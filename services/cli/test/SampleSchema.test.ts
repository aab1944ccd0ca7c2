import { assert, describe, it } from "vitest"
import { sampleSchema } from "../src/SampleSchema.ts"

const of = (records: ReadonlyArray<unknown>, declared: Readonly<Record<string, string>> = {}) =>
  sampleSchema(
    records.map((record) => Buffer.from(typeof record === "string" ? record : JSON.stringify(record))),
    declared
  )

describe("a schema of samples", () => {
  it("widens: whole numbers to fractions, anything else to text, and null where a value is missing", () => {
    const { fields, inferred } = of([
      { id: 1, size: 1, mixed: 1, gone: "a", flag: true, at: "2026-03-01T08:00:00Z", day: "2026-03-01", none: null },
      { id: 2, size: 1.5, mixed: "b", flag: false, at: "2026-03-01T08:00:00.123+01:00", day: "2026-03-02", none: null }
    ])
    assert.deepStrictEqual(fields, {
      id: "int64",
      size: "float64",
      mixed: "string",
      gone: "string?",
      flag: "bool",
      at: "timestamp",
      day: "date",
      none: "string?"
    })
    assert.strictEqual(inferred, 8)
  })

  it("takes no number for one that would lose a digit", () => {
    const { fields, jsonSchema } = of(['{"a":9007199254740993,"b":18446744073709551615,"c":0.12345678901234567890}'])
    assert.deepStrictEqual(fields, { a: "int64", b: "uint64", c: "string" })
    assert.strictEqual(jsonSchema.properties?.["a"]?.type, "integer")
    assert.strictEqual(jsonSchema.properties?.["c"]?.type, "number")
  })

  it("goes into objects and lists", () => {
    const { fields, jsonSchema } = of([
      {
        customer: { id: 1, tags: ["a"] },
        lines: [
          { sku: "x", n: 1 },
          { sku: "y", n: 1.5, note: null }
        ]
      },
      { customer: { id: 2, tags: [] }, lines: [] },
      { customer: null, lines: [], key: "0f8fad5b-d9cb-469f-a165-70867728950e" }
    ])
    assert.deepStrictEqual(fields, { customer: "json?", lines: "json", key: "uuid?" })
    assert.deepStrictEqual(jsonSchema, {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      properties: {
        customer: {
          type: ["object", "null"],
          properties: { id: { type: "integer" }, tags: { type: "array", items: { type: "string" } } },
          required: ["id", "tags"]
        },
        lines: {
          type: "array",
          items: {
            type: "object",
            properties: { sku: { type: "string" }, n: { type: "number" }, note: { type: "null" } },
            required: ["sku", "n"]
          }
        },
        key: { type: "string", format: "uuid" }
      },
      required: ["customer", "lines"]
    })
  })

  it("keeps what is declared", () => {
    const { fields, inferred, jsonSchema } = of([{ id: 1, total: "1.50" }], {
      total: "decimal(18, 2)",
      at: "timestamp?"
    })
    assert.deepStrictEqual(fields, { total: "decimal(18, 2)", at: "timestamp?", id: "int64" })
    assert.strictEqual(inferred, 1)
    assert.deepStrictEqual(jsonSchema.properties?.["at"], {
      type: ["string", "null"],
      format: "date-time",
      description: "timestamp?"
    })
  })

  it("is empty without records", () => {
    assert.deepStrictEqual(of([]).fields, {})
    assert.deepStrictEqual(of(["[1]", "2"]).fields, {})
  })
})
