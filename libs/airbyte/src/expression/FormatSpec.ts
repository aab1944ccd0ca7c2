import { PyDate, PyTime } from "./DateTime.ts"
import { exponential, fixed, general, isNegative, shortest } from "./FloatFormat.ts"
import { grow } from "./Meter.ts"
import { reprInt, toFloat } from "./Numbers.ts"
import { PyError, typeError, valueError } from "./PyError.ts"
import { str } from "./Repr.ts"
import { strftime } from "./Strftime.ts"
import { length, points } from "./Text.ts"
import { floatOf, intOf, strOf, typeName, type Value } from "./Value.ts"

interface Spec {
  readonly fill: string
  readonly align: string | undefined
  readonly sign: string
  readonly noNegativeZero: boolean
  readonly alternate: boolean
  readonly zero: boolean
  readonly width: number
  readonly grouping: string | undefined
  readonly precision: number | undefined
  readonly type: string
}

const syntax = /^(?:(.)?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/su

const parse = (text: string, owner: string): Spec => {
  // A fill character is any character before an alignment; without this an alignment could be read as a fill.
  const match = syntax.exec(text)
  if (match === null) {
    if (/\.(?!\d)/.test(text)) throw valueError("Format specifier missing precision")
    throw valueError(`Invalid format specifier '${text}' for object of type '${owner}'`)
  }
  const width = Number(match[7] ?? 0)
  if (width > 2 ** 62) throw valueError("Too many decimal digits in format string")
  grow(width + Number(match[9] ?? 0))
  return {
    fill: match[1] ?? (match[6] === undefined || match[2] !== undefined ? " " : "0"),
    align: match[2] ?? (match[6] === undefined ? undefined : "0"),
    sign: match[3] ?? "",
    noNegativeZero: match[4] !== undefined,
    alternate: match[5] !== undefined,
    zero: match[6] !== undefined,
    width,
    grouping: match[8],
    precision: match[9] === undefined ? undefined : Number(match[9]),
    type: match[10] ?? ""
  }
}

const unknownCode = (type: string, owner: string): PyError =>
  valueError(`Unknown format code '${type}' for object of type '${owner}'`)

const padded = (text: string, spec: Spec, align: string): string => {
  const missing = spec.width - length(text)
  if (missing <= 0) return text
  const left = align === "<" ? 0 : align === "^" ? Math.floor(missing / 2) : missing
  return spec.fill.repeat(left) + text + spec.fill.repeat(missing - left)
}

const formatText = (text: string, source: string): string => {
  const spec = parse(source, "str")
  if (spec.type !== "" && spec.type !== "s") throw unknownCode(spec.type, "str")
  if (spec.sign !== "")
    throw valueError(`${spec.sign === " " ? "Space" : "Sign"} not allowed in string format specifier`)
  if (spec.noNegativeZero) throw valueError("Negative zero coercion (z) not allowed in string format specifier")
  if (spec.alternate) throw valueError("Alternate form (#) not allowed in string format specifier")
  if (spec.align === "=") throw valueError("'=' alignment not allowed in string format specifier")
  if (spec.grouping !== undefined) throw valueError(`Cannot specify '${spec.grouping}' with 's'.`)
  const cut = spec.precision === undefined ? text : points(text).slice(0, spec.precision).join("")
  return padded(cut, spec, spec.align === undefined || spec.align === "0" ? "<" : spec.align)
}

const group = (digits: string, size: number, separator: string): string => {
  let result = ""
  for (let end = digits.length; end > 0; end -= size) {
    const part = digits.slice(Math.max(0, end - size), end)
    result = result === "" ? part : part + separator + result
  }
  return result
}

/** Sign, prefix, digits and the rest put together, grouped and padded. */
const number = (spec: Spec, negative: boolean, prefix: string, body: string, groupSize = 3): string => {
  const sign = negative ? "-" : spec.sign === "+" || spec.sign === " " ? spec.sign : ""
  const end = /^[0-9a-fA-F]*/.exec(body)?.[0].length ?? 0
  const isWord = /^[a-zA-Z]{3}$/.test(body)
  let digits = isWord ? body : groupSize === 3 ? (/^[0-9]*/.exec(body)?.[0] ?? "") : body.slice(0, end)
  const rest = body.slice(digits.length)
  const align = spec.align === undefined ? ">" : spec.align === "0" ? "=" : spec.align
  if (spec.grouping !== undefined && !isWord) {
    if (align === "=" && spec.fill === "0") {
      const room = spec.width - sign.length - prefix.length - rest.length
      let grouped = group(digits, groupSize, spec.grouping)
      while (grouped.length < room) {
        digits = `0${digits}`
        grouped = group(digits, groupSize, spec.grouping)
      }
      digits = grouped
    } else digits = group(digits, groupSize, spec.grouping)
  }
  const text = digits + rest
  if (align === "=") {
    const missing = spec.width - sign.length - prefix.length - text.length
    return sign + prefix + spec.fill.repeat(Math.max(0, missing)) + text
  }
  return padded(sign + prefix + text, spec, align)
}

const formatFloat = (value: number, spec: Spec, owner: string): string => {
  const { precision, alternate } = spec
  const type = spec.type.toLowerCase()
  let text: string
  switch (type) {
    case "":
      text = precision === undefined ? shortest(value) : general(value, precision, alternate, true)
      break
    case "e":
      text = exponential(value, precision ?? 6, alternate)
      break
    case "f":
      text = fixed(value, precision ?? 6) + (alternate && precision === 0 ? "." : "")
      break
    case "n":
    case "g":
      if (type === "n" && spec.grouping !== undefined) throw valueError(`Cannot specify '${spec.grouping}' with 'n'.`)
      text = general(value, precision ?? 6, alternate)
      break
    case "%":
      text = `${fixed(value * 100, precision ?? 6)}${alternate && precision === 0 ? "." : ""}%`
      break
    default:
      throw unknownCode(spec.type, owner)
  }
  if (spec.type !== type) {
    if (spec.type === "N") throw unknownCode("N", owner)
    text = text.toUpperCase()
  }
  const negative = isNegative(value) && !(spec.noNegativeZero && /^[0.]*(e|%|$)/.test(text))
  return number(spec, negative, "", text)
}

const formatInt = (value: number | bigint, spec: Spec): string => {
  const { type } = spec
  if ("eEfFgG%".includes(type) && type !== "") return formatFloat(toFloat(value), spec, "int")
  if (spec.precision !== undefined) throw valueError("Precision not allowed in integer format specifier")
  if (spec.noNegativeZero)
    throw valueError("Negative zero coercion (z) not allowed in format specifier with integer format code")
  const negative = value < 0
  const magnitude = negative ? -BigInt(value) : BigInt(value)
  switch (type) {
    case "":
    case "d":
    case "n":
      if (type === "n" && spec.grouping !== undefined) throw valueError(`Cannot specify '${spec.grouping}' with 'n'.`)
      return number(spec, negative, "", reprInt(magnitude))
    case "b":
    case "o":
    case "x":
    case "X": {
      if (spec.grouping === ",") throw valueError(`Cannot specify ',' with '${type}'.`)
      const radix = type === "b" ? 2 : type === "o" ? 8 : 16
      const digits = magnitude.toString(radix)
      return number(spec, negative, spec.alternate ? `0${type}` : "", type === "X" ? digits.toUpperCase() : digits, 4)
    }
    case "c": {
      if (spec.sign !== "") throw valueError("Sign not allowed with integer format specifier 'c'")
      if (spec.alternate) throw valueError("Alternate form (#) not allowed with integer format specifier 'c'")
      if (spec.grouping !== undefined) throw valueError(`Cannot specify '${spec.grouping}' with 'c'.`)
      if (negative || magnitude > 0x10ffffn) throw new PyError("OverflowError", "%c arg not in range(0x110000)")
      return padded(String.fromCodePoint(Number(value)), spec, spec.align === undefined ? "<" : spec.align)
    }
    default:
      throw unknownCode(type, "int")
  }
}

/** format(value, spec). */
export const format = (value: Value, spec: string): string => {
  if (value instanceof PyDate || value instanceof PyTime) return spec === "" ? str(value) : strftime(value, spec)
  if (spec === "") return str(value)
  const text = strOf(value)
  if (text !== undefined) return formatText(text, spec)
  const real = floatOf(value)
  if (real !== undefined) return formatFloat(real, parse(spec, "float"), "float")
  const whole = intOf(value)
  if (whole !== undefined) return formatInt(whole, parse(spec, "int"))
  throw typeError(`unsupported format string passed to ${typeName(value)}.__format__`)
}
