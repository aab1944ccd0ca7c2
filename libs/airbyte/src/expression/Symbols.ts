import type * as Ast from "./Ast.ts"

/** How a variable gets its value when its frame is entered. */
export type Load =
  | { readonly action: "parameter" }
  | { readonly action: "resolve"; readonly name: string }
  | { readonly action: "alias"; readonly of: string }
  | { readonly action: "undefined" }

/**
 * The variables of one frame, by Jinja's scoping: a loop body, macro or block sees the variables around it and keeps its
 * own assignments to itself; the branches of an `if` belong to the frame around them.
 */
export class Symbols {
  readonly level: number
  readonly parent: Symbols | undefined
  readonly refs: Map<string, string>
  readonly loads: Map<string, Load>
  readonly stores: Set<string>

  constructor(parent?: Symbols, copyOf?: Symbols) {
    this.parent = copyOf === undefined ? parent : copyOf.parent
    this.level = copyOf?.level ?? (parent === undefined ? 0 : parent.level + 1)
    this.refs = new Map(copyOf?.refs)
    this.loads = new Map(copyOf?.loads)
    this.stores = new Set(copyOf?.stores)
  }

  copy(): Symbols {
    return new Symbols(undefined, this)
  }

  findRef(name: string): string | undefined {
    return this.refs.get(name) ?? this.parent?.findRef(name)
  }

  findLoad(ident: string): Load | undefined {
    return this.loads.get(ident) ?? this.parent?.findLoad(ident)
  }

  ref(name: string): string {
    const found = this.findRef(name)
    if (found !== undefined) return found
    this.load(name)
    return `l_${this.level}_${name}`
  }

  private define(name: string, load: Load): string {
    const ident = `l_${this.level}_${name}`
    this.refs.set(name, ident)
    this.loads.set(ident, load)
    return ident
  }

  store(name: string): void {
    this.stores.add(name)
    if (this.refs.has(name)) return
    const outer = this.parent?.findRef(name)
    this.define(name, outer === undefined ? { action: "undefined" } : { action: "alias", of: outer })
  }

  parameter(name: string): string {
    this.stores.add(name)
    return this.define(name, { action: "parameter" })
  }

  load(name: string): void {
    if (this.findRef(name) === undefined) this.define(name, { action: "resolve", name })
  }

  private branches(branches: ReadonlyArray<Symbols>): void {
    const stores = new Set<string>()
    for (const branch of branches) for (const name of branch.stores) if (!this.stores.has(name)) stores.add(name)
    for (const branch of branches) {
      for (const [name, ident] of branch.refs) this.refs.set(name, ident)
      for (const [ident, load] of branch.loads) this.loads.set(ident, load)
      for (const name of branch.stores) this.stores.add(name)
    }
    for (const name of stores) {
      const ident = this.findRef(name)
      if (ident === undefined) continue
      const outer = this.parent?.findRef(name)
      this.loads.set(ident, outer === undefined ? { action: "resolve", name } : { action: "alias", of: outer })
    }
  }

  target(target: Ast.Target, asParameter = false): void {
    switch (target.kind) {
      case "name":
        if (asParameter) this.parameter(target.name)
        else this.store(target.name)
        return
      case "namespace":
        return this.load(target.name)
      default:
        for (const item of target.items) this.target(item, asParameter)
    }
  }

  statements(statements: ReadonlyArray<Ast.Statement>): void {
    for (const statement of statements) this.statement(statement)
  }

  private statement(node: Ast.Statement): void {
    switch (node.kind) {
      case "output":
        return this.expression(node.expression)
      case "if": {
        const visit = (index: number, into: Symbols): void => {
          const branch = node.branches[index]
          if (branch === undefined) return
          // As the generated code of an elif: its test and body are seen inside the first branch's frame.
          into.expression(branch.test)
          const body = into.copy()
          body.statements(branch.body)
          into.branches([body, into.copy(), into.copy()])
        }
        const [first, ...elifs] = node.branches
        if (first === undefined) return
        this.expression(first.test)
        const body = this.copy()
        body.statements(first.body)
        const middle = this.copy()
        elifs.forEach((_, index) => visit(index + 1, middle))
        const otherwise = this.copy()
        otherwise.statements(node.otherwise)
        return this.branches([body, middle, otherwise])
      }
      case "for":
        return this.expression(node.items)
      case "set":
        this.expression(node.value)
        return this.target(node.target)
      case "setblock":
        return this.target(node.target)
      case "with":
        for (const [, value] of node.targets) this.expression(value)
        return
      case "filterblock":
        return this.expression(node.filter)
      case "macro":
        return this.store(node.name)
      case "callblock":
        return this.expression(node.call)
      case "load":
        this.expression(node.template)
        for (const name of node.names) this.store(name)
        return
      default:
    }
  }

  expression(node: Ast.Expression): void {
    eachName(node, (name) => this.load(name))
  }
}

