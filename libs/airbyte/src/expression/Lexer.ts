import { PyError } from "./PyError.ts"
import { float } from "./Value.ts"
import { parseInteger } from "./Numbers.ts"
import { isSpaceAt, trimEnd } from "./Text.ts"
import type { Value } from "./Value.ts"

export type TokenType =
  | "data"
  | "variable_begin"
  | "variable_end"
  | "block_begin"
  | "block_end"
  | "name"
  | "string"
  | "number"
  | "operator"
  | "eof"

export interface Token {
  readonly type: TokenType
  /** The text of a name or operator, the content of data or of a string. */
  readonly text: string
  readonly value: Value
  /** Offset in the template. */
  readonly at: number
}

/** A fault in a template, with its offset. */
export class SyntaxFault extends PyError {
  readonly at: number
  constructor(
    message: string,
    at: number,
    kind: "TemplateSyntaxError" | "TemplateAssertionError" | "TypeError" = "TemplateSyntaxError"
  ) {
    super(kind, message)
    this.at = at
  }
}

const operators = [
  "**",
  "//",
  "==",
  "!=",
  ">=",
  "<=",
  "+",
  "-",
  "*",
  "/",
  "%",
  "~",
  "[",
  "]",
  "(",
  ")",
  "{",
  "}",
  ">",
  "<",
  "=",
  ".",
  ":",
  "|",
  ",",
  ";"
]
const closing: { readonly [open: string]: string } = { "(": ")", "[": "]", "{": "}" }

const floating = /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy
const integer = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy
const nameStart = /[\p{XID_Start}_]/u
const name = /[\p{L}\p{N}\p{M}\p{Pc}\u00b7\u0387\u1369-\u1371\u19da]+/uy
const stringLiteral = /'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y

const simpleEscapes: { readonly [char: string]: string } = {
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\n": ""
}

/** The text of a string literal, with Python's escapes. `onBad` says what is wrong with one that cannot be read. */
export const unescapeText = (source: string, onBad: (message: string) => Error): string => {
  if (!source.includes("\\")) return source
  let result = ""
  for (let at = 0; at < source.length; at++) {
    const char = source.charAt(at)
    if (char !== "\\") {
      result += char
      continue
    }
    const next = source.charAt(++at)
    if (next === "") throw onBad("\\ at end of string")
    const simple = simpleEscapes[next]
    const octal = /^[0-7]{1,3}/.exec(source.slice(at, at + 3))?.[0]
    if (octal !== undefined) {
      result += String.fromCharCode(Number.parseInt(octal, 8))
      at += octal.length - 1
    } else if (simple !== undefined) result += simple
    else if (next === "x" || next === "u" || next === "U") {
      const size = next === "x" ? 2 : next === "u" ? 4 : 8
      const digits = source.slice(at + 1, at + 1 + size)
      if (digits.length < size || !/^[0-9a-fA-F]+$/.test(digits)) {
        throw onBad(`truncated \\${next}${"X".repeat(size)} escape`)
      }
      const code = Number.parseInt(digits, 16)
      if (code > 0x10ffff) throw onBad("illegal Unicode character")
      result += String.fromCodePoint(code)
      at += size
    } else if (next === "N") throw onBad("\\N{...} escapes are not supported: write the character or its \\u code")
    else result += `\\${next}`
  }
  return result
}

type State = "variable" | "block"

/** The tokens of a template, in Jinja's default syntax. */
export const tokenize = (template: string): ReadonlyArray<Token> => {
  // Line ends are normalized, and one at the very end is dropped, as Jinja does.
  let source = template
  if (source.includes("\r")) source = source.replace(/\r\n|\r/g, "\n")
  if (source.endsWith("\n")) source = source.slice(0, -1)
  const tokens: Array<Token> = []
  const push = (type: TokenType, text: string, at: number, value: Value = null): void => {
    tokens.push({ type, text, value, at })
  }
  const skipSpace = (from: number): number => {
    let end = from
    while (isSpaceAt(source, end)) end++
    return end
  }
  let at = 0
  while (at < source.length) {
    const open = nextTag(source, at)
    if (open < 0) {
      push("data", source.slice(at), at)
      break
    }
    const kind = source.charAt(open + 1)
    const raw = kind === "%" ? rawBegin(source, open) : undefined
    const control = source.charAt(open + 2)
    const sign = raw === undefined ? (control === "-" || control === "+" ? control : "") : raw.sign
    const data = sign === "-" ? trimEnd(source.slice(at, open)) : source.slice(at, open)
    if (data !== "") push("data", data, at)
    if (raw !== undefined) {
      at = rawBody(source, raw.end, open, push)
    } else if (kind === "#") {
      at = comment(source, open + 2 + sign.length, open)
    } else {
      at = open + 2 + sign.length
      push(kind === "{" ? "variable_begin" : "block_begin", "", open)
      at = code(source, at, kind === "{" ? "variable" : "block", push, skipSpace)
    }
  }
  push("eof", "", source.length)
  return tokens
}

