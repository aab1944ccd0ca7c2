import { positional, type Method } from "./Arguments.ts"
import { escapeHtml } from "./Html.ts"
import { iterate } from "./Iterate.ts"
import { typeError } from "./PyError.ts"
import { str } from "./Repr.ts"
import { textMethods } from "./TextMethods.ts"
import { PyBytes, PyMarkup, PyTuple, type Value } from "./Value.ts"

const asMarkup = (value: Value): Value =>
  typeof value === "string"
    ? new PyMarkup(value)
    : Array.isArray(value)
      ? value.map(asMarkup)
      : value instanceof PyTuple
        ? new PyTuple(value.items.map(asMarkup))
        : value

const escapedArgument = (value: Value): Value => (typeof value === "string" ? escapeHtml(value) : value)

/** Methods of text that is marked as safe: what is put into it is escaped, and what comes out is marked too. */
export const markupMethod = (name: string): Method<PyMarkup> | undefined => {
  const method = Object.hasOwn(textMethods, name) ? textMethods[name] : undefined
  if (method === undefined) return undefined
  return (self, args, kwargs) => {
    if (name === "join") {
      const items = [...iterate(positional(name, args, kwargs, 1, 1)[0] ?? null)]
      return new PyMarkup(
        items.map((item) => (item instanceof PyMarkup ? item.value : escapeHtml(str(item)))).join(self.value)
      )
    }
    const inserts = name === "replace" ? 1 : name === "ljust" || name === "rjust" || name === "center" ? 1 : -1
    return asMarkup(
      method(
        self.value,
        args.map((arg, index) => (index === inserts ? escapedArgument(arg) : arg)),
        kwargs
      )
    )
  }
}

const notOfBytes = new Set([
  "casefold",
  "encode",
  "isdecimal",
  "isidentifier",
  "isnumeric",
  "isprintable",
  "maketrans",
  "translate"
])

const asBytes = (value: Value): Value =>
  typeof value === "string"
    ? new PyBytes(Buffer.from(value, "latin1"))
    : Array.isArray(value)
      ? value.map(asBytes)
      : value instanceof PyTuple
        ? new PyTuple(value.items.map(asBytes))
        : value

const fromBytes = (value: Value): Value => {
  if (typeof value === "string") throw typeError("a bytes-like object is required, not 'str'")
  if (value instanceof PyBytes) return Buffer.from(value.bytes).toString("latin1")
  if (Array.isArray(value)) return value.map(fromBytes)
  return value instanceof PyTuple ? new PyTuple(value.items.map(fromBytes)) : value
}

/** Methods of bytes that are those of ASCII text. */
export const byteTextMethod = (name: string): Method<PyBytes> | undefined => {
  const method = Object.hasOwn(textMethods, name) && !notOfBytes.has(name) ? textMethods[name] : undefined
  if (method === undefined) return undefined
  return (self, args, kwargs) =>
    asBytes(method(Buffer.from(self.bytes).toString("latin1"), args.map(fromBytes), kwargs))
}