const eachArgument = (args: Ast.Arguments, visit: (node: Ast.Expression) => void): void => {
  for (const arg of args.args) visit(arg)
  for (const [, value] of args.kwargs) visit(value)
  if (args.dynArgs !== undefined) visit(args.dynArgs)
  if (args.dynKwargs !== undefined) visit(args.dynKwargs)
}

/** The expressions directly inside an expression. */
const eachChild = (node: Ast.Expression, visit: (node: Ast.Expression) => void): void => {
  switch (node.kind) {
    case "list":
    case "tuple":
    case "concat":
      return node.items.forEach(visit)
    case "dict":
      for (const [key, value] of node.items) {
        visit(key)
        visit(value)
      }
      return
    case "cond":
      visit(node.test)
      visit(node.value)
      if (node.otherwise !== undefined) visit(node.otherwise)
      return
    case "and":
    case "or":
    case "binary":
      visit(node.left)
      return visit(node.right)
    case "not":
    case "neg":
    case "pos":
      return visit(node.operand)
    case "compare":
      visit(node.first)
      for (const [, operand] of node.rest) visit(operand)
      return
    case "attribute":
      return visit(node.object)
    case "item":
      visit(node.object)
      return visit(node.key)
    case "slice":
      visit(node.object)
      for (const part of [node.start, node.stop, node.step]) if (part !== undefined) visit(part)
      return
    case "call":
      visit(node.callee)
      return eachArgument(node, visit)
    case "filter":
    case "test":
      if (node.operand !== undefined) visit(node.operand)
      return eachArgument(node, visit)
    default:
  }
}

/** Filters that read the context: Jinja does not evaluate them when it compiles. */
export const contextFilters: ReadonlySet<string> = new Set([
  "map",
  "select",
  "reject",
  "selectattr",
  "rejectattr",
  "random"
])

/** Whether there is a slice anywhere in an expression. */
export const hasSlice = (node: Ast.Expression): boolean => {
  const open: Array<Ast.Expression> = [node]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next.kind === "slice") return true
    eachChild(next, (child) => void open.push(child))
  }
  return false
}

/** Every name an expression reads. */
export const eachName = (node: Ast.Expression, visit: (name: string) => void): void => {
  if (node.kind === "name") return visit(node.name)
  // A stack instead of recursion: a sum of thousands of terms is as deep as it is long.
  const open: Array<Ast.Expression> = [node]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next.kind === "name") visit(next.name)
    else {
      const children: Array<Ast.Expression> = []
      eachChild(next, (child) => children.push(child))
      for (let index = children.length - 1; index >= 0; index--) {
        const child = children[index]
        if (child !== undefined) open.push(child)
      }
    }
  }
}

/** Whether the statements read a name anywhere inside them, blocks aside. */
export const reads = (statements: ReadonlyArray<Ast.Statement>, wanted: string): boolean => {
  let found = false
  const expression = (node: Ast.Expression): void => eachName(node, (name) => void (found ||= name === wanted))
  const visit = (node: Ast.Statement): void => {
    switch (node.kind) {
      case "output":
        return expression(node.expression)
      case "if":
        for (const branch of node.branches) {
          expression(branch.test)
          branch.body.forEach(visit)
        }
        return node.otherwise.forEach(visit)
      case "for":
        expression(node.items)
        if (node.test !== undefined) expression(node.test)
        node.body.forEach(visit)
        return node.otherwise.forEach(visit)
      case "set":
        return expression(node.value)
      case "setblock":
        if (node.filter !== undefined) expression(node.filter)
        return node.body.forEach(visit)
      case "with":
        for (const [, value] of node.targets) expression(value)
        return node.body.forEach(visit)
      case "filterblock":
        expression(node.filter)
        return node.body.forEach(visit)
      case "macro":
        node.macro.defaults.forEach(expression)
        return node.macro.body.forEach(visit)
      case "callblock":
        expression(node.call)
        return node.macro.body.forEach(visit)
      case "load":
        return expression(node.template)
      default:
    }
  }
  statements.forEach(visit)
  return found
}

/** Whether a loop assigns to the name anywhere inside it. */
export const assigns = (statements: ReadonlyArray<Ast.Statement>, wanted: string): boolean => {
  const inTarget = (target: Ast.Target): boolean =>
    target.kind === "name" ? target.name === wanted : target.kind === "tuple" && target.items.some(inTarget)
  return statements.some((node) => {
    switch (node.kind) {
      case "if":
        return node.branches.some((branch) => assigns(branch.body, wanted)) || assigns(node.otherwise, wanted)
      case "for":
        return inTarget(node.target) || assigns(node.body, wanted) || assigns(node.otherwise, wanted)
      case "set":
        return inTarget(node.target)
      case "setblock":
        return inTarget(node.target) || assigns(node.body, wanted)
      case "with":
      case "filterblock":
      case "block":
        return assigns(node.body, wanted)
      case "macro":
      case "callblock":
        return assigns(node.macro.body, wanted)
      default:
        return false
    }
  })
}
