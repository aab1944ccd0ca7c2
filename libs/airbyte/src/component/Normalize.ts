import { truthy } from "../expression/Compare.ts"
import { parseFloating, parseInteger, truncate } from "../expression/Numbers.ts"
import { str } from "../expression/Repr.ts"
import { float, floatOf, intOf, isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { PyError } from "../expression/PyError.ts"

const trueTexts = new Set(["y", "yes", "t", "true", "on", "1"])
const falseTexts = new Set(["n", "no", "f", "false", "off", "0"])
const simpleTypes = new Set(["string", "number", "integer", "boolean", "null"])

const own = (schema: PlainDict, name: string): Value | undefined =>
  Object.hasOwn(schema, name) ? schema[name] : undefined

/** The value as the one type that a schema names, when it can be made one; else as it is. */
const convert = (value: Value, schema: PlainDict): Value => {
  const given = own(schema, "type") ?? []
  const types = Array.isArray(given) ? given : [given]
  if (value === null && (Array.isArray(given) ? given.includes("null") : String(given).includes("null"))) return null
  const wanted = Array.isArray(given) ? types.filter((type) => type !== "null") : types
  if (wanted.length !== 1) return value
  switch (wanted[0]) {
    case "string":
      return str(value)
    case "number": {
      const number = floatOf(value) ?? intOf(value)
      if (number !== undefined) return float(Number(number))
      return typeof value === "string" ? float(parseFloating(value)) : value
    }
    case "integer": {
      const real = floatOf(value)
      if (real !== undefined) return Number.isFinite(real) ? truncate(real) : value
      const whole = intOf(value)
      if (whole !== undefined) return whole
      return typeof value === "string" ? parseInteger(value, 10) : value
    }
    case "boolean": {
      if (typeof value !== "string") return truthy(value)
      const text = value.toLowerCase().trim()
      return trueTexts.has(text) ? true : falseTexts.has(text) ? false : value
    }
    case "array": {
      const items = own(schema, "items")
      const inner = items !== undefined && isPlainDict(items) ? (own(items, "type") ?? []) : []
      const names = Array.isArray(inner) ? inner : Array.from(String(inner))
      const isScalar = value === null || typeof value !== "object" || floatOf(value) !== undefined
      return names.every((name) => simpleTypes.has(String(name))) && isScalar ? [value] : value
    }
    default:
      return value
  }
}

const converted = (value: Value, schema: Value): Value => {
  if (!isPlainDict(schema)) return value
  try {
    return convert(value, schema)
  } catch (error) {
    // What cannot be converted stays as it is.
    if (error instanceof PyError) return value
    throw error
  }
}

/** Converts a record's fields in place to the types of its schema (`schema_normalization: Default`). */
export const normalize = (record: Value, schema: Value): void => {
  if (!isPlainDict(schema)) return
  const properties = own(schema, "properties")
  if (properties !== undefined && isPlainDict(properties) && record !== null && isPlainDict(record)) {
    for (const [name, inner] of Object.entries(properties)) {
      if (!Object.hasOwn(record, name)) continue
      const value = converted(record[name] ?? null, inner)
      record[name] = value
      normalize(value, inner)
    }
  }
  const items = own(schema, "items")
  if (items !== undefined && Array.isArray(record)) {
    record.forEach((item, index) => {
      const value = converted(item, items)
      record[index] = value
      normalize(value, items)
    })
  }
}
