import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { JsonSyntaxError, LosslessJson } from "@tributary/codec"
import { document, mutate } from "./documents.ts"

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))
const { parse, stringify, JsonNumber } = LosslessJson

/** Tokens of a document: what is left when white space outside strings is removed. */
const tokens = (text: string): string =>
  text.replace(/("(?:[^"\\]|\\.)*")|\s+/gu, (_all, string: string) => string ?? "")
/** Strings as `JSON.stringify` writes them. */
const canonical = (text: string): string =>
  tokens(text).replace(/"(?:[^"\\]|\\.)*"/gu, (string) => JSON.stringify(JSON.parse(string)))

describe("LosslessJson", () => {
  it("keeps what a double keeps as a number, and only that", () => {
    assert.deepStrictEqual(parse('{"a":1,"b":1.5,"c":"x","d":[true,null,-3]}'), {
      a: 1,
      b: 1.5,
      c: "x",
      d: [true, null, -3]
    })
    assert.strictEqual(parse("9007199254740993"), 9007199254740993n)
    assert.strictEqual(parse("9007199254740991"), 9007199254740991)
    assert.deepStrictEqual(parse("[1.50]"), [new JsonNumber("1.50")])
    assert.deepStrictEqual(parse('{"a":{"b":[0,{"c":12345678901234567.5}]}}'), {
      a: { b: [0, { c: new JsonNumber("12345678901234567.5") }] }
    })
  })
  it("computes with a JsonNumber as with its value", () => {
    const price = new JsonNumber("12.50")
    assert.isTrue(Number(price) > 12)
    assert.strictEqual(`${price}`, "12.50")
    assert.strictEqual(JSON.stringify({ price }), '{"price":12.50}')
  })
  it("writes bigints and refuses what is no number", () => {
    assert.strictEqual(stringify({ a: [1n << 70n], b: { c: -5n } }), '{"a":[1180591620717411303424],"b":{"c":-5}}')
    assert.throws(() => stringify({ a: Number.NaN }), TypeError)
    assert.throws(() => stringify([{ a: [Number.POSITIVE_INFINITY] }]), TypeError)
    assert.throws(() => stringify(undefined), TypeError)
    assert.strictEqual(stringify({ a: undefined, b: 1 }), '{"b":1}')
  })
  it("leaves the value that it writes as it is", () => {
    const value = { a: [9007199254740993n], b: { c: 1 } }
    stringify(value)
    assert.deepStrictEqual(value, { a: [9007199254740993n], b: { c: 1 } })
  })
  it("treats __proto__ as a key like any other", () => {
    const text = '{"__proto__":9007199254740993,"a":{"__proto__":{"b":1.50}}}'
    const value = parse(text)
    assert.isTrue(typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__"))
    assert.strictEqual(Object.getPrototypeOf(value), Object.prototype)
    assert.strictEqual(stringify(value), text)
    assert.strictEqual(Object.hasOwn({}, "b"), false)
  })
  it("takes the last of repeated keys", () => {
    assert.strictEqual(stringify(parse('{"a":9007199254740993,"a":"x"}')), '{"a":"x"}')
    assert.strictEqual(stringify(parse('{"a":9007199254740993,"a":9007199254740995}')), '{"a":9007199254740995}')
    assert.strictEqual(stringify(parse('{"a":{"b":9007199254740993},"a":[1]}')), '{"a":[1]}')
  })
  it("says where a document is wrong", () => {
    const offset = (source: string | Uint8Array) => {
      try {
        parse(source)
      } catch (error) {
        if (error instanceof JsonSyntaxError) return error.offset
      }
      return undefined
    }
    assert.strictEqual(offset('{"a":1,}'), 7)
    assert.strictEqual(offset("[1] 2"), 4)
    assert.strictEqual(offset(Buffer.from([0x22, 0x61, 0xe9, 0x22])), 2)
  })
  it.prop(
    "writes what it read",
    [Seed, Seed],
    ([seed, change]) => {
      const text = document(seed)
      // Repeated keys are the one thing that is not kept, so they are made distinct here.
      let n = 0
      const distinct = tokens(text).replace(/"(?:[^"\\]|\\.)*":/gu, (key) =>
        key === '"__proto__":' ? key : `"${n++}_${key.slice(1)}`
      )
      const proto = distinct.split('"__proto__":')
      const once = proto.length < 3 ? distinct : proto.map((part, i) => (i === 0 ? part : `"p${i}":${part}`)).join("")
      assert.strictEqual(stringify(parse(once)), canonical(once))
      assert.strictEqual(stringify(parse(Buffer.from(once))), canonical(once))
      assert.deepStrictEqual(JSON.parse(stringify(parse(text))), JSON.parse(text))
      const mutant = mutate(text, change).toString()
      let valid = true
      try {
        JSON.parse(mutant)
      } catch {
        valid = false
      }
      if (valid) assert.deepStrictEqual(JSON.parse(stringify(parse(mutant))), JSON.parse(mutant))
      else assert.throws(() => parse(mutant), JsonSyntaxError)
    },
    { arbitrary: { runs: 2000 } }
  )
})
