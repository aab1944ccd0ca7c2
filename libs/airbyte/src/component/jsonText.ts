import { dictEntries, dictOf } from "../expression/Dict.ts"
import { reprFloat } from "../expression/Numbers.ts"
import { numberFromJson } from "../expression/Plain.ts"
import { str } from "../expression/Repr.ts"
import { floatOf, PyTuple, type Value } from "../expression/Value.ts"

/** A number that a plain parser would change: with a point, an exponent or too many digits. */
const special = /[:[,\s-]\d+(?:\.|[eE]|\d{15})/

/** What JSON.parse gives is a value of expressions; the reviver has made its numbers such. */
const isValue = (value: unknown): value is Value => value !== undefined

const reviver = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
  typeof value === "number" && context?.source !== undefined ? numberFromJson(context.source) : value

/** JSON text as a value, numbers without loss (1.0 is a float, and ints of any length are exact). Throws a `SyntaxError`. */
export const parseJson = (text: string): Value => {
  const value: unknown = special.test(` ${text}`) ? JSON.parse(text, reviver) : JSON.parse(text)
  return isValue(value) ? value : null
}

const float = (value: number): string => (Number.isFinite(value) ? reprFloat(value) : "null")

const write = (value: Value): string => {
  if (typeof value === "string" || value === null || typeof value === "boolean") return JSON.stringify(value)
  const real = floatOf(value)
  if (real !== undefined) return float(real)
  if (typeof value === "number" || typeof value === "bigint") return String(value)
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`
  if (value instanceof PyTuple) return `[${value.items.map(write).join(",")}]`
  const dict = dictOf(value)
  if (dict === undefined) return JSON.stringify(str(value))
  return `{${dictEntries(dict)
    .map(([key, item]) => `${JSON.stringify(str(key))}:${write(item)}`)
    .join(",")}}`
}

/** A value as compact JSON: floats as Python writes them, dates and other objects as the text they print as. */
export const writeJson = (value: Value): string => write(value)
