import type * as Ast from "./Ast.ts"
import { ExpressionParser } from "./ExpressionParser.ts"
import { SyntaxFault, tokenize } from "./Lexer.ts"
import { describe } from "./TokenReader.ts"

const reserved = new Set(["true", "false", "none", "True", "False", "None"])

/** The parser of statements: Jinja's grammar. */
class Parser extends ExpressionParser {
  private readonly endStack: Array<ReadonlyArray<string>> = []

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
}

/** The statements of a template. */
export const parseTemplate = (template: string): ReadonlyArray<Ast.Statement> =>
  new Parser(tokenize(template)).template()
