import { readFieldType } from "@tributary/domain"
import { assert, describe, it } from "vitest"
import { parseColumnType, parseFieldType } from "../src/ColumnType.ts"

const bits = ["8", "16", "32", "64", "7", "128"]
const digits = ["0", "1", "3", "6", "9", "10", "", "03", "-3"]
const decimals = ["1, 0", "1,1", "1, 2", "76, 76", "77, 0", "0, 0", "18", "18, 2", "18,  2", "018, 2", "9, 09"]
const names = [
  "bool",
  "boolean",
  "float64",
  "float32",
  "string",
  "date",
  "uuid",
  "json",
  "timestamp",
  "Timestamp",
  "",
  "?"
]
  .concat(bits.flatMap((n) => [`int${n}`, `uint${n}`]))
  .concat(digits.map((n) => `timestamp(${n})`))
  .concat(decimals.map((text) => `decimal(${text})`))
const fields = names.flatMap((name) => [name, `${name}?`, `${name}??`])

describe("the type of a field", () => {
  it("is one here if it is one in a connector file, and has the digits that are said there", () => {
    let types = 0
    for (const field of fields) {
      const read = readFieldType(field)
      const type = parseFieldType(field)
      assert.strictEqual(type === undefined, read === undefined, field)
      if (type === undefined || read === undefined) continue
      types++
      assert.strictEqual(type.nullable, read.nullable, field)
      const kind = parseColumnType(type.type)?.kind
      assert.isDefined(kind, field)
      if (read.kind === "timestamp")
        assert.deepStrictEqual(kind, { _tag: "Timestamp", digits: read.precision, wide: true })
      if (read.kind === "decimal")
        assert.deepStrictEqual(kind, { _tag: "Decimal", precision: read.precision, scale: read.scale })
    }
    assert.isAbove(types, 30)
  })
})