const nextTag = (source: string, from: number): number => {
  for (let at = source.indexOf("{", from); at >= 0; at = source.indexOf("{", at + 1)) {
    const next = source.charAt(at + 1)
    if (next === "{" || next === "%" || next === "#") return at
  }
  return -1
}

const rawOpen = /\{%([-+]?)\s*raw\s*(?:-%\}\s*|%\})/y
const rawClose = /\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\})/g

const rawBegin = (source: string, at: number): { readonly end: number; readonly sign: string } | undefined => {
  rawOpen.lastIndex = at
  const match = rawOpen.exec(source)
  return match === null ? undefined : { end: rawOpen.lastIndex, sign: match[1] ?? "" }
}

const rawBody = (
  source: string,
  from: number,
  open: number,
  push: (type: TokenType, text: string, at: number) => void
): number => {
  rawClose.lastIndex = from
  const match = rawClose.exec(source)
  // A tag that is opened at the very end is let pass, as Jinja does.
  if (match === null && from >= source.length) return from
  if (match === null) throw new SyntaxFault("Missing end of raw directive", open)
  const data = source.slice(from, match.index)
  const kept = match[1] === "-" ? trimEnd(data) : data
  if (kept !== "") push("data", kept, from)
  return match.index + match[0].length
}

const commentEnd = /\+#\}|-#\}\s*|#\}/g

const comment = (source: string, from: number, open: number): number => {
  commentEnd.lastIndex = from
  const match = commentEnd.exec(source)
  if (match === null && from >= source.length) return from
  if (match === null) throw new SyntaxFault("Missing end of comment tag", open)
  return match.index + match[0].length
}

const sticky = (pattern: RegExp, source: string, at: number): string | undefined => {
  pattern.lastIndex = at
  return pattern.exec(source)?.[0]
}

const code = (
  source: string,
  from: number,
  state: State,
  push: (type: TokenType, text: string, at: number, value?: Value) => void,
  skipSpace: (from: number) => number
): number => {
  const open: Array<string> = []
  let at = from
  const close = state === "variable" ? "}}" : "%}"
  for (;;) {
    if (at >= source.length) return at
    if (open.length === 0) {
      const control = source.charAt(at)
      const signed = control === "-" || (control === "+" && state === "block")
      if (source.startsWith(close, at) || (signed && source.startsWith(close, at + 1))) {
        push(state === "variable" ? "variable_end" : "block_end", "", at)
        const end = at + 2 + (signed ? 1 : 0)
        return control === "-" ? skipSpace(end) : end
      }
    }
    if (isSpaceAt(source, at)) {
      at = skipSpace(at)
      continue
    }
    const real = sticky(floating, source, at)
    if (real !== undefined) {
      push("number", real, at, float(Number(real.replaceAll("_", ""))))
      at += real.length
      continue
    }
    const whole = sticky(integer, source, at)
    if (whole !== undefined) {
      push("number", whole, at, literalInteger(whole, at))
      at += whole.length
      continue
    }
    const word = sticky(name, source, at)
    if (word !== undefined) {
      if (!nameStart.test(word.slice(0, 2)) && !nameStart.test(word.charAt(0))) {
        throw new SyntaxFault("Invalid character in identifier", at)
      }
      push("name", word, at)
      at += word.length
      continue
    }
    const literal = sticky(stringLiteral, source, at)
    if (literal !== undefined) {
      const start = at
      const text = unescapeText(literal.slice(1, -1), (message) => new SyntaxFault(message, start))
      push("string", text, at)
      at += literal.length
      continue
    }
    const operator = operators.find((candidate) => source.startsWith(candidate, at))
    if (operator === undefined) {
      throw new SyntaxFault(`unexpected char '${String.fromCodePoint(source.codePointAt(at) ?? 0)}'`, at)
    }
    const closer = closing[operator]
    if (closer !== undefined) open.push(closer)
    else if (operator === ")" || operator === "]" || operator === "}") {
      const expected = open.pop()
      if (expected === undefined) throw new SyntaxFault(`unexpected '${operator}'`, at)
      if (expected !== operator) throw new SyntaxFault(`unexpected '${operator}', expected '${expected}'`, at)
    }
    push("operator", operator, at)
    at += operator.length
  }
}

const literalInteger = (text: string, at: number): Value => {
  try {
    return parseInteger(text.replaceAll("_", ""), 0)
  } catch (error) {
    if (error instanceof PyError) throw new PyError("ValueError", `${error.message} at ${at}`)
    throw error
  }
}
