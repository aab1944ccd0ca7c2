import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import {
  compilePlan,
  compileSelector,
  JsonSyntaxError,
  scalarText,
  scan,
  selectAll,
  SelectorError,
  selectOne,
  eachMember,
  type Step
} from "@tributary/codec"
import { document, mutate } from "./documents.ts"

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))
const bytes = (text: string) => Buffer.from(text)
const texts = (text: string, selector: string) => {
  const spans = selectAll(bytes(text), compileSelector(selector))
  const found: Array<string> = []
  for (let i = 0; i < spans.length; i += 2) found.push(bytes(text).toString("utf8", spans[i]!, spans[i + 1]!))
  return found
}
const accepts = (data: Uint8Array): boolean => {
  try {
    selectAll(data, compileSelector("$"))
    return true
  } catch (error) {
    assert.instanceOf(error, JsonSyntaxError)
    assert.isAtMost(error.offset, data.length)
    return false
  }
}
const native = (data: Buffer): boolean => {
  try {
    JSON.parse(data.toString())
    return true
  } catch {
    return false
  }
}
/** What a selector selects, by parsing. */
const reference = (value: unknown, steps: ReadonlyArray<Step>): Array<unknown> => {
  const [step, ...rest] = steps
  if (step === undefined) return [value]
  if (typeof value !== "object" || value === null) return []
  if (step === eachMember) {
    return Array.isArray(value) ? [] : Object.values(value).flatMap((member) => reference(member, rest))
  }
  if (step === null) return Array.isArray(value) ? value.flatMap((item) => reference(item, rest)) : []
  if (Array.isArray(value) !== (typeof step === "number")) return []
  return Object.hasOwn(value, step) ? reference((value as Record<string | number, unknown>)[step], rest) : []
}

describe("selectAll", () => {
  it("returns the spans of the records", () => {
    assert.deepStrictEqual(texts('{"data": [ {"id":1} , {"id": 2}],"next":null}', "$.data[*]"), [
      '{"id":1}',
      '{"id": 2}'
    ])
    assert.deepStrictEqual(texts("[[1,2],[3]]", "$[*][*]"), ["1", "2", "3"])
    assert.deepStrictEqual(texts('{"a":{"b-c":[true]}}', "$.a['b-c'][0]"), ["true"])
    assert.deepStrictEqual(texts('{"data":[]}', "$.data[*]"), [])
  })
  it("selects each member of an object", () => {
    const text = '{"a":{"x":[1,2]},"b":{"x":[3]},"c":{"y":0},"d":[4]}'
    assert.deepStrictEqual(texts(text, "$.*.x[*]"), ["1", "2", "3"])
    assert.deepStrictEqual(texts(text, "$.*"), ['{"x":[1,2]}', '{"x":[3]}', '{"y":0}', "[4]"])
    assert.deepStrictEqual(texts(text, "$.d.*"), [])
    const wanted = reference(JSON.parse(text), compileSelector("$.*.*[*]").steps)
    assert.deepStrictEqual(
      texts(text, "$.*.*[*]").map((part): unknown => JSON.parse(part)),
      wanted
    )
    const both = compilePlan({
      records: compileSelector("$.*"),
      fields: [["x"]],
      values: [compileSelector("$.b.x[0]")]
    })
    const { rows, values } = scan(bytes(text), both)
    assert.deepStrictEqual([rows.length, text.slice(values[0], values[1])], [16, "3"])
  })
  it("takes the last of repeated keys, whatever their escapes", () => {
    assert.deepStrictEqual(texts('{"data":[1,2],"d\\u0061ta":[3]}', "$.data[*]"), ["3"])
    assert.deepStrictEqual(texts('{"data":[1,2],"data":null}', "$.data[*]"), [])
  })
  it("skips a byte order mark", () => {
    assert.deepStrictEqual([...selectAll(bytes("\ufeff[1]"), compileSelector("$[*]"))], [4, 5])
  })
  it("says where the document is wrong", () => {
    const wrong = (text: string) => {
      try {
        selectAll(bytes(text), compileSelector("$.data[*]"))
      } catch (error) {
        if (error instanceof JsonSyntaxError) return [error.offset, error.atEnd]
      }
      return undefined
    }
    assert.deepStrictEqual(wrong('{"data":[{"id":1},{"id'), [22, true])
    assert.deepStrictEqual(wrong('{"data":[]} x'), [12, false])
    assert.deepStrictEqual(wrong('{"data":[01]}'), [10, false])
    assert.deepStrictEqual(wrong(""), [0, true])
    assert.deepStrictEqual(wrong('{"data":[1,]}'), [11, false])
  })
  it("bounds the depth", () => {
    assert.isTrue(accepts(bytes("[".repeat(512) + "]".repeat(512))))
    assert.isFalse(accepts(bytes("[".repeat(100_000) + "]".repeat(100_000))))
  })
  it.prop(
    "accepts and refuses what JSON.parse does, and selects the same values",
    [Seed, Seed],
    ([seed, change]) => {
      const text = document(seed)
      assert.isTrue(accepts(bytes(text)), text)
      const mutant = mutate(text, change)
      assert.strictEqual(accepts(mutant), native(mutant), mutant.toString())
      for (const selector of ["$[*]", "$.data[*]", "$.id", "$[1].data", "$['__proto__'].a", "$.a[*].b[*]"]) {
        const wanted = reference(JSON.parse(text), compileSelector(selector).steps)
        const found = texts(text, selector).map((part): unknown => JSON.parse(part))
        assert.deepStrictEqual(found, wanted, `${selector} in ${text}`)
      }
    },
    { arbitrary: { runs: 2000 } }
  )
})

