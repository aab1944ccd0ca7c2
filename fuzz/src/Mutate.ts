import type { seeded } from "@tributary/testkit"
import { type Json, isList, isObject, places, valueAt, withValue } from "./Json.ts"

export type Random = ReturnType<typeof seeded>

/** Texts that parsers stumble over. */
const oddTexts: ReadonlyArray<string> = [
  "",
  " ",
  "null",
  "0",
  "-1",
  "1e999",
  "NaN",
  "true",
  "__proto__",
  "constructor",
  "toString",
  "$",
  "$.",
  "$[*]",
  "$..x",
  "{",
  "}}",
  "{{ config['a'] }}",
  "{{ record.id }}",
  "{% for i in range(9) %}",
  "{since}",
  "{nobody}",
  "${env:NONE}",
  "%",
  "%Y",
  "%00",
  "..",
  "/",
  "//",
  "\n",
  "\r\n\r\n",
  "\t",
  "\u0000",
  "\u001b[31m",
  "\u202e",
  "\ufeff",
  "\ud800",
  "é",
  "😀",
  "a".repeat(300),
  "9".repeat(400),
  "(".repeat(50),
  "2026-02-30T25:61:61Z",
  "0000-00-00",
  "9999-12-31T23:59:59Z",
  "http://127.0.0.1:1/",
  "https://",
  "mailto:a@b",
  "PT1M",
  "[1, 2",
  "'",
  '"',
  "\\"
]

const oddNumbers: ReadonlyArray<number> = [
  0, -1, 1, 2, 0.5, -0.1, 1e21, 1e-7, 255, 65_536, 2_147_483_648, 9_007_199_254_740_994, -9_007_199_254_740_994, 1.7e308
]

/** Any value, most often a small one. */
export const anyValue = (random: Random, depth = 0): Json => {
  switch (random.below(depth > 3 ? 5 : 8)) {
    case 0:
      return null
    case 1:
      return random.below(2) === 0
    case 2:
      return random.pick(oddNumbers)
    case 3:
      return random.below(1000)
    case 4:
      return random.pick(oddTexts)
    case 5:
      return Array.from({ length: random.below(4) }, () => anyValue(random, depth + 1))
    case 6:
      return Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [
          random.pick(["id", "a", "type", "", "data", "next", "b.c"]),
          anyValue(random, depth + 1)
        ])
      )
    default:
      return nested(random.below(40), random.below(2) === 0)
  }
}

const nested = (depth: number, inLists: boolean): Json => {
  let value: Json = 1
  for (let level = 0; level < depth; level++) value = inLists ? [value] : { a: value }
  return value
}

const damagedText = (text: string, random: Random): string => {
  const at = random.below(text.length + 1)
  switch (random.below(5)) {
    case 0:
      return text.slice(0, at)
    case 1:
      return text.slice(0, at) + random.pick(oddTexts) + text.slice(at)
    case 2:
      return text.slice(0, at) + text.slice(at + 1)
    case 3:
      return text + text
    default:
      return text.toUpperCase()
  }
}

const damaged = (value: Json, random: Random): Json => {
  if (typeof value === "string" && random.below(3) > 0) return damagedText(value, random)
  if (typeof value === "number" && random.below(3) > 0) return random.pick([...oddNumbers, value + 1, -value])
  if (typeof value === "boolean" && random.below(2) === 0) return !value
  switch (random.below(4)) {
    case 0:
      return [value]
    case 1:
      return { value }
    case 2:
      return isList(value) ? [...value, ...value] : JSON.stringify(value)
    default:
      return anyValue(random)
  }
}

/** Changes one place of a tree: it is taken out, replaced, damaged, named otherwise, or gets what stands elsewhere in the tree. */
export const mutated = (root: Json, random: Random): Json => {
  const all = places(root)
  const path = random.pick(all)
  const value = valueAt(root, path) ?? null
  switch (random.below(6)) {
    case 0:
      return path.length === 0 ? root : withValue(root, path, undefined)
    case 1:
      return withValue(root, path, anyValue(random))
    case 2: {
      const other = valueAt(root, random.pick(all))
      return withValue(root, path, other ?? null)
    }
    case 3: {
      if (!isObject(value)) return withValue(root, path, damaged(value, random))
      const names = Object.keys(value)
      if (names.length === 0 || random.below(2) === 0) {
        return withValue(
          root,
          [...path, random.pick(["x", "type", "id", "$ref", "$parameters", "__proto__"])],
          anyValue(random)
        )
      }
      const name = random.pick(names)
      const entries = Object.entries(value).map(([key, item]): [string, Json] => [
        key === name ? damagedText(key, random) : key,
        item
      ])
      return withValue(root, path, Object.fromEntries(entries))
    }
    default:
      return withValue(root, path, damaged(value, random))
  }
}
