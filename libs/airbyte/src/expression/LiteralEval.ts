import { PyDict, PySet } from "./Dict.ts"
import { unescapeText } from "./Lexer.ts"
import { maxDigits, parseInteger } from "./Numbers.ts"
import { negate, positive } from "./Operators.ts"
import { PyError } from "./PyError.ts"
import { ellipsis, float, floatOf, int, isInt, PyBytes, PyComplex, PyTuple, type Value } from "./Value.ts"

/** Thrown inside when the text is not a literal; never leaves this module. */
class NotLiteral extends Error {}
/** Made once: most texts are no literals, and a stack trace for each would cost more than the rest. */
const notLiteral = new NotLiteral("not a literal")

const maxNesting = 100
const number =
  /(?:0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*\.(?:\d(?:_?\d)*)?|\.\d(?:_?\d)*)(?:[eE][-+]?\d(?:_?\d)*)?[jJ]?|\d(?:_?\d)*[eE][-+]?\d(?:_?\d)*[jJ]?|\d(?:_?\d)*[jJ]?)/y
const prefixed = /([bBrRuU]{0,2})('''|"""|'|")/y
const word = /[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*/y

/** The reader of Python literals. */
class LiteralParser {
  private readonly source: string
  private at = 0
  private nesting = 0

  constructor(source: string) {
    this.source = source
  }

  parse(): Value {
    this.lineStart()
    const value = this.topLevel()
    this.spaces()
    // What may follow on the line is a comment, and after it only empty lines.
    const rest = this.source.slice(this.at)
    if (!/^(?:#[^\n]*)?(?:\n[ \t\f]*(?:#[^\n]*)?)*$/.test(rest)) throw notLiteral
    // A last line of nothing but spaces is an indented line to Python.
    if (/\n(?:[ \t]*\f)*[ \t]+$/.test(rest)) throw notLiteral
    return value
  }

  /** Empty and comment lines before the expression, which may not be indented. */
  private lineStart(): void {
    const blank = /[ \t\f]*(?:#[^\n]*)?\n/y
    for (;;) {
      blank.lastIndex = this.at
      if (!blank.test(this.source)) break
      this.at = blank.lastIndex
    }
    const indent = /^[ \t\f]*/.exec(this.source.slice(this.at))?.[0] ?? ""
    const columns = indent.slice(indent.lastIndexOf("\f") + 1)
    if (columns !== "" || /^\\\n[ \t]/.test(this.source.slice(this.at, this.at + 3))) throw notLiteral
    this.at += indent.length
  }

  private spaces(): void {
    for (;;) {
      const char = this.source.charAt(this.at)
      if (char === " " || char === "\t" || char === "\f") this.at++
      else if (char === "\\" && this.source[this.at + 1] === "\n" && this.at + 2 < this.source.length) this.at += 2
      else if (this.nesting > 0 && char === "\n") this.at++
      else if (this.nesting > 0 && char === "#") {
        while (this.at < this.source.length && this.source[this.at] !== "\n") this.at++
      } else return
    }
  }

  private eat(text: string): boolean {
    this.spaces()
    if (!this.source.startsWith(text, this.at)) return false
    this.at += text.length
    return true
  }

  private topLevel(): Value {
    const first = this.expression()
    if (!this.eat(",")) return first
    const items = [first]
    for (;;) {
      this.spaces()
      if (this.at >= this.source.length || this.source[this.at] === "\n" || this.source[this.at] === "#") break
      items.push(this.expression())
      if (!this.eat(",")) break
    }
    return new PyTuple(items)
  }

  /** A literal, or the sum of a real and an imaginary number. */
  private expression(): Value {
    const left = this.signed()
    this.spaces()
    const operator = this.source.charAt(this.at)
    if (operator !== "+" && operator !== "-") return left
    this.at++
    const right = this.atom()
    if (!(right instanceof PyComplex)) throw notLiteral
    const real = isInt(left) ? Number(left) : floatOf(left)
    if (real === undefined) throw notLiteral
    return new PyComplex(real, operator === "+" ? right.im : -right.im)
  }

  private signed(): Value {
    this.spaces()
    const sign = this.source.charAt(this.at)
    if (sign !== "+" && sign !== "-") return this.atom()
    this.at++
    const value = this.atom()
    if (!isInt(value) && floatOf(value) === undefined && !(value instanceof PyComplex)) throw notLiteral
    return sign === "-" ? negate(value) : positive(value)
  }

  private match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at
    return pattern.exec(this.source) ?? undefined
  }

  private atom(): Value {
    this.spaces()
    const char = this.source.charAt(this.at)
    if (char === "(" || char === "[" || char === "{") return this.container(char)
    const text = this.match(prefixed)
    if (text !== undefined) return this.texts()
    if (this.source.startsWith("...", this.at)) {
      this.at += 3
      return ellipsis
    }
    const digits = this.match(number)
    if (digits !== undefined) return this.number(digits[0])
    const name = this.match(word)?.[0]
    if (name === undefined) throw notLiteral
    this.at += name.length
    if (name === "True") return true
    if (name === "False") return false
    if (name === "None") return null
    if (name === "set" && this.eat("(") && this.eat(")")) return new PySet([])
    throw notLiteral
  }

  private number(text: string): Value {
    this.at += text.length
    // Digits and letters may not run together, except before a keyword, which no literal has.
    if (/[\w.\u0080-\uffff]/.test(this.source.charAt(this.at))) throw notLiteral
    const plain = text.replaceAll("_", "")
    if (/[jJ]$/.test(plain)) return new PyComplex(0, Number(plain.slice(0, -1)))
    if (/^0[xXoObB]/.test(plain)) return int(BigInt(plain.toLowerCase()))
    if (/[.eE]/.test(plain)) return float(Number(plain))
    if (/^0+[1-9]/.test(plain) || plain.length > maxDigits) throw notLiteral
    return parseInteger(plain, 10)
  }

  private texts(): Value {
    let text = ""
    let bytes: boolean | undefined
    for (let match = this.match(prefixed); match !== undefined; match = this.match(prefixed)) {
      const [whole, prefix = "", quote = "'"] = match
      const kind = prefix.toLowerCase()
      if (!["", "b", "r", "u", "br", "rb"].includes(kind)) throw notLiteral
      this.at += whole.length
      const body = this.textBody(quote)
      const isBytes = kind.includes("b")
      if (bytes !== undefined && bytes !== isBytes) throw notLiteral
      bytes = isBytes
      const raw = kind.includes("r")
      if (isBytes && /[^\0-\x7f]/.test(body)) throw notLiteral
      if (raw) text += body
      else if (isBytes) text += unescapeText(body.replace(/\\([uUN])/g, "\\\\$1"), () => notLiteral)
      else text += unescapeText(body, () => notLiteral)
      this.spaces()
    }
    return bytes === true ? new PyBytes(Buffer.from(text, "latin1")) : text
  }

  private textBody(quote: string): string {
    const start = this.at
    for (;;) {
      const char = this.source.charAt(this.at)
      if (char === "") throw notLiteral
      if (char === "\\") {
        this.at += 2
        continue
      }
      if (char === "\n" && quote.length === 1) throw notLiteral
      if (this.source.startsWith(quote, this.at)) {
        this.at += quote.length
        return this.source.slice(start, this.at - quote.length)
      }
      this.at++
    }
  }

  private container(open: string): Value {
    if (++this.nesting > maxNesting) throw notLiteral
    this.at++
    const value = open === "{" ? this.braces() : this.items(open)
    this.nesting--
    return value
  }

  private items(open: string): Value {
    const close = open === "(" ? ")" : "]"
    const items: Array<Value> = []
    let comma = false
    while (!this.eat(close)) {
      if (items.length > 0 && !comma) throw notLiteral
      items.push(this.expression())
      comma = this.eat(",")
    }
    if (open === "[") return items
    const [only] = items
    return items.length === 1 && !comma && only !== undefined ? only : new PyTuple(items)
  }

  private braces(): Value {
    const dict = new PyDict()
    const members: Array<Value> = []
    let comma = false
    let kind: "dict" | "set" | undefined
    while (!this.eat("}")) {
      if (kind !== undefined && !comma) throw notLiteral
      const key = this.expression()
      if (kind !== "set" && this.eat(":")) {
        kind = "dict"
        dict.set(key, this.expression())
      } else {
        if (kind === "dict") throw notLiteral
        kind = "set"
        members.push(key)
      }
      comma = this.eat(",")
    }
    return kind === "set" ? new PySet(members) : dict
  }
}

const start = /^[ \t\n\r\f\\]*[-+\d.'"([{bBrRuUTFNs#]/

/** ast.literal_eval(text): the literal, or undefined when the text is none. */
export const literalEval = (text: string): Value | undefined => {
  if (!start.test(text)) return undefined
  if (text.includes("\0") || !text.isWellFormed()) return undefined
  const source = text.replace(/^[ \t]+/, "")
  try {
    return new LiteralParser(source.includes("\r") ? source.replace(/\r\n|\r/g, "\n") : source).parse()
  } catch (error) {
    if (error instanceof NotLiteral || (error instanceof PyError && error.kind !== "LimitError")) return undefined
    throw error
  }
}