describe("scan", () => {
  const plan = compilePlan({
    records: compileSelector("$.data[*]"),
    fields: [["id"], ["customer", "id"]],
    values: [compileSelector("$.next"), compileSelector("$.data[*].id")]
  })
  const rowsOf = (text: string) => {
    const { rows, stride, values, mismatch } = scan(bytes(text), plan)
    const cut = (at: number, end: number) => (at < 0 ? undefined : bytes(text).toString("utf8", at, end))
    const found: Array<Array<string | undefined>> = []
    for (let r = 0; r < rows.length; r += stride) {
      const row: Array<string | undefined> = []
      for (let k = r; k < r + stride; k += 2) row.push(cut(rows[k]!, rows[k + 1]!))
      found.push(row)
    }
    return { found, next: cut(values[0]!, values[1]!), lastId: cut(values[2]!, values[3]!), mismatch }
  }
  it("finds records, their fields and other values in one pass", () => {
    const { found, next, lastId, mismatch } = rowsOf(
      '{"next":"x","data":[{"id":1,"customer":{"id":"c","id":"d"}},{"customer":{"id":"e"},"customer":{}},{"id":3,"id":4}, 5]}'
    )
    assert.deepStrictEqual(found, [
      ['{"id":1,"customer":{"id":"c","id":"d"}}', "1", '"d"'],
      ['{"customer":{"id":"e"},"customer":{}}', undefined, undefined],
      ['{"id":3,"id":4}', "4", undefined],
      ["5", undefined, undefined]
    ])
    assert.deepStrictEqual([next, lastId, mismatch], ['"x"', "4", undefined])
  })
  it("tells an empty list from none", () => {
    assert.isUndefined(rowsOf('{"data":[]}').mismatch)
    assert.deepInclude(rowsOf('{"data":null}').mismatch, { found: "null", expected: "an array", inList: false })
    assert.deepInclude(rowsOf('{"error":"x"}').mismatch, { found: "nothing", expected: 'an object with "data"' })
    assert.deepInclude(rowsOf('"oops"').mismatch, { found: "a string" })
    assert.deepInclude(rowsOf("[]").mismatch, { found: "an array" })
    assert.isUndefined(rowsOf('{"data":null,"data":[1]}').mismatch)
    const nested = compilePlan({ records: compileSelector("$[*].items[*]"), fields: [], values: [] })
    const part = scan(bytes('[{"items":[1]},{"items":null},{"items":[2]}]'), nested)
    assert.strictEqual(part.rows.length, 4)
    assert.deepInclude(part.mismatch, { found: "null", inList: true })
  })
})

describe("compileSelector", () => {
  it("refuses what is no selector and says where", () => {
    for (const text of ["data", "$.", "$.data[", "$data", "$..a", "$[-1]"]) {
      assert.throws(() => compileSelector(text), SelectorError)
    }
    assert.throws(() => compileSelector("$.data[x]"), /at character 7/u)
  })
})

describe("selectOne and scalarText", () => {
  const text = (json: string, selector: string) => {
    const span = selectOne(bytes(json), compileSelector(selector))
    return span === undefined ? "none" : scalarText(bytes(json), span)
  }
  it("gives scalars as text", () => {
    assert.strictEqual(text('{"next":"a\\u00e9\\n\\"é"}', "$.next"), 'aé\n"é')
    assert.strictEqual(text('{"next":9007199254740993}', "$.next"), "9007199254740993")
    assert.strictEqual(text('{"next":true}', "$.next"), "true")
    assert.strictEqual(text('{"next":null}', "$.next"), null)
    assert.strictEqual(text('{"next":[1]}', "$.next"), undefined)
    assert.strictEqual(text('{"other":1}', "$.next"), "none")
  })
})
