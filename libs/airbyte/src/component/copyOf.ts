import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"

/** A copy of lists and mappings, however deep; what they hold is shared, for it never changes. */
export const copyOf = (value: Value): Value =>
  Array.isArray(value) ? value.map(copyOf) : value !== null && isPlainDict(value) ? copyOfDict(value) : value

export const copyOfDict = (dict: PlainDict): PlainDict => {
  const copy: PlainDict = {}
  for (const [key, item] of Object.entries(dict)) {
    // Defined, not assigned: a key named __proto__ is data like any other.
    if (key === "__proto__") Object.defineProperty(copy, key, { value: copyOf(item), enumerable: true })
    else copy[key] = copyOf(item)
  }
  return copy
}
