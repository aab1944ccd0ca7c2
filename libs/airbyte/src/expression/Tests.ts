import { isCallable } from "./Attributes.ts"
import { compare, equals, same, type Order } from "./Compare.ts"
import { dictOf, hashKey, PyDictView, PySet } from "./Dict.ts"
import { filters } from "./FilterTable.ts"
import { filter, type Filter } from "./FilterTypes.ts"
import { contains, iterableOf, sizeOf } from "./Iterate.ts"
import { modulo } from "./Operators.ts"
import { str } from "./Repr.ts"
import { isLower, isUpper } from "./TextCase.ts"
import { PyDecimal } from "./Duration.ts"
import { floatOf, intOf, isInt, PyComplex, PyMarkup, PyUndefined, strOf, type Value } from "./Value.ts"

const has = (table: ReadonlyMap<string, unknown>, value: Value): boolean => {
  const name = strOf(value)
  if (name === undefined) hashKey(value)
  return name !== undefined && table.has(name)
}

const order = (operator: Order, ...names: ReadonlyArray<string>): ReadonlyArray<readonly [string, Filter]> =>
  names.map((name) => filter(name, ["other"], 1, (value, [other = null]) => compare(value, other, operator)))

const equal = (wanted: boolean, ...names: ReadonlyArray<string>): ReadonlyArray<readonly [string, Filter]> =>
  names.map((name) => filter(name, ["other"], 1, (value, [other = null]) => equals(value, other) === wanted))

const test = (name: string, verdict: (value: Value) => boolean): readonly [string, Filter] =>
  filter(name, [], 0, (value) => verdict(value))

const isNumber = (value: Value): boolean =>
  intOf(value) !== undefined || floatOf(value) !== undefined || value instanceof PyComplex || value instanceof PyDecimal

/** All tests by name: what stands after `is`. */
export const tests: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  test("odd", (value) => equals(modulo(value, 2), 1)),
  test("even", (value) => equals(modulo(value, 2), 0)),
  filter("divisibleby", ["num"], 1, (value, [num = null]) => equals(modulo(value, num), 0)),
  test("defined", (value) => !(value instanceof PyUndefined)),
  test("undefined", (value) => value instanceof PyUndefined),
  test("filter", (value) => has(filters, value)),
  test("test", (value) => has(tests, value)),
  test("none", (value) => value === null),
  test("boolean", (value) => typeof value === "boolean"),
  test("false", (value) => value === false),
  test("true", (value) => value === true),
  test("integer", isInt),
  test("float", (value) => floatOf(value) !== undefined),
  test("lower", (value) => isLower(str(value))),
  test("upper", (value) => isUpper(str(value))),
  test("string", (value) => strOf(value) !== undefined),
  test("mapping", (value) => dictOf(value) !== undefined),
  test("number", isNumber),
  test("sequence", (value) => {
    // Both a length and items by key are asked for: a set or a view has no items by key.
    if (value instanceof PySet || value instanceof PyDictView) return false
    return sizeOf(value) !== undefined
  }),
  filter("sameas", ["other"], 1, (value, [other = null]) => same(value, other)),
  test("iterable", (value) => iterableOf(value) !== undefined),
  test("callable", isCallable),
  test("escaped", (value) => value instanceof PyMarkup),
  filter("in", ["seq"], 1, (value, [container = null]) => contains(container, value)),
  ...equal(true, "==", "eq", "equalto"),
  ...equal(false, "!=", "ne"),
  ...order(">", ">", "gt", "greaterthan"),
  ...order(">=", ">=", "ge"),
  ...order("<", "<", "lt", "lessthan"),
  ...order("<=", "<=", "le")
])
