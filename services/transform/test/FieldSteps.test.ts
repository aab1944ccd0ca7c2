import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { TransformStep } from "@tributary/domain"
import { compileError, one } from "./support.ts"

type Case = readonly [name: string, step: TransformStep, record: string, expected: string]

const cases: ReadonlyArray<Case> = [
  ["keep: fields in the order of the record", { keep: ["b", "a", "none"] }, '{"a":1,"x":2,"b":3}', '{"a":1,"b":3}'],
  ["keep: a nested field", { keep: ["a.b"] }, '{"a":{"b":1,"c":2},"d":3}', '{"a":{"b":1}}'],
  ["keep: the whole wins over a part", { keep: ["a.b", "a"] }, '{"a":{"b":1,"c":2}}', '{"a":{"b":1,"c":2}}'],
  ["keep: a part after the whole", { keep: ["a", "a.b"] }, '{"a":{"b":1,"c":2}}', '{"a":{"b":1,"c":2}}'],
  [
    "keep: in each element of a list",
    { keep: ["a.b"] },
    '{"a":[{"b":1,"c":2},3,[{"b":4,"c":5}]]}',
    '{"a":[{"b":1},[{"b":4}]]}'
  ],
  ["keep: a scalar has no fields", { keep: ["a.b", "c"] }, '{"a":1,"c":2}', '{"c":2}'],
  ["keep: a name with a dot", { keep: ["a.b"] }, '{"a.b":1,"a":{"b":2,"c":3}}', '{"a.b":1,"a":{"b":2}}'],
  ["keep: inherited names are no fields", { keep: ["constructor", "toString"] }, '{"a":1}', "{}"],
  ["keep: __proto__ is a field", { keep: ["__proto__"] }, '{"__proto__":{"a":1},"b":2}', '{"__proto__":{"a":1}}'],
  ["drop: fields", { drop: ["a", "none"] }, '{"a":1,"b":2}', '{"b":2}'],
  ["drop: a nested field", { drop: ["a.b", "a.none.x"] }, '{"a":{"b":1,"c":2}}', '{"a":{"c":2}}'],
  ["drop: in each element of a list", { drop: ["a.b"] }, '{"a":[{"b":1,"c":2},3,[{"b":4}]]}', '{"a":[{"c":2},3,[{}]]}'],
  ["drop: a name with a dot", { drop: ["a.b"] }, '{"a.b":1,"a":{"b":2,"c":3}}', '{"a":{"c":3}}'],
  ["drop: __proto__", { drop: ["__proto__"] }, '{"__proto__":{"a":1},"b":2}', '{"b":2}'],
  ["drop: leaves __proto__ of others", { drop: ["b"] }, '{"__proto__":{"a":1},"b":2}', '{"__proto__":{"a":1}}'],
  ["rename: keeps the order", { rename: { a: "z" } }, '{"a":1,"b":2}', '{"z":1,"b":2}'],
  ["rename: two change places", { rename: { a: "b", b: "a" } }, '{"a":1,"b":2}', '{"b":1,"a":2}'],
  ["rename: a missing field is not missed", { rename: { a: "z" } }, '{"b":2}', '{"b":2}'],
  ["rename: lifts a nested field", { rename: { "a.b": "c" } }, '{"a":{"b":1,"x":2}}', '{"a":{"x":2},"c":1}'],
  ["rename: makes the objects of the new path", { rename: { a: "b.c.d" } }, '{"a":1}', '{"b":{"c":{"d":1}}}'],
  [
    "rename: nested fields change places",
    { rename: { "a.b": "a.c", "a.c": "a.b" } },
    '{"a":{"b":1,"c":2}}',
    '{"a":{"c":1,"b":2}}'
  ],
  ["rename: a name with a dot", { rename: { "a.b": "c" } }, '{"a.b":1}', '{"c":1}'],
  [
    "rename: inherited names are no fields",
    { rename: { toString: "a.b", "constructor.name": "c" } },
    '{"d":1}',
    '{"d":1}'
  ],
  ["rename: to __proto__", { rename: { a: "__proto__" } }, '{"a":{"b":1}}', '{"__proto__":{"b":1}}'],
  ["flatten: nested objects", { flatten: "_" }, '{"a":{"b":{"c":1},"d":2},"e":3}', '{"a_b_c":1,"a_d":2,"e":3}'],
  ["flatten: lists stay", { flatten: "_" }, '{"a":{"b":[{"c":1}]}}', '{"a_b":[{"c":1}]}'],
  ["flatten: an empty object has no fields", { flatten: "_" }, '{"a":{},"b":1}', '{"b":1}'],
  ["flatten: odd names", { flatten: "." }, '{"__proto__":{"constructor":1}}', '{"__proto__.constructor":1}'],
  [
    "rename: a name in use",
    { rename: { a: "b" } },
    '{"a":1,"b":2}',
    'name-collision: Cannot name a field "b": the record already has a field of that name (rename).'
  ],
  [
    "rename: a nested name in use",
    { rename: { a: "b.c" } },
    '{"a":1,"b":{"c":2}}',
    'name-collision: Cannot name a field "b.c": the record already has a field of that name (rename).'
  ],
  [
    "rename: no object on the way",
    { rename: { a: "b.c" } },
    '{"a":1,"b":"x"}',
    'rename: Cannot rename a field to b.c: "b" is text, not an object.'
  ],
  [
    "rename: a list on the way",
    { rename: { "a.b": "c" } },
    '{"a":[{"b":1}]}',
    'rename: Cannot rename a.b: "a" is a list, and rename does not reach into lists.'
  ],
  [
    "flatten: two fields of one name",
    { flatten: "_" },
    '{"a":{"b":1},"a_b":2}',
    'name-collision: Cannot name a field "a_b": the record already has a field of that name (flatten).'
  ]
]

describe("keep, drop, rename, flatten", () => {
  for (const [name, step, record, expected] of cases) {
    it.effect(name, () => Effect.map(one([step], record), (found) => assert.strictEqual(found, expected)))
  }
  it.effect("refuses to give two fields one name", () =>
    Effect.gen(function* () {
      const message = yield* compileError([{ keep: ["a"] }, { rename: { a: "c", b: "c" } }])
      assert.strictEqual(
        message,
        "Transform of shop/orders, step 2 (rename): Two fields are renamed to c; give each its own name."
      )
    })
  )
})
