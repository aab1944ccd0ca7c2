import { dictEntries, dictOf, type DictLike } from "./Dict.ts"
import { compare } from "./Compare.ts"
import { tick } from "./Meter.ts"
import { PyError } from "./PyError.ts"
import { repr } from "./Repr.ts"
import { PyTuple, typeName, type Value } from "./Value.ts"

const width = 80

const sortKeys = (entries: ReadonlyArray<readonly [Value, Value]>): ReadonlyArray<readonly [Value, Value]> =>
  entries.toSorted(([a], [b]) => {
    try {
      return compare(a, b, "<") ? -1 : compare(b, a, "<") ? 1 : 0
    } catch (error) {
      if (!(error instanceof PyError)) throw error
      return typeName(a) < typeName(b) ? -1 : 1
    }
  })

const plainDict = (value: Value): DictLike | undefined => (typeName(value) === "dict" ? dictOf(value) : undefined)

/** repr() with the keys of dicts in order. */
const flat = (value: Value): string => {
  tick()
  const dict = plainDict(value)
  if (dict !== undefined) {
    return `{${sortKeys(dictEntries(dict))
      .map(([key, item]) => `${flat(key)}: ${flat(item)}`)
      .join(", ")}}`
  }
  if (Array.isArray(value)) return `[${value.map(flat).join(", ")}]`
  if (value instanceof PyTuple && value.names === undefined) {
    return `(${value.items.map(flat).join(", ")}${value.items.length === 1 ? "," : ""})`
  }
  return repr(value)
}

const lay = (value: Value, indent: number, allowance: number): string => {
  const text = flat(value)
  if (text.length <= width - indent - allowance) return text
  const dict = plainDict(value)
  const pad = `,\n${" ".repeat(indent + 1)}`
  if (dict !== undefined) {
    const entries = sortKeys(dictEntries(dict))
    return `{${entries
      .map(([key, item], index) => {
        const name = flat(key)
        return `${name}: ${lay(item, indent + 1 + name.length + 2, index === entries.length - 1 ? allowance + 1 : 1)}`
      })
      .join(pad)}}`
  }
  const items = Array.isArray(value) ? value : value instanceof PyTuple ? value.items : undefined
  if (items === undefined) return text
  const inner = items
    .map((item, index) => lay(item, indent + 1, index === items.length - 1 ? allowance + 1 : 1))
    .join(pad)
  return Array.isArray(value) ? `[${inner}]` : `(${inner}${items.length === 1 ? "," : ""})`
}

/** The `pprint` filter: repr() over several lines when it is long. Long texts are not broken. */
export const prettyPrint = (value: Value): string => lay(value, 0, 0)
