import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  compactJson,
  compilePlan,
  compileSelector,
  JsonSyntaxError,
  maxDepth,
  measureValue,
  scan,
  skipSpace,
  skipValue
} from "@tributary/codec"
import { document, mutate } from "./documents.ts"

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))

/** What a scanner gives, or where it fails. */
const outcome = (work: () => number): string => {
  try {
    return `end ${work()}`
  } catch (error) {
    assert.instanceOf(error, JsonSyntaxError)
    return `fails at ${error.offset}: ${error.expected}`
  }
}
const nested = (levels: number, inside = "1"): string => `${'{"a":['.repeat(levels)}${inside}${"]}".repeat(levels)}`

describe("measureValue", () => {
  it.effect.prop(
    "ends and fails where skipValue does",
    [Seed],
    ([seed]) =>
      Effect.sync(() => {
        const right = document(seed)
        for (const bytes of [Buffer.from(right), mutate(right, seed)]) {
          const at = skipSpace(bytes, 0)
          assert.strictEqual(
            outcome(() => measureValue(bytes, at).end),
            outcome(() => skipValue(bytes, at)),
            bytes.toString()
          )
        }
      }),
    { arbitrary: { runs: 500 } }
  )

  it("counts levels, any number of them", () => {
    const depthOf = (text: string) => measureValue(Buffer.from(text), 0).depth
    assert.deepStrictEqual(["1", '"{["', "[]", "{}", "[[],{}]", '{"a":[{}],"b":1}'].map(depthOf), [0, 0, 1, 1, 2, 3])
    assert.strictEqual(depthOf(nested(100_000)), 200_000)
  })
})

describe("compactJson", () => {
  it.effect.prop("takes away white space and nothing else", [Seed], ([seed]) =>
    Effect.sync(() => {
      const text = document(seed)
      const compact = compactJson(Buffer.from(text))
      assert.deepStrictEqual(JSON.parse(compact ?? ""), JSON.parse(text))
      assert.strictEqual(compactJson(Buffer.from(compact ?? "")), compact)
      assert.isAtMost(compact?.length ?? 0, text.length)
    })
  )

  it("keeps repeated keys, numbers and escapes, and takes nothing for JSON that is none", () => {
    const kept = '{"a":1.50,"a":" \\" \\\\","\\u0061":-0}'
    assert.strictEqual(compactJson(Buffer.from('{ "a" : 1.50 ,\n"a": " \\" \\\\", "\\u0061":\t-0 }')), kept)
    for (const text of ["", " ", "{", "[1,]", "{} {}", "nul", '"a'])
      assert.isUndefined(compactJson(Buffer.from(text)), text)
  })
})

describe("scan", () => {
  const plan = compilePlan({
    records: compileSelector("$.data[*]"),
    fields: [["id"]],
    values: [compileSelector("$.next")]
  })
  const spans = (text: string) => {
    const found = scan(Buffer.from(text), plan)
    const rows: Array<string> = []
    for (let row = 0; row < found.rows.length; row += found.stride)
      rows.push(text.slice(found.rows[row], found.rows[row + 1]))
    return { rows, ids: found.rows.filter((_, k) => k % 4 === 2), deep: [...(found.deep ?? [])], found }
  }

  it("notes records that are nested too deeply, and finds the others", () => {
    const deep = `{"id":2,"x":${nested(300)}}`
    const records = ['{"id":1}', deep, '{"id":3}']
    const text = `{"data":[${records.join(" , ")}],"next":"n"}`
    const { deep: noted, found, ids, rows } = spans(text)
    assert.deepStrictEqual(rows, records)
    assert.deepStrictEqual(noted, [1])
    assert.deepStrictEqual(
      ids.map((at) => at < 0),
      [false, true, false]
    )
    assert.strictEqual(text.slice(found.values[0], found.values[1]), '"n"')
    // To the level: the document and the list are two of them.
    const levels = maxDepth - 2
    assert.deepStrictEqual(spans(`{"data":[${"[".repeat(levels)}${"]".repeat(levels)}]}`).deep, [])
    assert.deepStrictEqual(spans(`{"data":[${"[".repeat(levels + 1)}${"]".repeat(levels + 1)}]}`).deep, [0])
  })

  it("fails where something else is, and where a deep record is not JSON", () => {
    const failure = (text: string) => outcome(() => scan(Buffer.from(text), plan).rows.length)
    assert.match(failure(`{"data":[],"other":${nested(300)}}`), /fails at \d+: at most 512 levels of nesting/u)
    assert.match(failure(`{"data":[${nested(300, "1,")}]}`), /a value/u)
    assert.match(failure(`{"data":[${nested(300).slice(0, -1)}`), /"," or "\}"/u)
  })

  it("says which key leads to the records twice", () => {
    assert.isUndefined(spans('{"data":[1],"other":1,"other":2}').found.repeated)
    assert.strictEqual(spans('{"data":[1],"data":[2]}').found.repeated, '"data"')
    assert.strictEqual(spans('{"data":[1],"d\\u0061ta":[]}').found.repeated, '"d\\u0061ta"')
    // Fields of a record lead nowhere.
    assert.isUndefined(spans('{"data":[{"id":1,"id":2}]}').found.repeated)
  })
})
