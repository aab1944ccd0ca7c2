import { compare } from "./Compare.ts"
import { dictEntries, dictOf } from "./Dict.ts"
import { iterate } from "./Iterate.ts"
import { grow, tick } from "./Meter.ts"
import { reprFloat } from "./Numbers.ts"
import { typeError, valueError } from "./PyError.ts"
import { repr } from "./Repr.ts"
import { floatOf, isInt, PyTuple, strOf, typeName, type Value } from "./Value.ts"

const quote = (text: string): string => {
  grow(text.length + 2)
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
}

const number = (value: number): string =>
  Number.isNaN(value) ? "NaN" : value === Infinity ? "Infinity" : value === -Infinity ? "-Infinity" : reprFloat(value)

const keyText = (key: Value): string => {
  const text = strOf(key)
  if (text !== undefined) return text
  if (key === null) return "null"
  if (typeof key === "boolean") return key ? "true" : "false"
  const real = floatOf(key)
  if (real !== undefined) return number(real)
  if (isInt(key)) return repr(key)
  throw typeError(`keys must be str, int, float, bool or None, not ${typeName(key)}`)
}

export interface JsonOptions {
  readonly sortKeys: boolean
  readonly indent: Value
}

/** json.dumps with its default separators. */
export const dumps = (root: Value, options: JsonOptions): string => {
  const open = new Set<object>()
  const { indent } = options
  const unit =
    indent === null
      ? undefined
      : typeof indent === "string"
        ? indent
        : " ".repeat(Math.max(0, Number(isInt(indent) ? indent : 0)))
  const wrap = (parts: ReadonlyArray<string>, begin: string, end: string, level: number): string => {
    if (parts.length === 0) return begin + end
    if (unit === undefined) return begin + parts.join(", ") + end
    const newline = `\n${unit.repeat(level + 1)}`
    grow(newline.length * (parts.length + 1))
    return `${begin}${newline}${parts.join(`,${newline}`)}\n${unit.repeat(level)}${end}`
  }
  const dump = (value: Value, level: number): string => {
    tick()
    const text = strOf(value)
    if (text !== undefined) return quote(text)
    if (value === null) return "null"
    if (typeof value === "boolean") return value ? "true" : "false"
    const real = floatOf(value)
    if (real !== undefined) return number(real)
    if (isInt(value)) return repr(value)
    if (typeof value !== "object") throw typeError(`Object of type ${typeName(value)} is not JSON serializable`)
    const dict = dictOf(value)
    if (
      !Array.isArray(value) &&
      !(value instanceof PyTuple) &&
      (dict === undefined || typeName(value) === "StreamSlice")
    ) {
      throw typeError(`Object of type ${typeName(value)} is not JSON serializable`)
    }
    if (open.has(value)) throw valueError("Circular reference detected")
    open.add(value)
    let result: string
    if (dict === undefined) {
      const parts: Array<string> = []
      for (const item of iterate(value)) parts.push(dump(item, level + 1))
      result = wrap(parts, "[", "]", level)
    } else {
      const entries = [...dictEntries(dict)]
      if (options.sortKeys) entries.sort(([a], [b]) => (compare(a, b, "<") ? -1 : compare(b, a, "<") ? 1 : 0))
      result = wrap(
        entries.map(([key, item]) => `${quote(keyText(key))}: ${dump(item, level + 1)}`),
        "{",
        "}",
        level
      )
    }
    open.delete(value)
    grow(result.length)
    return result
  }
  return dump(root, 0)
}
