import { dictGet, dictOf, PyDict, PySet } from "./Dict.ts"
import { exponential, fixed, general, isNegative } from "./FloatFormat.ts"
import { escapeHtml } from "./Html.ts"
import { grow } from "./Meter.ts"
import { reprInt, toFloat, truncate } from "./Numbers.ts"
import { PyError, typeError, valueError } from "./PyError.ts"
import { repr, str } from "./Repr.ts"
import { length, points } from "./Text.ts"
import { floatOf, intOf, PyMarkup, PyTuple, PyUndefined, strOf, typeName, type Value } from "./Value.ts"

const directive = /%(?:\(((?:[^()]|\([^()]*\))*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?([\s\S])?/g

const ascii = (text: string): string => {
  let result = ""
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    if (code < 128) result += char
    else if (code < 256) result += `\\x${code.toString(16).padStart(2, "0")}`
    else
      result += code < 65536 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`
  }
  return result
}

const integerFor = (value: Value, type: string): number | bigint => {
  const whole = intOf(value)
  if (whole !== undefined) return whole
  const real = floatOf(value)
  if (real !== undefined && "diu".includes(type)) return truncate(real)
  const wanted = "diu".includes(type) ? "a real number" : "an integer"
  throw typeError(`%${type} format: ${wanted} is required, not ${typeName(value)}`)
}

/** `format % values`, printf-style formatting. */
export const printf = (format: string, values: Value, escape = false): string => {
  const positional = values instanceof PyTuple ? values.items : [values]
  const mapping = values instanceof PyTuple ? undefined : dictOf(values)
  let next = 0
  const take = (): Value => {
    const value = positional[next++]
    if (value === undefined) throw typeError("not enough arguments for format string")
    return value
  }
  const size = (text: string | undefined): number | undefined => {
    if (text !== "*") return text === undefined ? undefined : Number(text)
    const value = intOf(take())
    if (value === undefined) throw typeError("* wants int")
    return Number(value)
  }
  let usedMapping = false
  let result = ""
  let from = 0
  for (const match of format.matchAll(directive)) {
    if (match.index < from) continue
    result += format.slice(from, match.index)
    from = match.index + match[0].length
    const [, key, flags = "", widthText, precisionText, type] = match
    let value: Value | undefined
    if (key !== undefined) {
      if (mapping === undefined) throw typeError("format requires a mapping")
      usedMapping = true
      value = dictGet(mapping, key)
      if (value === undefined) throw new PyError("KeyError", repr(key))
    }
    const rawWidth = size(widthText)
    const precision =
      match[0].includes(".") && precisionText === undefined && key === undefined ? 0 : size(precisionText)
    if (type === undefined) throw valueError("incomplete format")
    if (type === "%") {
      result += "%"
      continue
    }
    if (!"diouxXeEfFgGcrsa".includes(type)) {
      throw valueError(`unsupported format character '${type}' (0x${type.charCodeAt(0).toString(16)})`)
    }
    value ??= take()
    const width = Math.abs(rawWidth ?? 0)
    grow(width + (precision ?? 0))
    const left = flags.includes("-") || (rawWidth ?? 0) < 0
    const text = convert(type, value, flags, precision, escape)
    const zeros = flags.includes("0") && !left && !"crsa".includes(type)
    const missing = width - length(text)
    if (missing > 0) {
      const sign = zeros ? (/^[-+ ]?(?:0[xXo])?/.exec(text)?.[0] ?? "") : ""
      result += left
        ? text + " ".repeat(missing)
        : zeros
          ? sign + "0".repeat(missing) + text.slice(sign.length)
          : " ".repeat(missing) + text
    } else result += text
  }
  result += format.slice(from)
  const converted = usedMapping || mapping !== undefined || values instanceof PyDict || values instanceof PySet
  if (next < positional.length && !converted && !Array.isArray(values) && !(values instanceof PyUndefined)) {
    throw typeError("not all arguments converted during string formatting")
  }
  grow(result.length)
  return result
}

const convert = (type: string, value: Value, flags: string, precision: number | undefined, escape: boolean): string => {
  const signed = (negative: boolean): string =>
    negative ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : ""
  switch (type) {
    case "s":
    case "r":
    case "a": {
      const plain = type === "s" ? str(value) : type === "r" ? repr(value) : ascii(repr(value))
      const text = escape && !(value instanceof PyMarkup) ? escapeHtml(plain) : plain
      return precision === undefined ? text : points(text).slice(0, precision).join("")
    }
    case "c": {
      const text = strOf(value)
      if (text !== undefined && length(text) === 1) return text
      const code = intOf(value)
      if (code === undefined) throw typeError("%c requires int or char")
      if (code < 0 || code > 0x10ffff) throw new PyError("OverflowError", "%c arg not in range(0x110000)")
      return String.fromCodePoint(Number(code))
    }
    case "d":
    case "i":
    case "u":
    case "o":
    case "x":
    case "X": {
      const whole = integerFor(value, type)
      const negative = whole < 0
      const magnitude = negative ? -BigInt(whole) : BigInt(whole)
      const radix = type === "o" ? 8 : type === "x" || type === "X" ? 16 : 10
      let digits = radix === 10 ? reprInt(magnitude) : magnitude.toString(radix)
      if (type === "X") digits = digits.toUpperCase()
      digits = digits.padStart(precision ?? 0, "0")
      const prefix = flags.includes("#") ? (radix === 8 ? "0o" : radix === 16 ? `0${type}` : "") : ""
      return signed(negative) + prefix + digits
    }
    default: {
      const whole = intOf(value)
      const real = floatOf(value) ?? (whole === undefined ? undefined : toFloat(whole))
      if (real === undefined) throw typeError(`must be real number, not ${typeName(value)}`)
      const alternate = flags.includes("#")
      const lower = type.toLowerCase()
      let text =
        lower === "f"
          ? fixed(real, precision ?? 6) + (alternate && precision === 0 ? "." : "")
          : lower === "e"
            ? exponential(real, precision ?? 6, alternate)
            : general(real, precision ?? 6, alternate)
      if (type !== lower) text = text.toUpperCase()
      return signed(isNegative(real)) + text
    }
  }
}
