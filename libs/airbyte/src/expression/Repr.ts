import { PyDate, PyTime, PyTimeDelta, PyZone } from "./DateTime.ts"
import { dictEntries, identityOf, PyDict, PyDictView, PySet, StreamSlice } from "./Dict.ts"
import { PyDecimal, PyDuration } from "./Duration.ts"
import { grow, tick } from "./Meter.ts"
import { reprFloat, reprInt } from "./Numbers.ts"
import { isPrintable } from "./Text.ts"
import {
  groupTuple,
  PyAttributes,
  PyBytes,
  PyCallable,
  PyComplex,
  PyEllipsis,
  PyFloat,
  PyIterator,
  PyMarkup,
  PyNamespace,
  PyTuple,
  PyUndefined,
  type Value
} from "./Value.ts"

const plain = /^[ !#-&(-[\]-~]*$/

const escapes: { readonly [char: string]: string } = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" }

/** repr() of a str. */
export const reprStr = (text: string): string => {
  grow(text.length)
  if (plain.test(text)) return `'${text}'`
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  let result = quote
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    const escape = escapes[char]
    if (escape !== undefined) result += escape
    else if (char === quote) result += `\\${char}`
    else if (code >= 32 && code < 127) result += char
    else if (isPrintable(char)) result += char
    else if (code < 256) result += `\\x${code.toString(16).padStart(2, "0")}`
    else
      result += code < 65536 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`
  }
  return result + quote
}

const reprBytes = (bytes: Uint8Array): string => {
  const quote = bytes.includes(39) && !bytes.includes(34) ? '"' : "'"
  let result = `b${quote}`
  for (const byte of bytes) {
    const char = String.fromCharCode(byte)
    const escape = escapes[char]
    if (escape !== undefined) result += escape
    else if (char === quote) result += `\\${char}`
    else result += byte >= 32 && byte < 127 ? char : `\\x${byte.toString(16).padStart(2, "0")}`
  }
  return result + quote
}

const complexPart = (value: number): string => {
  const text = reprFloat(value)
  return text.endsWith(".0") ? text.slice(0, -2) : text
}

const reprComplex = ({ re, im }: PyComplex): string =>
  re === 0 && !Object.is(re, -0)
    ? `${complexPart(im)}j`
    : `(${complexPart(re)}${im < 0 || Object.is(im, -0) ? "" : "+"}${complexPart(im)}j)`

/** Containers being printed, so that one inside itself prints as three dots. */
const open = new Set<object>()

const within = (container: object, recursive: string, print: () => string): string => {
  if (open.has(container)) return recursive
  open.add(container)
  try {
    return print()
  } finally {
    open.delete(container)
  }
}

const joined = (items: Iterable<Value>): string => {
  let result = ""
  for (const item of items) {
    tick()
    const text = repr(item)
    grow(text.length + 2)
    result = result === "" ? text : `${result}, ${text}`
  }
  return result
}

const reprDict = (entries: Iterable<readonly [Value, Value]>): string => {
  let result = ""
  for (const [key, value] of entries) {
    tick()
    const text = `${repr(key)}: ${repr(value)}`
    grow(text.length + 2)
    result = result === "" ? text : `${result}, ${text}`
  }
  return `{${result}}`
}

const address = (value: object): string => `0x${(0x7f0000000000 + identityOf(value) * 16).toString(16)}`

const reprObject = (value: Exclude<Value, null | string | number | bigint | boolean>): string => {
  if (Array.isArray(value)) return within(value, "[...]", () => `[${joined(value)}]`)
  if (value instanceof PyTuple) {
    if (value.names !== undefined && value.type !== groupTuple) {
      return `${value.type}(${value.names.map((name, index) => `${name}=${repr(value.items[index] ?? null)}`).join(", ")})`
    }
    return within(value, "(...)", () => `(${joined(value.items)}${value.items.length === 1 ? "," : ""})`)
  }
  if (value instanceof PyDict || value instanceof StreamSlice) {
    return within(value, "{...}", () => reprDict(dictEntries(value)))
  }
  if (value instanceof PyFloat) return reprFloat(value.value)
  if (value instanceof PyMarkup) return `Markup(${reprStr(value.value)})`
  if (value instanceof PyUndefined) return "Undefined"
  if (value instanceof PyDate || value instanceof PyTime || value instanceof PyTimeDelta) return value.repr()
  if (value instanceof PyDuration) return value.repr()
  if (value instanceof PySet) return value.members.size === 0 ? "set()" : `{${joined(value.members.values())}}`
  if (value instanceof PyDictView) return within(value.dict, "...", () => `${value.type}([${joined(value.items())}])`)
  if (value instanceof PyBytes) return reprBytes(value.bytes)
  if (value instanceof PyComplex) return reprComplex(value)
  if (value instanceof PyEllipsis) return "Ellipsis"
  if (value instanceof PyZone) return value.text
  if (value instanceof PyDecimal) return `Decimal('${value.value}')`
  if (value instanceof PyNamespace) return `<Namespace ${reprDict(value.attributes)}>`
  if (value instanceof PyAttributes) return value.repr()
  if (value instanceof PyIterator) {
    return value.type === "generator"
      ? `<generator object ${value.name} at ${address(value)}>`
      : `<${value.type} object at ${address(value)}>`
  }
  if (value instanceof PyCallable) return `<${value.type} ${value.name} at ${address(value)}>`
  return within(value, "{...}", () => reprDict(Object.entries(value)))
}

/** repr() of any value. */
export const repr = (value: Value): string => {
  switch (typeof value) {
    case "string":
      return reprStr(value)
    case "boolean":
      return value ? "True" : "False"
    case "bigint":
      return reprInt(value)
    case "number":
      return Number.isSafeInteger(value) ? (value === 0 ? "0" : String(value)) : reprFloat(value)
    case "object":
      return value === null ? "None" : reprObject(value)
    default:
      return "None"
  }
}

/** str() of any value: what a template prints. */
export const str = (value: Value): string => {
  if (typeof value === "string") return value
  if (typeof value === "object" && value !== null) {
    if (value instanceof PyMarkup) return value.value
    if (value instanceof PyUndefined) return ""
    if (value instanceof PyDate || value instanceof PyTime || value instanceof PyTimeDelta) return value.str()
    if (value instanceof PyDuration) return value.str()
    if (value instanceof PyZone) return value.name
    if (value instanceof PyDecimal) return String(value.value)
  }
  return repr(value)
}
