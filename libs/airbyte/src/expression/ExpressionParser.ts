import type * as Ast from "./Ast.ts"
import type { Token } from "./Lexer.ts"
import { describe, TokenReader } from "./TokenReader.ts"

const compareOperators = new Set(["==", "!=", "<", "<=", ">", ">="])
const isCompare = (text: string): text is Ast.CompareOperator => compareOperators.has(text)

/** The parser of expressions: Jinja's grammar. */
export class ExpressionParser extends TokenReader {
  protected atTupleEnd(ends: ReadonlyArray<string>): boolean {
    const { type, text } = this.current
    return (
      type === "variable_end" ||
      type === "block_end" ||
      (type === "operator" && text === ")") ||
      (type === "name" && ends.includes(text))
    )
  }

  protected tuple(withCondition = true, ends: ReadonlyArray<string> = [], parentheses = false): Ast.Expression {
    const { at } = this.current
    const items: Array<Ast.Expression> = []
    let isTuple = false
    for (;;) {
      if (items.length > 0) this.expectOperator(",")
      if (this.atTupleEnd(ends)) break
      items.push(this.expression(withCondition))
      if (!this.isOperator(",")) break
      isTuple = true
    }
    const [first] = items
    if (!isTuple && first !== undefined) return first
    if (!isTuple && !parentheses) throw this.fail(`Expected an expression, got '${describe(this.current)}'`)
    return { kind: "tuple", items, at }
  }

  protected expression(withCondition = true): Ast.Expression {
    return this.nested(() => (withCondition ? this.condition() : this.or()))
  }

  private condition(): Ast.Expression {
    const { at } = this.current
    let value = this.or()
    const link = this.chain()
    while (this.skipName("if")) {
      link()
      const test = this.or()
      const otherwise = this.skipName("else") ? this.nested(() => this.condition()) : undefined
      value = { kind: "cond", test, value, otherwise, at }
    }
    return value
  }

  private or(): Ast.Expression {
    let left = this.and()
    const link = this.chain()
    while (this.isName("or")) {
      link()
      const { at } = this.next()
      left = { kind: "or", left, right: this.and(), at }
    }
    return left
  }

  private and(): Ast.Expression {
    let left = this.not()
    const link = this.chain()
    while (this.isName("and")) {
      link()
      const { at } = this.next()
      left = { kind: "and", left, right: this.not(), at }
    }
    return left
  }

  private not(): Ast.Expression {
    if (!this.isName("not")) return this.compare()
    const { at } = this.next()
    return { kind: "not", operand: this.nested(() => this.not()), at }
  }

  private compare(): Ast.Expression {
    const { at } = this.current
    const first = this.sum()
    const rest: Array<readonly [Ast.CompareOperator, Ast.Expression]> = []
    for (;;) {
      const { type, text } = this.current
      if (type === "operator" && isCompare(text)) {
        this.next()
        rest.push([text, this.sum()])
      } else if (this.skipName("in")) rest.push(["in", this.sum()])
      else if (this.isName("not") && this.look().type === "name" && this.look().text === "in") {
        this.next()
        this.next()
        rest.push(["not in", this.sum()])
      } else break
    }
    return rest.length === 0 ? first : { kind: "compare", first, rest, at }
  }

  private sum(): Ast.Expression {
    let left = this.concat()
    const link = this.chain()
    while (this.isOperator("+") || this.isOperator("-")) {
      link()
      const { at, text } = this.next()
      left = { kind: "binary", operator: text === "+" ? "+" : "-", left, right: this.concat(), at }
    }
    return left
  }

  private concat(): Ast.Expression {
    const { at } = this.current
    const first = this.product()
    if (!this.isOperator("~")) return first
    const items = [first]
    while (this.skipOperator("~")) items.push(this.product())
    return { kind: "concat", items, at }
  }

  private product(): Ast.Expression {
    let left = this.power()
    const link = this.chain()
    for (;;) {
      link()
      const { type, text, at } = this.current
      if (type !== "operator" || (text !== "*" && text !== "/" && text !== "//" && text !== "%")) return left
      this.next()
      left = { kind: "binary", operator: text, left, right: this.power(), at }
    }
  }

