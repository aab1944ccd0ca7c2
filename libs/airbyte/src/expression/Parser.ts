import type * as Ast from "./Ast.ts"
import { SyntaxFault, type Token, type TokenType, tokenize } from "./Lexer.ts"
import { meter } from "./Meter.ts"
import { PyError } from "./PyError.ts"

/** Expressions and statements may be nested this deep. */
const maxDepth = 100
/** Operators, filters and subscripts may follow each other this often in one expression. */
const maxChain = 1000

const describe = (token: Token): string => {
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

const compareOperators = new Set(["==", "!=", "<", "<=", ">", ">="])
const isCompare = (text: string): text is Ast.CompareOperator => compareOperators.has(text)
const reserved = new Set(["true", "false", "none", "True", "False", "None"])

/** The parser of expressions and statements: Jinja's grammar. */
class Parser {
  private readonly tokens: ReadonlyArray<Token>
  private index = 0
  private depth = 0
  private readonly endStack: Array<ReadonlyArray<string>> = []

  constructor(tokens: ReadonlyArray<Token>) {
    this.tokens = tokens
  }

  private get current(): Token {
    const token = this.tokens[this.index] ?? this.tokens.at(-1)
    if (token === undefined) throw new SyntaxFault("unexpected end of template", 0)
    return token
  }

  private next(): Token {
    const token = this.current
    if (token.type !== "eof") this.index++
    return token
  }

  private fail(message: string, at = this.current.at): SyntaxFault {
    return new SyntaxFault(message, at)
  }

  private isOperator(text: string): boolean {
    const { type, text: found } = this.current
    return type === "operator" && found === text
  }

  private isName(text: string): boolean {
    const { type, text: found } = this.current
    return type === "name" && found === text
  }

  private skipOperator(text: string): boolean {
    const found = this.isOperator(text)
    if (found) this.next()
    return found
  }

  private skipName(text: string): boolean {
    const found = this.isName(text)
    if (found) this.next()
    return found
  }

  private unexpected(expected: string): SyntaxFault {
    return this.current.type === "eof"
      ? this.fail(`unexpected end of template, expected '${expected}'`)
      : this.fail(`expected token '${expected}', got '${describe(this.current)}'`)
  }

  private expectOperator(text: string): Token {
    if (!this.isOperator(text)) throw this.unexpected(text)
    return this.next()
  }

  private expectType(type: TokenType, label: string): Token {
    if (this.current.type !== type) throw this.unexpected(label)
    return this.next()
  }

  private expectName(text?: string): Token {
    if (this.current.type !== "name" || (text !== undefined && this.current.text !== text)) {
      throw this.unexpected(text ?? "name")
    }
    return this.next()
  }

  private look(): Token {
    return this.tokens[this.index + 1] ?? this.current
  }

  private nested<A>(parse: () => A): A {
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
  private chain(): () => void {
    let links = 0
    return () => {
      if (++links > maxChain) throw this.tooDeep(`more than ${maxChain} operators in a row`)
    }
  }

  template(): ReadonlyArray<Ast.Statement> {
    return this.subparse(undefined)
  }

  private subparse(ends: ReadonlyArray<string> | undefined): ReadonlyArray<Ast.Statement> {
    const body: Array<Ast.Statement> = []
    if (ends !== undefined) this.endStack.push(ends)
    for (;;) {
      const token = this.current
      if (token.type === "eof") break
      this.next()
      if (token.type === "data") body.push({ kind: "data", text: token.text, at: token.at })
      else if (token.type === "variable_begin") {
        body.push({ kind: "output", expression: this.tuple(), at: token.at })
        this.expectType("variable_end", "end of print statement")
      } else {
        if (ends !== undefined && this.current.type === "name" && ends.includes(this.current.text)) break
        body.push(...this.nested(() => this.statement()))
        this.expectType("block_end", "end of statement block")
      }
    }
    if (ends !== undefined) this.endStack.pop()
    return body
  }

  private statements(ends: ReadonlyArray<string>, dropEnd: boolean): ReadonlyArray<Ast.Statement> {
    this.skipOperator(":")
    this.expectType("block_end", "end of statement block")
    const body = this.subparse(ends)
    if (this.current.type === "eof") {
      throw this.fail(
        `Unexpected end of template. Jinja was looking for the following tags: ${ends.map((end) => `'${end}'`).join(" or ")}`
      )
    }
    if (dropEnd) this.next()
    return body
  }

  private statement(): ReadonlyArray<Ast.Statement> {
    const token = this.current
    const { at } = token
    if (token.type !== "name") throw this.fail("tag name expected")
    switch (token.text) {
      case "if":
        return [this.ifStatement()]
      case "for":
        return [this.forStatement()]
      case "set":
        return [this.setStatement()]
      case "with":
        return [this.withStatement()]
      case "macro":
        return [this.macroStatement()]
      case "print":
        return this.printStatement()
      case "block":
        return [this.blockStatement()]
      case "call": {
        this.next()
        const { params, defaults } = this.isOperator("(") ? this.signature() : { params: [], defaults: [] }
        const call = this.expression()
        if (call.kind !== "call") throw this.fail("expected call", at)
        const body = this.statements(["endcall"], true)
        return [{ kind: "callblock", call, macro: { name: undefined, params, defaults, body }, at }]
      }
      case "filter": {
        this.next()
        const filter = this.filters(undefined, true)
        const body = this.statements(["endfilter"], true)
        if (filter?.kind !== "filter") throw this.fail("expected a filter", at)
        return [{ kind: "filterblock", filter, body, at }]
      }
      case "include": {
        this.next()
        const template = this.expression()
        if (this.isName("ignore") && this.look().text === "missing") {
          this.next()
          this.next()
        }
        this.importContext()
        return [{ kind: "load", template, names: [], at }]
      }
      case "import": {
        this.next()
        const template = this.expression()
        this.expectName("as")
        const name = this.assignName()
        this.importContext()
        return [{ kind: "load", template, names: [name], at }]
      }
      case "from":
        return [this.fromStatement()]
      case "extends":
        this.next()
        return [{ kind: "load", template: this.expression(), names: [], at }]
      case "autoescape":
        throw this.fail("the tag 'autoescape' is not supported: expressions do not write HTML")
      default:
        throw this.fail(
          `Encountered unknown tag '${token.text}'${this.endStack.length === 0 ? "" : `, looking for ${this.endStack.at(-1)?.join(" or ")}`}`
        )
    }
  }

  private importContext(): boolean {
    const { text } = this.current
    if ((text === "with" || text === "without") && this.look().text === "context") {
      this.next()
      this.next()
      return true
    }
    return false
  }

  private fromStatement(): Ast.Statement {
    const { at } = this.next()
    const template = this.expression()
    this.expectName("import")
    const names: Array<string> = []
    for (;;) {
      if (names.length > 0) this.expectOperator(",")
      if (this.current.type !== "name") throw this.unexpected("name")
      if (this.importContext()) break
      const name = this.assignName()
      if (name.startsWith("_")) {
        throw new SyntaxFault("names starting with an underline can not be imported", at, "TemplateAssertionError")
      }
      names.push(this.skipName("as") ? this.assignName() : name)
      if (this.importContext() || !this.isOperator(",")) break
    }
    return { kind: "load", template, names, at }
  }

  private ifStatement(): Ast.Statement {
    const { at } = this.next()
    const branches: Array<{ test: Ast.Expression; body: ReadonlyArray<Ast.Statement> }> = []
    for (;;) {
      const test = this.tuple(false)
      const body = this.statements(["elif", "else", "endif"], false)
      branches.push({ test, body })
      const end = this.next()
      if (end.text === "elif") continue
      const otherwise = end.text === "else" ? this.statements(["endif"], true) : []
      return { kind: "if", branches, otherwise, at }
    }
  }

  private forStatement(): Ast.Statement {
    const { at } = this.next()
    const target = this.assignTarget(["in"], false)
    this.expectName("in")
    const items = this.tuple(false, ["recursive"])
    const test = this.skipName("if") ? this.expression() : undefined
    const recursive = this.skipName("recursive")
    const body = this.statements(["endfor", "else"], false)
    const otherwise = this.next().text === "endfor" ? [] : this.statements(["endfor"], true)
    return { kind: "for", target, items, test, recursive, body, otherwise, at }
  }

  private setStatement(): Ast.Statement {
    const { at } = this.next()
    const target = this.assignTarget([], true)
    if (this.skipOperator("=")) return { kind: "set", target, value: this.tuple(), at }
    const filter = this.filters(undefined, false)
    const body = this.statements(["endset"], true)
    return { kind: "setblock", target, filter: filter?.kind === "filter" ? filter : undefined, body, at }
  }

  private withStatement(): Ast.Statement {
    const { at } = this.next()
    const targets: Array<readonly [Ast.Target, Ast.Expression]> = []
    while (this.current.type !== "block_end") {
      if (targets.length > 0) this.expectOperator(",")
      const target = this.assignTarget([], false)
      this.expectOperator("=")
      targets.push([target, this.expression()])
    }
    return { kind: "with", targets, body: this.statements(["endwith"], true), at }
  }

  private blockStatement(): Ast.Statement {
    const { at } = this.next()
    const name = this.expectName().text
    const scoped = this.skipName("scoped")
    const required = this.skipName("required")
    if (this.isOperator("-")) throw this.fail("Block names may not contain hyphens, use an underscore instead")
    const body = this.statements(["endblock"], true)
    if (required && body.some((node) => node.kind !== "data" || !/^\s*$/.test(node.text))) {
      throw this.fail("Required blocks can only contain comments or whitespace")
    }
    this.skipName(name)
    return { kind: "block", name, scoped, body, at }
  }

  private macroStatement(): Ast.Statement {
    const { at } = this.next()
    const name = this.assignName()
    const { params, defaults } = this.signature()
    const body = this.statements(["endmacro"], true)
    return { kind: "macro", name, macro: { name, params, defaults, body }, at }
  }

  private printStatement(): ReadonlyArray<Ast.Statement> {
    const { at } = this.next()
    const body: Array<Ast.Statement> = []
    while (this.current.type !== "block_end") {
      if (body.length > 0) this.expectOperator(",")
      body.push({ kind: "output", expression: this.expression(), at })
    }
    return body
  }

  private signature(): { readonly params: ReadonlyArray<string>; readonly defaults: ReadonlyArray<Ast.Expression> } {
    const params: Array<string> = []
    const defaults: Array<Ast.Expression> = []
    this.expectOperator("(")
    while (!this.isOperator(")")) {
      if (params.length > 0) this.expectOperator(",")
      const name = this.assignName()
      if (this.skipOperator("=")) defaults.push(this.expression())
      else if (defaults.length > 0) throw this.fail("non-default argument follows default argument")
      params.push(name)
    }
    this.expectOperator(")")
    return { params, defaults }
  }

  private assignName(): string {
    const token = this.expectName()
    if (reserved.has(token.text)) throw this.fail("can't assign to 'const'", token.at)
    return token.text
  }

  private assignTarget(ends: ReadonlyArray<string>, namespaces: boolean): Ast.Target {
    const { at } = this.current
    const items: Array<Ast.Target> = []
    let isTuple = false
    for (;;) {
      if (items.length > 0) this.expectOperator(",")
      if (this.atTupleEnd(ends)) break
      items.push(this.targetPart(ends, namespaces))
      if (!this.isOperator(",")) break
      isTuple = true
    }
    const [first] = items
    if (!isTuple && first !== undefined) return first
    if (!isTuple) throw this.fail(`Expected an expression, got '${describe(this.current)}'`)
    return { kind: "tuple", items, at }
  }

  private targetPart(ends: ReadonlyArray<string>, namespaces: boolean): Ast.Target {
    const token = this.current
    if (token.type === "operator" && token.text === "(") {
      this.next()
      const inner = this.tupleTarget(ends)
      this.expectOperator(")")
      return inner
    }
    if (token.type !== "name") {
      const expression = this.primary()
      throw this.fail(`can't assign to '${expression.kind}'`, token.at)
    }
    if (reserved.has(token.text)) throw this.fail("can't assign to 'const'", token.at)
    this.next()
    if (namespaces && this.skipOperator(".")) {
      return { kind: "namespace", name: token.text, attribute: this.expectName().text, at: token.at }
    }
    return { kind: "name", name: token.text, at: token.at }
  }

  private tupleTarget(ends: ReadonlyArray<string>): Ast.Target {
    const { at } = this.current
    if (this.isOperator(")")) return { kind: "tuple", items: [], at }
    return this.nested(() => this.assignTarget(ends, false))
  }

  private atTupleEnd(ends: ReadonlyArray<string>): boolean {
    const { type, text } = this.current
    return (
      type === "variable_end" ||
      type === "block_end" ||
      (type === "operator" && text === ")") ||
      (type === "name" && ends.includes(text))
    )
  }

  private tuple(withCondition = true, ends: ReadonlyArray<string> = [], parentheses = false): Ast.Expression {
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

  private expression(withCondition = true): Ast.Expression {
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

  private primary(): Ast.Expression {
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

  private filters(start: Ast.Expression | undefined, inline: boolean): Ast.Expression | undefined {
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

/** The statements of a template. */
export const parseTemplate = (template: string): ReadonlyArray<Ast.Statement> =>
  new Parser(tokenize(template)).template()
