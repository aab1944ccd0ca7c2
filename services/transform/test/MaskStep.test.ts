import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHmac } from "node:crypto"
import type { TransformStep } from "@tributary/domain"
import { compileError, one } from "./support.ts"

const mask = (...fields: ReadonlyArray<string>): TransformStep => ({
  mask: Object.fromEntries(fields.map((field) => [field, "sha256"])),
  salt: "${env:SALT}"
})
const hash = (text: string) => createHmac("sha256", "salt").update(text, "utf8").digest("hex")

const cases: ReadonlyArray<readonly [name: string, step: TransformStep, record: string, expected: string]> = [
  ["text", mask("a"), '{"a":"ünï","b":1}', `{"a":"${hash("ünï")}","b":1}`],
  ["empty text", mask("a"), '{"a":""}', `{"a":"${hash("")}"}`],
  ["a number", mask("a"), '{"a":5}', `{"a":"${hash("5")}"}`],
  ["a number as it was sent", mask("a"), '{"a":1.50}', `{"a":"${hash("1.50")}"}`],
  ["a large integer", mask("a"), '{"a":9007199254740993}', `{"a":"${hash("9007199254740993")}"}`],
  ["a boolean", mask("a"), '{"a":true}', `{"a":"${hash("true")}"}`],
  ["null stays null", mask("a"), '{"a":null}', '{"a":null}'],
  ["missing stays missing", mask("a", "b.c"), '{"x":1,"b":2}', '{"x":1,"b":2}'],
  ["nested", mask("a.b"), '{"a":{"b":"x"}}', `{"a":{"b":"${hash("x")}"}}`],
  [
    "each element of a list on the way",
    mask("a.b"),
    '{"a":[{"b":"x"},{"b":null}]}',
    `{"a":[{"b":"${hash("x")}"},{"b":null}]}`
  ],
  ["a name with a dot, as flatten makes it", mask("a.b"), '{"a.b":"x"}', `{"a.b":"${hash("x")}"}`],
  ["inherited names are no fields", mask("toString", "constructor.name"), '{"a":1}', '{"a":1}'],
  ["__proto__", mask("__proto__"), '{"__proto__":"x"}', `{"__proto__":"${hash("x")}"}`],
  [
    "an object",
    mask("a"),
    '{"a":{"b":1}}',
    "mask: Cannot mask a: found an object, expected text, a number or a boolean."
  ],
  ["a list", mask("a"), '{"a":["x"]}', "mask: Cannot mask a: found a list, expected text, a number or a boolean."]
]

describe("mask", () => {
  for (const [name, step, record, expected] of cases) {
    it.effect(name, () => Effect.map(one([step], record), (found) => assert.strictEqual(found, expected)))
  }
  it.effect("is HMAC-SHA256 (RFC 4231's construction, checked against a known value)", () =>
    Effect.map(one([mask("a")], '{"a":"N14228"}'), (found) =>
      // printf N14228 | openssl dgst -sha256 -hmac salt
      assert.strictEqual(found, '{"a":"ab1aacb51d1f0841941bbd102010825ea540655b92d371b1486ef919c1ad9716"}')
    )
  )
  it.effect("names a salt that is not there, or is empty", () =>
    Effect.gen(function* () {
      const step = mask("a")
      const missing = yield* compileError([{ ...step, salt: "${env:NO_SALT}" }])
      assert.strictEqual(missing, "Transform of shop/orders, step 1 (mask): ${env:NO_SALT}: is not set")
      assert.include(yield* compileError([{ ...step, salt: "${env:EMPTY}" }]), "The salt ${env:EMPTY} is empty")
    })
  )
})
