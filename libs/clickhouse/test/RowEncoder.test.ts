import { assert, describe, it } from "@effect/vitest"
import type { EncoderColumn } from "../src/EncoderColumn.ts"
import { RowEncoder } from "../src/RowEncoder.ts"
import { seeded } from "@tributary/testkit"
import { record } from "./support.ts"

const column = (name: string, type: string, more: Partial<EncoderColumn> = {}): EncoderColumn => ({
  name,
  type,
  declared: false,
  json: false,
  required: false,
  ...more
})

const columns = [
  column("id", "Int64", { declared: true, required: true }),
  column("total", "Nullable(Decimal(18, 2))", { declared: true }),
  column("note", "Nullable(String)"),
  column("raw", "Nullable(String)", { declared: true, json: true })
]

const encode = (...texts: ReadonlyArray<string>) => {
  const { body, ...rest } = new RowEncoder(columns).encode(texts.map((text, k) => record(k, text)))
  return { ...rest, lines: Buffer.from(body).toString().split("\n").slice(0, -1) }
}
const reasonOf = (text: string) => {
  const { lines, rejected } = encode(text)
  assert.deepStrictEqual(lines, [])
  return `${rejected[0]?.code}: ${rejected[0]?.reason}`
}

describe("rows", () => {
  it("are the records' own bytes behind their offset", () => {
    const { lines, rows, rejected } = encode(
      `{"id":1,"total":"1.50","note":"é\\u00e9 \\"x\\""}`,
      ` { "note" : null , "id":2 } `,
      `{"id":9007199254740993}`
    )
    assert.deepStrictEqual(lines, [
      `{"_offset":0,"id":1,"total":"1.50","note":"é\\u00e9 \\"x\\""}`,
      `{"_offset":1, "note" : null , "id":2 }`,
      `{"_offset":2,"id":9007199254740993}`
    ])
    assert.deepStrictEqual([rows, rejected], [3, []])
  })

  it("name any offset", () => {
    for (const offset of [0, 9, 10, 99, 100, 4_294_967_296, 9_007_199_254_740_991]) {
      const { body } = new RowEncoder(columns).encode([record(offset, `{"id":1}`)])
      assert.strictEqual(Buffer.from(body).toString(), `{"_offset":${offset},"id":1}\n`)
    }
  })

  it("keep what has no column, or does not fit an undeclared one, in _extra as it was sent", () => {
    const { lines } = encode(
      `{"a" : [1, {"b":"\\""}],"id":1,"note":"\\ud800","_offset":5,"e\\u0301":"\n".length}`.replace(
        `"\n".length`,
        "1.0"
      )
    )
    assert.deepStrictEqual(lines, [
      `{"_offset":0,"id":1,"_extra":"{\\"a\\":[1, {\\"b\\":\\"\\\\\\"\\"}],\\"note\\":\\"\\\\ud800\\",\\"_offset\\":5,\\"e\\\\u0301\\":1.0}"}`
    ])
  })

  it("find fields by what their names mean, in any order", () => {
    const { lines } = encode(`{"total":1,"id":1}`, `{"\\u0069d":2,"t\\u006ftal":3}`, `{"id":3,"raw":"x","total":1e1}`)
    assert.deepStrictEqual(lines, [
      `{"_offset":0,"total":1,"id":1}`,
      `{"_offset":1,"id":2,"total":3}`,
      `{"_offset":2,"id":3,"raw":"\\"x\\"","total":10}`
    ])
  })

  it("are complete for records larger than any before, with many unknown fields", () => {
    const { next, below } = seeded(7)
    const fields = Array.from(
      { length: 300 },
      (_, k) => [`f${k}`, next() < 0.5 ? `"${'\\"'.repeat(below(2000))}` : "x"] as const
    )
    const json = `{"id":1,${fields.map(([name, value]) => `"${name}":${JSON.stringify(value)}`).join(",")}}`
    const { lines } = encode(json, json)
    const row: unknown = JSON.parse(lines[1] ?? "")
    assert.isTrue(typeof row === "object" && row !== null && "_extra" in row && typeof row._extra === "string")
    if (typeof row === "object" && row !== null && "_extra" in row)
      assert.deepStrictEqual(JSON.parse(String(row._extra)), Object.fromEntries(fields))
  })

  it("of one batch are not touched by the next", () => {
    const encoder = new RowEncoder(columns)
    const first = encoder.encode([record(0, `{"id":1}`)])
    const copy = Buffer.from(first.body)
    encoder.encode([record(5, `{"id":99999}`)])
    assert.deepStrictEqual(Buffer.from(first.body), copy)
  })
})

