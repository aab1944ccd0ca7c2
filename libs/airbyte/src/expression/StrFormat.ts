import { dictGet, dictOf } from "./Dict.ts"
import { format } from "./FormatSpec.ts"
import { escapeHtml } from "./Html.ts"
import { grow, tick } from "./Meter.ts"
import { maxDigits } from "./Numbers.ts"
import { PyError, valueError } from "./PyError.ts"
import { repr, str } from "./Repr.ts"
import { PyMarkup, PyUndefined, type Value } from "./Value.ts"

/** How `{0.name[key]}` reads attributes and items: by the sandbox's rules. */
export interface FieldAccess {
  readonly attribute: (value: Value, name: string) => Value
  readonly item: (value: Value, key: Value) => Value
}

type Part = {
  readonly text: string
  readonly field: string | undefined
  readonly conversion: string
  readonly spec: string
}

/** The literal texts and replacement fields of a format string. */
const parse = (source: string): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  let text = ""
  let at = 0
  while (at < source.length) {
    const char = source.charAt(at)
    if (char === "}") {
      if (source[at + 1] !== "}") throw valueError("Single '}' encountered in format string")
      text += "}"
      at += 2
      continue
    }
    if (char !== "{") {
      text += char
      at++
      continue
    }
    if (source[at + 1] === "{") {
      text += "{"
      at += 2
      continue
    }
    if (at + 1 >= source.length) throw valueError("Single '{' encountered in format string")
    let depth = 1
    let end = at + 1
    while (end < source.length && depth > 0) {
      if (source[end] === "{") depth++
      else if (source[end] === "}") depth--
      end++
    }
    if (depth > 0) throw valueError("expected '}' before end of string")
    const body = source.slice(at + 1, end - 1)
    let stop = 0
    let bracket = false
    while (stop < body.length && (bracket || (body[stop] !== ":" && body[stop] !== "!"))) {
      const inner = body[stop]
      if (inner === "{") throw valueError("unexpected '{' in field name")
      if (inner === "[") bracket = true
      if (inner === "]") bracket = false
      stop++
    }
    let conversion = ""
    let rest = body.slice(stop)
    if (rest.startsWith("!")) {
      conversion = rest.slice(1, 2)
      if (conversion === "") throw valueError("end of string while looking for conversion specifier")
      if (rest.length > 2 && rest[2] !== ":") throw valueError("expected ':' after conversion specifier")
      rest = rest.slice(2)
    }
    parts.push({ text, field: body.slice(0, stop), conversion, spec: rest.slice(1) })
    text = ""
    at = end
  }
  if (text !== "") parts.push({ text, field: undefined, conversion: "", spec: "" })
  return parts
}

const isIndex = (text: string): boolean => /^\d+$/.test(text) && text.length < maxDigits

/** str.format(*args, **kwargs), or with a mapping for the names. */
export const formatText = (
  source: string,
  args: ReadonlyArray<Value>,
  names: (name: string) => Value | undefined,
  access: FieldAccess,
  markup: boolean
): string => {
  let automatic = 0
  const field = (name: string): Value => {
    const first = /^[^.[]*/.exec(name)?.[0] ?? ""
    let key = first
    if (name === "") {
      if (automatic < 0) throw valueError("cannot switch from manual field specification to automatic field numbering")
      key = String(automatic++)
    } else if (isIndex(name)) {
      if (automatic > 0) throw valueError("cannot switch from automatic field numbering to manual field specification")
      automatic = -1
    }
    let value: Value | undefined
    if (isIndex(key)) {
      value = args[Number(key)]
      if (value === undefined) {
        throw new PyError("IndexError", `Replacement index ${key} out of range for positional args tuple`)
      }
    } else {
      value = names(key)
      if (value === undefined) throw new PyError("KeyError", repr(key))
    }
    let rest = name.slice(first.length)
    while (rest !== "") {
      tick()
      const match = /^\.([^.[]*)|^\[([^\]]*)\]/.exec(rest)
      if (match === null) {
        throw valueError(
          rest.startsWith("[")
            ? "Missing ']' in format string"
            : "Only '.' or '[' may follow ']' in format field specifier"
        )
      }
      const [whole, attribute, item = ""] = match
      if ((attribute ?? item) === "") throw valueError("Empty attribute in format string")
      value =
        attribute === undefined
          ? access.item(value, isIndex(item) ? Number(item) : item)
          : access.attribute(value, attribute)
      rest = rest.slice(whole.length)
    }
    return value
  }
  const render = (text: string, depth: number): string => {
    if (depth < 0) throw valueError("Max string recursion exceeded")
    let result = ""
    for (const part of parse(text)) {
      tick()
      result += part.text
      if (part.field === undefined) continue
      let value = field(part.field)
      if (part.conversion === "r") value = repr(value)
      else if (part.conversion === "s") value = str(value)
      else if (part.conversion === "a") value = asciiRepr(value)
      else if (part.conversion !== "") throw valueError(`Unknown conversion specifier ${part.conversion}`)
      const spec = part.spec === "" ? "" : render(part.spec, depth - 1)
      // An undefined value has no format of its own.
      const made = value instanceof PyUndefined && spec === "" ? "" : format(value, spec)
      result += markup && !(value instanceof PyMarkup) ? escapeHtml(made) : made
      grow(made.length)
    }
    grow(result.length)
    return result
  }
  return render(source, 2)
}

const asciiRepr = (value: Value): string =>
  repr(value).replace(/[^\0-\x7f]/gu, (char) => {
    const code = char.codePointAt(0) ?? 0
    return code < 256
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : code < 65536
        ? `\\u${code.toString(16).padStart(4, "0")}`
        : `\\U${code.toString(16).padStart(8, "0")}`
  })

/** The names of a mapping, for format_map. */
export const namesOf = (mapping: Value): ((name: string) => Value | undefined) => {
  const dict = dictOf(mapping)
  return (name) => (dict === undefined ? undefined : dictGet(dict, name))
}
