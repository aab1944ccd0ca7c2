import { SyntaxFault, type Token, type TokenType } from "./Lexer.ts"
import { meter } from "./Meter.ts"
import { PyError } from "./PyError.ts"

/** Expressions and statements may be nested this deep. */
const maxDepth = 100
/** Operators, filters and subscripts may follow each other this often in one expression. */
const maxChain = 1000

/** How Jinja names a token in its messages. */
export const describe = (token: Token): string => {
  switch (token.type) {
    case "eof":
      return "end of template"
    case "variable_begin":
      return "begin of print statement"
    case "variable_end":
      return "end of print statement"
    case "block_begin":
      return "begin of statement block"
    case "block_end":
      return "end of statement block"
    case "data":
      return "template data / text"
    case "string":
      return "string"
    default:
      return token.text
  }
}

/** Walks over the tokens of a template, and counts how deep what is read of them is nested. */
export class TokenReader {
  private readonly tokens: ReadonlyArray<Token>
  private index = 0
  private depth = 0

  constructor(tokens: ReadonlyArray<Token>) {
    this.tokens = tokens
  }

  protected get current(): Token {
    const token = this.tokens[this.index] ?? this.tokens.at(-1)
    if (token === undefined) throw new SyntaxFault("unexpected end of template", 0)
    return token
  }

  protected next(): Token {
    const token = this.current
    if (token.type !== "eof") this.index++
    return token
  }

  protected fail(message: string, at = this.current.at): SyntaxFault {
    return new SyntaxFault(message, at)
  }

  protected isOperator(text: string): boolean {
    const { type, text: found } = this.current
    return type === "operator" && found === text
  }

  protected isName(text: string): boolean {
    const { type, text: found } = this.current
    return type === "name" && found === text
  }

  protected skipOperator(text: string): boolean {
    const found = this.isOperator(text)
    if (found) this.next()
    return found
  }

  protected skipName(text: string): boolean {
    const found = this.isName(text)
    if (found) this.next()
    return found
  }

  protected unexpected(expected: string): SyntaxFault {
    return this.current.type === "eof"
      ? this.fail(`unexpected end of template, expected '${expected}'`)
      : this.fail(`expected token '${expected}', got '${describe(this.current)}'`)
  }

  protected expectOperator(text: string): Token {
    if (!this.isOperator(text)) throw this.unexpected(text)
    return this.next()
  }

  protected expectType(type: TokenType, label: string): Token {
    if (this.current.type !== type) throw this.unexpected(label)
    return this.next()
  }

  protected expectName(text?: string): Token {
    if (this.current.type !== "name" || (text !== undefined && this.current.text !== text)) {
      throw this.unexpected(text ?? "name")
    }
    return this.next()
  }

  protected look(): Token {
    return this.tokens[this.index + 1] ?? this.current
  }

  protected nested<A>(parse: () => A): A {
    if (++this.depth > maxDepth) throw this.tooDeep(`nested deeper than ${maxDepth} levels`)
    const result = parse()
    this.depth--
    return result
  }

  private tooDeep(message: string): PyError {
    meter.at = this.current.at
    return new PyError("RecursionError", message)
  }

  /** Counts the links of a chain such as `a + b + c`, which is as deep as it is long. */
  protected chain(): () => void {
    let links = 0
    return () => {
      if (++links > maxChain) throw this.tooDeep(`more than ${maxChain} operators in a row`)
    }
  }
}
