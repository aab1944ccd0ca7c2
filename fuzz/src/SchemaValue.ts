import { type Json, isList, isObject, type JsonObject } from "./Json.ts"
import { anyValue, type Random } from "./Mutate.ts"

/** Texts of all forms that settings have; which of them fit is told by the setting's pattern. */
const texts: ReadonlyArray<string> = [
  "id",
  "items",
  "a",
  "a.b",
  "updated_at",
  "x-key",
  "next",
  "$[*]",
  "$.data[*]",
  "$.next",
  "$['odd name']",
  "$.*.rows[*]",
  "/items",
  "/items/{part}",
  "1 second",
  "300 millis",
  "7 days",
  "every 1 second",
  "cron 0 6 * * 1-5 Europe/Berlin",
  "@BASE@",
  "@BASE@/v1",
  "${env:KEY}",
  "${file:./missing}",
  "%Y-%m-%d",
  "%s",
  "%ms",
  "%d/%m/%Y %H:%M",
  "404",
  "5xx",
  "int64",
  "decimal(18, 2)",
  "timestamp?",
  "./missing.ts",
  "db.rows",
  "(\\d+) seconds",
  "record.id > 0",
  "record.a == 'x' && has(record.b)",
  "2026-01-01T00:00:00Z",
  "41",
  "SELECT 1"
]

const fits = (text: string, schema: JsonObject): boolean => {
  const { minLength, pattern } = schema
  const parts = isList(schema["allOf"]) ? schema["allOf"].filter(isObject) : []
  return (
    (typeof pattern !== "string" || new RegExp(pattern, "u").test(text)) &&
    (typeof minLength !== "number" || text.length >= minLength) &&
    parts.every((part) => fits(text, part))
  )
}

const textFor = (schema: JsonObject, random: Random): string => {
  const fitting = texts.filter((text) => fits(text, schema))
  return fitting.length === 0 ? "a" : random.pick(fitting)
}

const numberFor = (schema: JsonObject, random: Random): number => {
  const bound = (name: string, otherwise: number) => (typeof schema[name] === "number" ? schema[name] : otherwise)
  const parts = isList(schema["allOf"]) ? schema["allOf"].filter(isObject) : []
  const least = Math.max(
    bound("minimum", 0),
    bound("exclusiveMinimum", -1) + 1,
    ...parts.map((part) => numberFor({ ...part, maximum: 0 }, random))
  )
  const most = bound("maximum", random.pick([3, 20, 1000, 2_147_483_647]))
  return least + random.below(Math.max(1, most - least + 1))
}

/** How likely a setting that may be left out is there, by its path (`streams.*.pagination`). */
export type Likelihood = (path: string) => number

/** A value that fits a JSON Schema of the kinds that the connector file's has. */
export const valueFor = (schema: Json | undefined, random: Random, likely: Likelihood, path = "", depth = 0): Json => {
  if (!isObject(schema)) return anyValue(random)
  const { anyOf, default: fallback, enum: choices, examples, items, properties, type } = schema
  const example = isList(examples) ? examples[0] : undefined
  const chance = random.next()
  const isText = type === "string" || (type === undefined && anyOf === undefined && choices === undefined)
  if (example !== undefined && chance < (isText ? 0.5 : 0.15)) return example
  if (fallback !== undefined && chance > 0.95) return fallback
  if (isList(choices)) return choices.length === 0 ? null : random.pick(choices)
  if (isList(anyOf)) return anyOf.length === 0 ? null : valueFor(random.pick(anyOf), random, likely, path, depth)
  switch (type) {
    case "boolean":
      return random.below(2) === 0
    case "integer":
    case "number":
      return numberFor(schema, random)
    case "array": {
      const least = typeof schema["minItems"] === "number" ? schema["minItems"] : 0
      const list = Array.from({ length: least + random.below(3) }, () =>
        valueFor(items, random, likely, path, depth + 1)
      )
      if (schema["uniqueItems"] !== true) return list
      return [...new Map(list.map((item) => [JSON.stringify(item), item])).values()]
    }
    case "object": {
      const required = isList(schema["required"]) ? schema["required"] : []
      const entries: Array<readonly [string, Json]> = []
      for (const [name, setting] of Object.entries(isObject(properties) ? properties : {})) {
        const inside = path === "" ? name : `${path}.${name}`
        if (required.includes(name) || random.next() < likely(inside) / (1 + depth / 3)) {
          entries.push([name, valueFor(setting, random, likely, inside, depth + 1)])
        }
      }
      const others = schema["additionalProperties"]
      if (isObject(others)) {
        const names = isObject(schema["propertyNames"]) ? schema["propertyNames"] : {}
        const count = 1 + random.below(2)
        for (let made = 0; made < count; made++) {
          entries.push([textFor(names, random), valueFor(others, random, likely, `${path}.*`, depth + 1)])
        }
      }
      if (!isObject(properties) && !isObject(others)) entries.push(["a", anyValue(random)])
      return Object.fromEntries(entries)
    }
    default:
      return textFor(schema, random)
  }
}