  private power(): Ast.Expression {
    let left = this.unary(true)
    const link = this.chain()
    while (this.isOperator("**")) {
      link()
      const { at } = this.next()
      left = { kind: "binary", operator: "**", left, right: this.unary(true), at }
    }
    return left
  }

  private unary(withFilter: boolean): Ast.Expression {
    const { at } = this.current
    let node: Ast.Expression
    if (this.skipOperator("-")) node = { kind: "neg", operand: this.nested(() => this.unary(false)), at }
    else if (this.skipOperator("+")) node = { kind: "pos", operand: this.nested(() => this.unary(false)), at }
    else node = this.primary()
    node = this.postfix(node)
    return withFilter ? this.filterExpression(node) : node
  }

  protected primary(): Ast.Expression {
    const token = this.current
    const { at } = token
    switch (token.type) {
      case "name":
        this.next()
        if (token.text === "true" || token.text === "True") return { kind: "const", value: true, at }
        if (token.text === "false" || token.text === "False") return { kind: "const", value: false, at }
        if (token.text === "none" || token.text === "None") return { kind: "const", value: null, at }
        return { kind: "name", name: token.text, at }
      case "string": {
        let text = this.next().text
        while (this.current.type === "string") text += this.next().text
        return { kind: "const", value: text, at }
      }
      case "number":
        return { kind: "const", value: this.next().value, at }
      case "operator":
        if (token.text === "(") {
          this.next()
          const inner = this.nested(() => this.tuple(true, [], true))
          this.expectOperator(")")
          return inner
        }
        if (token.text === "[") return { kind: "list", items: this.nested(() => this.listItems()), at }
        if (token.text === "{") return { kind: "dict", items: this.nested(() => this.dictItems()), at }
        throw this.fail(`unexpected '${token.text}'`)
      default:
        throw this.fail(`unexpected '${describe(token)}'`)
    }
  }

  private listItems(): ReadonlyArray<Ast.Expression> {
    this.next()
    const items: Array<Ast.Expression> = []
    while (!this.isOperator("]")) {
      if (items.length > 0) this.expectOperator(",")
      if (this.isOperator("]")) break
      items.push(this.expression())
    }
    this.expectOperator("]")
    return items
  }

  private dictItems(): ReadonlyArray<readonly [Ast.Expression, Ast.Expression]> {
    this.next()
    const items: Array<readonly [Ast.Expression, Ast.Expression]> = []
    while (!this.isOperator("}")) {
      if (items.length > 0) this.expectOperator(",")
      if (this.isOperator("}")) break
      const key = this.expression()
      this.expectOperator(":")
      items.push([key, this.expression()])
    }
    this.expectOperator("}")
    return items
  }

  private postfix(start: Ast.Expression): Ast.Expression {
    let node = start
    const link = this.chain()
    for (;;) {
      link()
      if (this.isOperator(".") || this.isOperator("[")) node = this.subscript(node)
      else if (this.isOperator("(")) node = this.callOf(node)
      else return node
    }
  }

  private filterExpression(start: Ast.Expression): Ast.Expression {
    let node = start
    const link = this.chain()
    for (;;) {
      link()
      if (this.isOperator("|")) node = this.filters(node, false) ?? node
      else if (this.isName("is")) node = this.test(node)
      else if (this.isOperator("(")) node = this.callOf(node)
      else return node
    }
  }

  private callOf(callee: Ast.Expression): Ast.Expression {
    const { at } = this.current
    return { kind: "call", callee, at, ...this.callArguments() }
  }

