import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { compileError, one, transformed } from "./support.ts"

const record =
  '{"id":9007199254740993,"n":5,"whole":5.0,"price":1.50,"s":"x","nul":null,"o":{"x":1},"list":[1,2],"constructor":7,"__proto__":{"y":1}}'

/** Expressions that are true, or false, for the record. */
const decided: ReadonlyArray<readonly [expression: string, result: boolean]> = [
  ["record.n > 0", true],
  ["record.n > 5", false],
  ["record.n == 5", true],
  ["record.n == 5.0", true],
  ["record.n % 2 == 1", true],
  ["record.n * 1.5 > 7.0 && record.n / 2.0 == 2.5 && 1.5 + record.n == 6.5 && record.n - 0.5 == 4.5", true],
  ["record.whole * 2.0 == 10.0", true],
  ["record.id == 9007199254740993", true],
  ["record.id == 9007199254740992", false],
  ["record.id - 9007199254740992 == 1", true],
  ["record.price == 1.5", true],
  ["record.s == 'x' && record.s.startsWith('x')", true],
  ["record.nul == null", true],
  ["record.o.x == 1", true],
  ["record.o == {'x': 1}", true],
  ["record.list.exists(i, i == 2) && size(record.list) == 2 && 2 in record.list", true],
  ["has(record.none)", false],
  ["!has(record.none) || record.none > 1", true],
  ["record.?none.orValue(3) == 3", true],
  ["record['s'] == 'x'", true],
  ["record.constructor == 7", true],
  ["record['__proto__'].y == 1", true],
  ["has(record.toString)", false],
  ["timestamp('2013-01-01T00:00:00Z') < timestamp('2013-01-02T00:00:00Z')", true]
]

/** Expressions that cannot be decided, and the end of the reason. */
const undecided: ReadonlyArray<readonly [expression: string, reason: string]> = [
  ["record.none > 1", "No such key: none (at character 8)."],
  ["record.nul > 1", "no such overload: dyn<null> > int (at character 1)."],
  ["record.s > 1", "no such overload: dyn<string> > int (at character 1)."],
  ["record.s", 'found "x", expected true or false.'],
  ["record.n", "found a value of type bigint, expected true or false."],
  ["record.o", "found a value of type object, expected true or false."],
  ["record.nul", "found null, expected true or false."],
  ["record.n / 0 == 1", "division by zero (at character 1)."]
]

const wrong: ReadonlyArray<readonly [expression: string, problem: string]> = [
  ["record.", "The expression is wrong: Expected IDENTIFIER, got EOF (at character 8)."],
  ["recrd.n > 1", "The expression is wrong: Unknown variable: recrd (at character 1)."],
  [
    "record.n > 1 && 5",
    "The expression is wrong: Logical operator requires bool operands, got 'int' (at character 1)."
  ],
  ["lower(record.s)", "The expression is wrong: found no matching overload for 'lower(dyn)' (at character 1)."],
  ["1 + 1", "The expression gives int, expected true or false."]
]

describe("filter", () => {
  for (const [expression, result] of decided) {
    it.effect(`${expression} is ${result}`, () =>
      Effect.map(transformed([{ filter: expression }], record), ({ out, rejected }) => {
        assert.deepStrictEqual(rejected, [])
        assert.deepStrictEqual(out, result ? [record] : [])
      })
    )
  }
  for (const [expression, reason] of undecided) {
    it.effect(`${expression} rejects`, () =>
      Effect.map(one([{ filter: expression }], record), (found) =>
        assert.strictEqual(found, `filter: Cannot decide "${expression}": ${reason}`)
      )
    )
  }
  for (const [expression, problem] of wrong) {
    it.effect(`${expression} does not compile`, () =>
      Effect.map(compileError([{ keep: ["a"] }, { filter: expression }]), (message) =>
        assert.strictEqual(message, `Transform of shop/orders, step 2 (filter): ${problem} Expression: ${expression}`)
      )
    )
  }
})
