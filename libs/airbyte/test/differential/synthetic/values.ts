/** Records that a stream's schema describes and its expressions look at. */
import type { PlainDict, Value } from "../../../src/index.ts"
import type { Mention } from "./mentions.ts"
import { dictIn, listIn, own } from "./config.ts"

/** A number that stays the same for the same text. */
export const hashOf = (text: string): number => {
  let hash = 2_166_136_261
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 16_777_619) >>> 0
  }
  return hash
}

const two = (number: number): string => String(number).padStart(2, "0")

/** A time in the last days of February 2024, at whose end the run takes place. */
export const instantOf = (number: number): string => {
  const hours = 432 + ((number * 31) % 240)
  return `2024-02-${two(1 + Math.floor(hours / 24))}T${two(hours % 24)}:20:30.123000Z`
}

const isTime = (name: string): boolean =>
  /(?:_at|date|time|timestamp|created|updated|modified|_on|At|Date|Time)$/.test(name)

const scalarFor = (name: string, types: ReadonlyArray<Value>, format: Value | undefined, number: number): Value => {
  const [type] = types
  switch (type) {
    case "integer":
      return isTime(name) ? 1_707_000_000 + number : number
    case "number":
      return number % 3 === 0 ? number : number + 0.5
    case "boolean":
      return number % 2 === 0
    case "null":
      return null
    default:
      if (format === "date") return instantOf(number).slice(0, 10)
      if (format === "date-time" || isTime(name)) return instantOf(number).replace(".123000Z", "Z")
      return number % 4 === 0 ? `${name} ünï ${number}` : `${name}-${number}`
  }
}

/** A value that a schema of a record allows. */
const valueFor = (schema: PlainDict, name: string, number: number, depth: number): Value => {
  const given = own(schema, "type")
  const types = (Array.isArray(given) ? given : given === undefined ? [] : [given]).filter((type) => type !== "null")
  const isNullable = Array.isArray(given) && given.includes("null")
  if (isNullable && number % 5 === 3 && hashOf(name) % 4 === 0) return null
  const [branch] = listIn(own(schema, "oneOf") ?? own(schema, "anyOf"))
  if (types.length === 0 && branch !== undefined) return valueFor(dictIn(branch), name, number, depth)
  const [choice] = listIn(own(schema, "enum"))
  if (choice !== undefined) return choice
  if (types.includes("object") || (types.length === 0 && own(schema, "properties") !== undefined)) {
    return depth > 4 ? {} : recordFor(schema, number, depth + 1)
  }
  if (types.includes("array")) {
    const items = dictIn(own(schema, "items"))
    if (depth > 4) return []
    return Array.from({ length: number % 3 }, (_, index) => valueFor(items, name, number + index, depth + 1))
  }
  return scalarFor(name, types, own(schema, "format"), number)
}

const recordFor = (schema: PlainDict, number: number, depth: number): PlainDict =>
  Object.fromEntries(
    Object.entries(dictIn(own(schema, "properties"))).map(([name, inner]): [string, Value] => [
      name,
      valueFor(dictIn(inner), name, number, depth)
    ])
  )

/** A record of a schema, the number being its own. */
export const recordOf = (schema: PlainDict, number: number): PlainDict => recordFor(schema, number, 0)

/** Puts a value where nothing stands yet (or anything, with `over`), making what leads to it. */
export const put = (root: PlainDict, path: ReadonlyArray<string | number>, value: Value, over = false): void => {
  let node: PlainDict | Array<Value> = root
  for (const [index, part] of path.entries()) {
    const isLast = index === path.length - 1
    // Of a list that is there, the one from its end; else the first.
    const key: string | number =
      typeof part !== "number" ? part : part < 0 && Array.isArray(node) ? Math.max(0, node.length + part) : 0
    const inner: Value | undefined = Array.isArray(node) ? node[Number(key)] : own(node, String(key))
    let next: Value | undefined = inner
    if (isLast) {
      if (inner !== undefined && inner !== null && !over) return
      next = value
    } else if (inner === undefined || inner === null || typeof inner !== "object") {
      if (inner !== undefined && inner !== null && !over) return
      next = typeof path[index + 1] === "number" ? [] : {}
    }
    if (next === undefined) return
    if (Array.isArray(node)) {
      if (!Number.isInteger(Number(key))) return
      node[Number(key)] = next
    } else node[String(key)] = next
    if (isLast) return
    if (Array.isArray(next)) node = next
    else if (next !== null && typeof next === "object") node = dictIn(next)
    else return
    if (!Array.isArray(next) && node !== next) return
  }
}

/** What a place that an expression looks at has to be. */
export const leafFor = (mention: Mention, number: number): Value => {
  const name = String(mention.path.findLast((part) => typeof part === "string") ?? "")
  switch (mention.method) {
    case "items":
    case "keys":
    case "values":
      return { first: `first-${number}`, second: number }
    case "append":
    case "extend":
      return [`${name}-${number}`]
    case "split":
      return `a-${number}/b,c T d.e`
    default:
      return scalarFor(name, /count|total|num|size|page/i.test(name) ? ["integer"] : [], undefined, number)
  }
}