  private subscript(object: Ast.Expression): Ast.Expression {
    const { at, text } = this.next()
    if (text === ".") {
      const token = this.next()
      if (token.type === "name") return { kind: "attribute", object, name: token.text, at }
      if (token.type !== "number" || typeof token.value !== "number" || !Number.isSafeInteger(token.value)) {
        throw this.fail("expected name or number", token.at)
      }
      return { kind: "item", object, key: { kind: "const", value: token.value, at: token.at }, at }
    }
    const keys: Array<Ast.Expression> = []
    while (!this.isOperator("]")) {
      if (keys.length > 0) this.expectOperator(",")
      keys.push(this.subscribed(object, at))
    }
    this.expectOperator("]")
    const [first] = keys
    if (keys.length === 1 && first !== undefined)
      return first.kind === "slice" && first.object === object ? first : { kind: "item", object, key: first, at }
    const items = keys.map((key): Ast.Expression =>
      key.kind === "slice" && key.object === object ? { kind: "slicevalue", at } : key
    )
    return { kind: "item", object, key: { kind: "tuple", items, at }, at }
  }

  private subscribed(object: Ast.Expression, at: number): Ast.Expression {
    let start: Ast.Expression | undefined
    if (!this.isOperator(":")) {
      start = this.expression()
      if (!this.isOperator(":")) return start
    }
    this.next()
    const part = (): Ast.Expression | undefined =>
      this.isOperator("]") || this.isOperator(",") || this.isOperator(":") ? undefined : this.expression()
    const stop = part()
    const step = this.skipOperator(":") ? part() : undefined
    return { kind: "slice", object, start, stop, step, at }
  }

  private callArguments(): Ast.Arguments {
    const { at } = this.expectOperator("(")
    const args: Array<Ast.Expression> = []
    const kwargs: Array<readonly [string, Ast.Expression]> = []
    let dynArgs: Ast.Expression | undefined
    let dynKwargs: Ast.Expression | undefined
    const ensure = (condition: boolean): void => {
      if (!condition) throw this.fail("invalid syntax for function call expression", at)
    }
    let comma = false
    while (!this.isOperator(")")) {
      if (comma) {
        this.expectOperator(",")
        if (this.isOperator(")")) break
      }
      if (this.skipOperator("*")) {
        ensure(dynArgs === undefined && dynKwargs === undefined)
        dynArgs = this.expression()
      } else if (this.skipOperator("**")) {
        ensure(dynKwargs === undefined)
        dynKwargs = this.expression()
      } else if (this.current.type === "name" && this.look().type === "operator" && this.look().text === "=") {
        ensure(dynKwargs === undefined)
        const { text } = this.next()
        this.next()
        kwargs.push([text, this.expression()])
      } else {
        ensure(dynArgs === undefined && dynKwargs === undefined && kwargs.length === 0)
        args.push(this.expression())
      }
      comma = true
    }
    this.expectOperator(")")
    return { args, kwargs, dynArgs, dynKwargs }
  }

  private dottedName(): Token {
    const token = this.expectName()
    let { text } = token
    while (this.skipOperator(".")) text += `.${this.expectName().text}`
    return { ...token, text }
  }

  protected filters(start: Ast.Expression | undefined, inline: boolean): Ast.Expression | undefined {
    let node = start
    let first = inline
    const link = this.chain()
    while (this.isOperator("|") || first) {
      link()
      if (!first) this.next()
      first = false
      const { text, at } = this.dottedName()
      const args = this.isOperator("(") ? this.callArguments() : noArguments
      node = { kind: "filter", name: text, operand: node, at, ...args }
    }
    return node
  }

  private test(operand: Ast.Expression): Ast.Expression {
    const { at } = this.next()
    const negated = this.skipName("not")
    const name = this.dottedName().text
    let args: Ast.Arguments = noArguments
    const { type, text } = this.current
    if (this.isOperator("(")) args = this.callArguments()
    else if (
      (type === "name" && text !== "else" && text !== "or" && text !== "and") ||
      type === "string" ||
      type === "number" ||
      (type === "operator" && (text === "[" || text === "{"))
    ) {
      if (this.isName("is")) throw this.fail("You cannot chain multiple tests with is")
      args = { ...noArguments, args: [this.nested(() => this.postfix(this.primary()))] }
    }
    const node: Ast.Expression = { kind: "test", name, operand, at, ...args }
    return negated ? { kind: "not", operand: node, at } : node
  }
}

const noArguments: Ast.Arguments = { args: [], kwargs: [], dynArgs: undefined, dynKwargs: undefined }