describe("records that cannot be a row say why", () => {
  const cases: ReadonlyArray<readonly [text: string, reason: string]> = [
    [`{}`, "empty_record: The record is an object without fields."],
    [``, "not_an_object: The record is not a JSON object; found nothing."],
    [`[1]`, "not_an_object: The record is not a JSON object; found [1]."],
    [`"${"x".repeat(100)}"`, `not_an_object: The record is not a JSON object; found "${"x".repeat(59)}...`],
    [
      `{"id":"x"}`,
      `type_mismatch: Field "id": found "x", expected an integer from -9223372036854775808 to 9223372036854775807.`
    ],
    [
      `{"id":1,"total":1.999}`,
      `type_mismatch: Field "total": found 1.999, expected a decimal with at most 16 digits before the point and 2 after it.`
    ],
    [
      `{"total":1}`,
      `missing_field: Field "id": found nothing, expected an integer from -9223372036854775808 to 9223372036854775807; its column cannot be null.`
    ],
    [
      `{"id":null}`,
      `missing_field: Field "id": found null, expected an integer from -9223372036854775808 to 9223372036854775807; its column cannot be null.`
    ],
    [
      `{"id":1,"id":1}`,
      `duplicate_field: Field "id" comes twice; which value counts is not defined (RFC 8259, section 4).`
    ],
    [
      `{"id":1,"\\u0069d":1}`,
      `duplicate_field: Field "id" comes twice; which value counts is not defined (RFC 8259, section 4).`
    ],
    [`{"id":1`, "invalid_json: Invalid JSON at byte 7"],
    [`{"id":1,}`, "invalid_json: Invalid JSON at byte 8"],
    [`{"id":1}x`, "invalid_json: Invalid JSON at byte 8"],
    [`{"id":1}{"id":2}`, "invalid_json: Invalid JSON at byte 8"],
    [`{"id":01}`, "invalid_json: Invalid JSON at byte 7"],
    [`{"id":1 "a":2}`, "invalid_json: Invalid JSON at byte 8"],
    [`{"id" 1}`, "invalid_json: Invalid JSON at byte 6"],
    [`{"id":1,"note":"a\nb"}`, "invalid_json: Invalid JSON at byte 17"],
    [`{"id":1,"note":"\\x"}`, "invalid_json: Invalid JSON at byte 17"],
    [`{"id":1,"note":"\\u12g4"}`, "invalid_json: Invalid JSON at byte 20"],
    [`{"id":1,"note":tru}`, "invalid_json: Invalid JSON at byte 18"],
    [`{"id":1,"note":nul}`, "invalid_json: Invalid JSON at byte 18"],
    [`{"id":1,"note":[1,]}`, "invalid_json: Invalid JSON at byte 18"],
    [`{"id":1,"note":"open`, "invalid_json: Invalid JSON at byte 20"],
    [`{"id":1,"note":1.}`, "invalid_json: Invalid JSON at byte 17"],
    [`{"id":-}`, "invalid_json: Invalid JSON at byte 7"],
    [`{id:1}`, "invalid_json: Invalid JSON at byte 1"],
    [`{"id":1,"deep":${"[".repeat(600)}${"]".repeat(600)}}`, "invalid_json: Invalid JSON"]
  ]
  for (const [text, reason] of cases)
    it(text.slice(0, 40) || "(nothing)", () => {
      assert.include(reasonOf(text), reason)
    })

  it("invalid UTF-8, and only that record", () => {
    const bad = Buffer.concat([Buffer.from(`{"id":2,"note":"`), Buffer.from([0xc3, 0x28]), Buffer.from(`"}`)])
    const half = Buffer.concat([Buffer.from(`{"id":3,"note":"`), Buffer.from([0xf0, 0x9f]), Buffer.from(`"}`)])
    const { rows, rejected } = new RowEncoder(columns).encode([
      record(0, `{"id":1,"note":"漢"}`),
      { offset: 1, value: bad },
      { offset: 2, value: half },
      record(3, `{"id":4}`)
    ])
    assert.strictEqual(rows, 2)
    assert.deepStrictEqual(
      rejected.map(({ index, code }) => [index, code]),
      [
        [1, "invalid_utf8"],
        [2, "invalid_utf8"]
      ]
    )
  })
})

