import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compileTransform } from "../src/Transform.ts"
import { one, SecretsTest, transformed } from "./support.ts"

/** A folder with a file `step.ts` that can be written again. */
const folder = Effect.gen(function* () {
  const base = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "tributary-transform-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true }))
  )
  const write = (source: string) => Effect.promise(() => writeFile(join(base, "step.ts"), source))
  const load = compileTransform([{ typescript: "./step.ts" }], { connector: "shop", stream: "orders", base }).pipe(
    Effect.provide(SecretsTest)
  )
  const run = Effect.fnUntraced(function* (source: string, ...records: ReadonlyArray<string>) {
    yield* write(source)
    const transform = yield* load
    const { out, rejected } = transform.apply(
      records.map((text, offset) => ({ offset, key: null, value: Buffer.from(text) }))
    )
    return { out: out.map(({ value }) => Buffer.from(value).toString()), rejected }
  })
  const error = Effect.fnUntraced(function* (source: string) {
    yield* write(source)
    return yield* Effect.flip(load)
  })
  return { base, run, load, error }
})

const exported = (body: string) => `export const transform = ${body}\n`

/** Function bodies, and the reason for which a record is rejected. */
const rejections: ReadonlyArray<readonly [name: string, source: string, reason: string]> = [
  [
    "an exception, with its place",
    '// a comment\nconst fail = (x: string): never => {\n  throw new Error("no such customer\\nsecond line")\n}\nexport const transform = (r: object) => fail("x")\n',
    "step.ts:3:9: no such customer"
  ],
  ["an exception without a message", exported("() => { throw new TypeError() }"), "step.ts:1:40: TypeError"],
  ["a thrown text", exported('() => { throw "oops" }'), 'step.ts: threw "oops"'],
  [
    "a promise",
    exported("() => Promise.resolve({})"),
    "step.ts: transform returned a promise, expected a record; a transform is synchronous."
  ],
  [
    "a promise that fails",
    exported('() => Promise.reject(new Error("late"))'),
    "step.ts: transform returned a promise, expected a record; a transform is synchronous."
  ],
  [
    "nothing",
    exported("() => undefined"),
    "step.ts: transform returned undefined, expected a record, a list of records or null."
  ],
  ["text", exported('() => "x"'), "step.ts: transform returned string, expected a record, a list of records or null."],
  [
    "null in a list",
    exported("(r) => [r, null]"),
    "step.ts: transform returned null as element 1 of the list, expected a record."
  ],
  [
    "a list in a list",
    exported("(r) => [[r]]"),
    "step.ts: transform returned a list as element 0 of the list, expected a record."
  ],
  [
    "undefined inside",
    exported("() => ({ a: { b: [1, undefined] } })"),
    "step.ts: transform returned undefined (leave the field out, or give null) at a.b[1], expected a JSON value."
  ],
  ["NaN", exported("() => ({ a: 0 / 0 })"), "step.ts: transform returned NaN at a, expected a JSON value."],
  [
    "infinity",
    exported("() => ({ a: [1 / 0] })"),
    "step.ts: transform returned Infinity at a[0], expected a JSON value."
  ],
  [
    "a function",
    exported("() => ({ a: () => 1 })"),
    "step.ts: transform returned a function at a, expected a JSON value."
  ],
  [
    "a symbol",
    exported('() => ({ a: Symbol("x") })'),
    "step.ts: transform returned a symbol at a, expected a JSON value."
  ],
  [
    "a Date",
    exported("() => ({ a: new Date(0) })"),
    "step.ts: transform returned a Date (use toISOString()) at a, expected a JSON value."
  ],
  [
    "a Map",
    exported("() => new Map()"),
    "step.ts: transform returned an object of class Map, expected a record, a list of records or null."
  ],
  [
    "a cycle",
    exported("(r) => { r.a = { r }; return r }"),
    "step.ts: transform returned a cycle at a.r, expected a JSON value."
  ],
  ["a getter that throws", exported('() => ({ get a() { throw new Error("no") } })'), "step.ts:1:51: no"]
]

