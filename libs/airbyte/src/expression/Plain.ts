import { dictEntries, dictOf, PyDictView, PySet } from "./Dict.ts"
import { iterate } from "./Iterate.ts"
import { str } from "./Repr.ts"
import { float, floatOf, intOf, PyIterator, PyTuple, type Value } from "./Value.ts"

/** A value of JSON, with bigints for ints that no number holds exactly. */
export type Plain = null | boolean | number | bigint | string | ReadonlyArray<Plain> | { readonly [key: string]: Plain }

/** A value as plain data: 1.0 is 1, tuples and sets are arrays, dates and other objects the text they print as. */
export const toPlain = (value: Value): Plain => {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value
  const number = floatOf(value) ?? intOf(value)
  if (number !== undefined) return number
  const dict = dictOf(value)
  if (dict !== undefined) {
    // Entries are defined one by one: a key may be __proto__.
    return Object.fromEntries(dictEntries(dict).map(([key, item]) => [str(key), toPlain(item)]))
  }
  if (
    Array.isArray(value) ||
    value instanceof PyTuple ||
    value instanceof PySet ||
    value instanceof PyDictView ||
    value instanceof PyIterator
  ) {
    return Array.from(iterate(value), toPlain)
  }
  return str(value)
}

/**
 * The value of a number in JSON text, without loss: one written with a point or exponent is a float even when it is whole,
 * and an int of any length is exact. For `JSON.parse` with a reviver that is given the source text.
 */
export const numberFromJson = (text: string): Value => {
  if (/[.eE]/.test(text)) return float(Number(text))
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}