describe("doubles", () => {
  it("in their shortest form are taken as they are, also just between two numbers of so many digits", () => {
    const { next, below } = seeded(17)
    const encoder = new RowEncoder([column("x", "Float64", { declared: true, required: true })])
    const ties = Array.from({ length: 2_000 }, () => (2 ** 50 + below(2 ** 30) * 2 ** 20 + below(2 ** 20)) * 1.5 + 0.25)
    const others = Array.from({ length: 5_000 }, () => (next() - 0.5) * 10 ** (below(600) - 300))
    for (const value of [...ties, ...others]) {
      const { body, rejected } = encoder.encode([record(0, `{"x":${value}}`)])
      assert.deepStrictEqual(rejected, [])
      assert.strictEqual(Buffer.from(body).toString(), `{"_offset":0,"x":${value}}\n`)
    }
    // One more digit, or one less, is another number.
    for (const text of ["-1869254885241389.24", "0.30000000000000001", "9007199254740993"]) {
      assert.strictEqual(encoder.encode([record(0, `{"x":${text}}`)]).rejected.length, 1, text)
    }
  })
})

describe("damaged records", () => {
  it("are rejected exactly when JSON.parse refuses them, and never disturb their neighbours", () => {
    const { below, pick } = seeded(42)
    const good = `{"id":12,"total":"1.5","note":"a\\u00e9\\n","raw":{"k":[1,2.5e3,true,null]},"x":-0.5}`
    const encoder = new RowEncoder([
      column("id", "Nullable(String)"),
      column("note", "Nullable(String)"),
      column("x", "Nullable(Float64)")
    ])
    let refused = 0
    for (let run = 0; run < 6_000; run++) {
      const at = below(good.length)
      const damaged = pick([
        () => good.slice(0, at),
        () => good.slice(0, at) + good.slice(at + 1),
        () => good.slice(0, at) + pick([...'{}[]",:0-.e\\ntu \n\u0001']) + good.slice(at + 1),
        () => good.slice(0, at) + pick([...'{}[]",:0-.e\\ntu \n\u0001']) + good.slice(at)
      ])()
      const valid = isRecord(damaged)
      const { rejected, body, rows } = encoder.encode([
        record(0, `{"id":1}`),
        record(1, damaged),
        record(2, `{"id":3}`)
      ])
      assert.strictEqual(
        rejected.every(({ index, code }) => index === 1 && code !== "type_mismatch"),
        true
      )
      if (rejected.length === 0) assert.isTrue(valid, damaged)
      else {
        refused++
        assert.isTrue(
          !valid || rejected[0]?.code === "duplicate_field" || rejected[0]?.code === "empty_record",
          `${damaged}: ${rejected[0]?.reason}`
        )
      }
      const lines = Buffer.from(body).toString()
      assert.isTrue(lines.startsWith(`{"_offset":0,"id":1}\n`) && lines.endsWith(`{"_offset":2,"id":3}\n`))
      assert.strictEqual(rows, 3 - rejected.length)
    }
    assert.isAbove(refused, 1_500)
  })
})

const isRecord = (text: string): boolean => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}