describe("typescript", () => {
  it.effect("gives none, one or many records, in order", () =>
    Effect.gen(function* () {
      const { out, rejected } = yield* transformed(
        [{ typescript: "./orders.ts" }],
        '{"id":1,"lines":[{"sku":"a"},{"sku":"b"}]}',
        '{"id":2,"lines":[]}',
        '{"id":3,"lines":[9007199254740993]}'
      )
      assert.deepStrictEqual(rejected, [])
      assert.deepStrictEqual(out, [
        '{"id":1,"line":{"sku":"a"}}',
        '{"id":1,"line":{"sku":"b"}}',
        '{"id":3,"line":9007199254740993}'
      ])
    })
  )
  it.effect("gives each of many records to the steps that follow, on its own", () =>
    Effect.gen(function* () {
      const { run } = yield* folder
      const same = yield* run(exported("(r) => [r, r]"), '{"a":"x"}')
      assert.deepStrictEqual(same.out, ['{"a":"x"}', '{"a":"x"}'])
      // Were the two one object, the second would be hashed twice.
      const steps = [{ typescript: "./orders.ts" }, { mask: { "shared.a": "sha256" as const }, salt: "${env:SALT}" }]
      const { out } = yield* transformed(steps, '{"shared":{"a":"x"},"lines":[1,1]}')
      assert.strictEqual(out.length, 2)
      assert.strictEqual(out[0], out[1])
    })
  )
  it.effect("rejects the whole record when one of its many is rejected", () =>
    Effect.gen(function* () {
      const steps = [{ typescript: "./orders.ts" }, { cast: { line: "int8" } }]
      const { out, rejected } = yield* transformed(steps, '{"lines":[1,2]}', '{"lines":[3,"x"]}', '{"lines":[4]}')
      assert.deepStrictEqual(out, ['{"line":1}', '{"line":2}', '{"line":4}'])
      assert.deepStrictEqual(
        rejected.map(({ code, index }) => [index, code]),
        [[1, "cast"]]
      )
    })
  )
  it.effect("passes numbers that no double holds, and bigints that the function makes", () =>
    Effect.gen(function* () {
      const { run } = yield* folder
      const { out } = yield* run(exported("(r) => ({ ...r, sum: r.a + 1n })"), '{"a":9007199254740993,"b":1.50}')
      assert.deepStrictEqual(out, ['{"a":9007199254740993,"b":1.50,"sum":9007199254740994}'])
    })
  )
  it.effect("keeps odd names", () =>
    Effect.gen(function* () {
      const { run } = yield* folder
      const text = '{"__proto__":{"a":1},"constructor":2,"toJSON":3}'
      assert.deepStrictEqual((yield* run(exported("(r) => r"), text)).out, [text])
    })
  )
  for (const [name, source, reason] of rejections) {
    it.effect(`rejects: ${name}`, () =>
      Effect.gen(function* () {
        const { run } = yield* folder
        const { out, rejected } = yield* run(source, '{"x":1}')
        assert.deepStrictEqual(out, [])
        assert.deepStrictEqual(rejected, [{ index: 0, code: "typescript", reason }])
      })
    )
  }
  it.effect("goes on with the other records", () =>
    Effect.gen(function* () {
      const { run } = yield* folder
      const source = exported('(r) => { if (r.x === 2) throw new Error("two"); return r }')
      const { out, rejected } = yield* run(source, '{"x":1}', '{"x":2}', '{"x":3}')
      assert.deepStrictEqual(out, ['{"x":1}', '{"x":3}'])
      assert.deepStrictEqual(
        rejected.map(({ index }) => index),
        [1]
      )
    })
  )
  it.effect("takes a changed file up when it is compiled again", () =>
    Effect.gen(function* () {
      const { run } = yield* folder
      assert.deepStrictEqual((yield* run(exported("() => ({ v: 1 })"), "{}")).out, ['{"v":1}'])
      assert.deepStrictEqual((yield* run(exported("() => ({ v: 2 })"), "{}")).out, ['{"v":2}'])
    })
  )
  it.effect("names a file that is not there", () =>
    Effect.gen(function* () {
      const { base, load } = yield* folder
      const error = yield* Effect.flip(load)
      assert.strictEqual(
        error.message,
        `Transform of shop/orders, step 1 (typescript): The file ./step.ts cannot be read (looked for ${join(base, "step.ts")}).`
      )
      assert.strictEqual(error.failureClass, "misconfigured")
    })
  )
  it.effect("names a file that is not TypeScript, and one that fails when it is loaded", () =>
    Effect.gen(function* () {
      const { error } = yield* folder
      assert.include((yield* error("export const transform = (\n")).message, "The file ./step.ts cannot be loaded: ")
      const thrown = yield* error('const x = 1\nthrow new Error("no settings")\n')
      assert.include(thrown.message, "The file ./step.ts cannot be loaded: no settings (step.ts:2:7).")
      assert.include((yield* error('import "./none.ts"\n')).message, "The file ./step.ts cannot be loaded: ")
    })
  )
  it.effect("names an export that is missing or of another kind", () =>
    Effect.gen(function* () {
      const { error } = yield* folder
      const missing = yield* error("export const transfrom = () => null\n")
      assert.include(
        missing.message,
        "The file ./step.ts does not export a function named transform (found: transfrom). Write: "
      )
      assert.include((yield* error("const x = 1\n")).message, "(found: nothing)")
      assert.include((yield* error("export const transform = 5\n")).message, "(found: transform is a number)")
      const async = yield* error(exported("async () => null"))
      assert.include(async.message, "transform in ./step.ts is async, expected a synchronous function.")
    })
  )
  it.effect("cannot be used to name a record's inherited fields", () =>
    Effect.map(one([{ typescript: "./orders.ts" }], '{"lines":[1],"hasOwnProperty":1}'), (found) =>
      assert.strictEqual(found, '{"hasOwnProperty":1,"line":1}')
    )
  )
})
