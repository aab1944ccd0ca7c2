import type * as Ast from "./Ast.ts"
import { compileExpression, compileFilter, constantValue } from "./Compiler.ts"
import { Func, type Scope } from "./Scope.ts"
import { checkNamespaces, compileTarget, enterFrame, leaveFrame, type Unit } from "./Targets.ts"
import type { Evaluate, Execute, Frame, Names, Output } from "./Frame.ts"
import { iterate } from "./Iterate.ts"
import { SyntaxFault } from "./Lexer.ts"
import { PyLoop } from "./Loop.ts"
import { PyMacro } from "./Macro.ts"
import { grow, meter, tick } from "./Meter.ts"
import { PyError, typeError } from "./PyError.ts"
import { str } from "./Repr.ts"
import { assigns, reads, Symbols } from "./Symbols.ts"
import { truthy } from "./Compare.ts"
import { PyAttributes, PyCallable, PyIterator, PyUndefined, type Value } from "./Value.ts"

/** Renderings (macros, recursive loops, blocks) may be inside each other this deep. */
const maxRenderDepth = 200

const render = (body: Execute, frame: Frame): string => {
  if (++meter.depth > maxRenderDepth) throw new PyError("RecursionError", "maximum recursion depth exceeded")
  const output: Output = { text: "" }
  body(frame, output)
  meter.depth--
  return output.text
}

const write = (output: Output, text: string): void => {
  grow(text.length)
  output.text += text
}

const inner = (scope: Scope, func = scope.func): Scope => ({
  symbols: new Symbols(scope.symbols),
  func,
  toplevel: false,
  loop: false,
  soft: false
})

export const compileBody = (body: ReadonlyArray<Ast.Statement>, scope: Scope, unit: Unit): Execute => {
  const steps = body.map((node) => compileStatement(node, scope, unit))
  const [first, second] = steps
  if (first === undefined) return () => undefined
  if (second === undefined) return first
  return (frame, output) => {
    for (const step of steps) step(frame, output)
  }
}

const compileFor = (node: Extract<Ast.Statement, { readonly kind: "for" }>, scope: Scope, unit: Unit): Execute => {
  const func = node.recursive ? new Func(scope.func) : scope.func
  const loopScope: Scope = { ...inner(scope, func), loop: true }
  const extended = node.recursive || reads(node.body, "loop") || hasScopedBlock(node.body)
  const loopSlot = extended ? func.slot(loopScope.symbols.parameter("loop")) : -1
  loopScope.symbols.target(node.target, true)
  loopScope.symbols.statements(node.body)
  const elseScope = inner(scope, func)
  elseScope.symbols.statements(node.otherwise)
  const items = compileExpression(node.items, scope)
  const testFunc = new Func(func)
  const testScope = inner(scope, testFunc)
  testScope.symbols.target(node.target, true)
  if (node.test !== undefined) testScope.symbols.expression(node.test)
  if (extended && assigns([node], "loop")) {
    throw new SyntaxFault("Can't assign to special loop variable in for-loop target", node.at, "TemplateAssertionError")
  }
  if (assigns([node], "loop")) {
    throw new SyntaxFault("Can't assign to special loop variable in for-loop target", node.at, "TemplateAssertionError")
  }
  const enterTest = node.test === undefined ? undefined : enterFrame(testScope, unit)
  const test = node.test === undefined ? undefined : compileExpression(node.test, testScope)
  const testTarget = node.test === undefined ? undefined : compileTarget(node.target, testScope)
  const target = compileTarget(node.target, loopScope)
  const enter = enterFrame(loopScope, unit)
  const body = compileBody(node.body, loopScope, unit)
  const leave = leaveFrame(loopScope)
  const enterElse = enterFrame(elseScope, unit)
  const otherwise = node.otherwise.length === 0 ? undefined : compileBody(node.otherwise, elseScope, unit)
  const leaveElse = leaveFrame(elseScope)

  function* passing(frame: Frame, value: Value): Generator<Value> {
    const own: Frame = { vars: [], parent: frame, names: frame.names }
    enterTest?.(own)
    for (const item of iterate(value)) {
      tick()
      testTarget?.(own, item)
      if (test === undefined || truthy(test(own))) yield item
    }
  }

  const run = (
    frame: Frame,
    value: Value,
    output: Output,
    depth: number,
    recurse: ((value: Value, depth: number) => Value) | undefined
  ): void => {
    const source = test === undefined ? value : new PyIterator(passing(frame, value), "t")
    let empty = true
    if (extended) {
      const loop = new PyLoop(source, depth, recurse)
      for (let item = loop.advance(); item !== undefined; item = loop.advance()) {
        meter.at = node.at
        target(frame, item)
        frame.vars[loopSlot] = loop
        enter(frame)
        body(frame, output)
        empty = false
      }
    } else {
      for (const item of iterate(source)) {
        tick()
        meter.at = node.at
        target(frame, item)
        enter(frame)
        body(frame, output)
        empty = false
      }
    }
    leave(frame)
    if (otherwise !== undefined && empty) {
      enterElse(frame)
      otherwise(frame, output)
      leaveElse(frame)
    }
  }

  if (!node.recursive) {
    return (frame, output) => {
      const value = items(frame)
      meter.at = node.at
      run(frame, value, output, 0, undefined)
    }
  }
  return (frame, output) => {
    const recurse = (value: Value, depth: number): Value =>
      render((own, out) => run(own, value, out, depth, recurse), { vars: [], parent: frame, names: frame.names })
    write(output, str(recurse(items(frame), 0)))
  }
}

const hasScopedBlock = (body: ReadonlyArray<Ast.Statement>): boolean =>
  body.some((node) => node.kind === "block" && node.scoped)

/** The function behind a macro or call block. */
const compileMacro = (macro: Ast.Macro, scope: Scope, unit: Unit, at: number): ((frame: Frame) => PyMacro) => {
  const func = new Func(scope.func)
  const own = inner(scope, func)
  for (const param of macro.params) own.symbols.parameter(param)
  for (const fallback of macro.defaults) own.symbols.expression(fallback)
  own.symbols.statements(macro.body)
  const uses = (name: string): boolean => !macro.params.includes(name) && reads(macro.body, name)
  const caller = uses("caller")
  const kwargs = uses("kwargs")
  const varargs = uses("varargs")
  if (macro.params.includes("caller") && reads(macro.body, "caller")) {
    const index = macro.params.indexOf("caller")
    if (macro.defaults[index - (macro.params.length - macro.defaults.length)] === undefined) {
      throw new SyntaxFault(
        "the special 'caller' argument must be omitted or be given a default",
        at,
        "TemplateAssertionError"
      )
    }
  }
  const special = [caller ? "caller" : "", kwargs ? "kwargs" : "", varargs ? "varargs" : ""].map((name) =>
    name === "" ? -1 : func.slot(own.symbols.parameter(name))
  )
  const slots = macro.params.map((param) => func.slot(own.symbols.ref(param)))
  const enter = enterFrame(own, unit)
  const defaults = macro.defaults.map((fallback) => compileExpression(fallback, own))
  const body = compileBody(macro.body, own, unit)
  return (frame) =>
    new PyMacro(macro.name, macro.params, { caller, kwargs, varargs }, (args, extra) => {
      const local: Frame = { vars: [], parent: frame, names: frame.names }
      slots.forEach((slot, index) => void (local.vars[slot] = args[index]))
      special.forEach((slot, index) => {
        if (slot >= 0) local.vars[slot] = extra[index]
      })
      enter(local)
      slots.forEach((slot, index) => {
        if (local.vars[slot] !== undefined) return
        const fallback = defaults[index - (slots.length - defaults.length)]
        local.vars[slot] =
          fallback === undefined
            ? new PyUndefined(`parameter '${macro.params[index]}' was not provided`)
            : fallback(local)
      })
      return render(body, local)
    })
}

const compileStatement = (node: Ast.Statement, scope: Scope, unit: Unit): Execute => {
  switch (node.kind) {
    case "data": {
      const { text } = node
      return (_, output) => write(output, text)
    }
    case "output": {
      const value = compileOutput(node.expression, scope)
      const at = node.expression.at
      return (frame, output) => {
        const result = value(frame)
        meter.at = at
        write(output, str(result))
      }
    }
    case "if": {
      const soft = { ...scope, symbols: scope.symbols.copy(), soft: true }
      const branches = node.branches.map((branch) => ({
        test: compileExpression(branch.test, soft),
        body: compileBody(branch.body, soft, unit)
      }))
      const otherwise = compileBody(node.otherwise, soft, unit)
      return (frame, output) => {
        tick()
        for (const branch of branches) {
          if (truthy(branch.test(frame))) return branch.body(frame, output)
        }
        return otherwise(frame, output)
      }
    }
    case "for":
      return compileFor(node, scope, unit)
    case "set": {
      const check = checkNamespaces(node.target, scope)
      const value = compileExpression(node.value, scope)
      const assign = compileTarget(node.target, scope)
      return (frame) => {
        tick()
        check(frame)
        const result = value(frame)
        meter.at = node.at
        assign(frame, result)
      }
    }
    case "setblock": {
      const own = inner(scope)
      own.symbols.statements(node.body)
      const enter = enterFrame(own, unit)
      const body = compileBody(node.body, own, unit)
      const leave = leaveFrame(own)
      let text = ""
      const value: Evaluate = node.filter === undefined ? () => text : compileFilter(node.filter, () => text, own)
      const assign = compileTarget(node.target, scope)
      return (frame) => {
        enter(frame)
        text = render(body, frame)
        assign(frame, value(frame))
        leave(frame)
      }
    }
    case "with": {
      const own = inner(scope)
      for (const [target] of node.targets) own.symbols.target(target, true)
      own.symbols.statements(node.body)
      const enter = enterFrame(own, unit)
      const targets = node.targets.map(
        ([target, value]) => [compileTarget(target, own), compileExpression(value, scope)] as const
      )
      const body = compileBody(node.body, own, unit)
      const leave = leaveFrame(own)
      return (frame, output) => {
        enter(frame)
        for (const [assign, value] of targets) assign(frame, value(frame))
        body(frame, output)
        leave(frame)
      }
    }
    case "filterblock": {
      const own = inner(scope)
      own.symbols.expression(node.filter)
      own.symbols.statements(node.body)
      const enter = enterFrame(own, unit)
      const body = compileBody(node.body, own, unit)
      let text = ""
      const value = compileFilter(node.filter, () => text, own)
      const leave = leaveFrame(own)
      return (frame, output) => {
        enter(frame)
        text = render(body, frame)
        write(output, str(value(frame)))
        leave(frame)
      }
    }
    case "macro": {
      const macro = compileMacro(node.macro, scope, unit, node.at)
      const assign = compileTarget({ kind: "name", name: node.name, at: node.at }, scope)
      return (frame) => assign(frame, macro(frame))
    }
    case "callblock": {
      const macro = compileMacro(node.macro, scope, unit, node.at)
      const own = { ...inner(scope) }
      const slot = own.func.slot(own.symbols.parameter("\0caller"))
      const caller: Ast.Expression = { kind: "name", name: "\0caller", at: node.at }
      const value = compileExpression({ ...node.call, kwargs: [...node.call.kwargs, ["caller", caller]] }, own)
      return (frame, output) => {
        frame.vars[slot] = macro(frame)
        write(output, str(value(frame)))
      }
    }
    case "block":
      return compileBlock(node, scope, unit)
    default: {
      const template = compileExpression(node.template, scope)
      return (frame) => {
        template(frame)
        meter.at = node.at
        throw typeError("no loader for this environment specified")
      }
    }
  }
}

/** Jinja evaluates an output of constants when it compiles it, whatever is in the parts that are not reached. */
const compileOutput = (node: Ast.Expression, scope: Scope): Evaluate => {
  const value = constantValue(node, scope)
  if (value === undefined) return compileExpression(node, scope)
  try {
    const text = str(value)
    return () => text
  } catch (error) {
    if (error instanceof PyError) return compileExpression(node, scope)
    throw error
  }
}

const compileBlock = (node: Extract<Ast.Statement, { readonly kind: "block" }>, scope: Scope, unit: Unit): Execute => {
  if (unit.blocks.has(node.name)) {
    throw new SyntaxFault(`block '${node.name}' defined twice`, node.at, "TemplateAssertionError")
  }
  const symbols = new Symbols()
  symbols.statements(node.body)
  const own: Scope = { symbols, func: new Func(undefined), toplevel: false, loop: false, soft: false }
  unit.blocks.set(node.name, () => "")
  const enter = enterFrame(own, unit)
  const body = compileBody(node.body, own, unit)
  const run = (names: Names): string => {
    const frame: Frame = { vars: [], parent: undefined, names }
    enter(frame)
    return render(body, frame)
  }
  unit.blocks.set(node.name, run)
  if (!node.scoped) return (frame, output) => write(output, run(frame.names))
  const locals = new Map<string, Evaluate>()
  for (let level: Symbols | undefined = scope.symbols; level !== undefined; level = level.parent) {
    for (const name of level.stores) {
      if (!locals.has(name)) locals.set(name, compileExpression({ kind: "name", name, at: node.at }, scope))
    }
  }
  return (frame, output) => {
    const assigned = new Map(frame.names.assigned)
    for (const [name, value] of locals) {
      const found = value(frame)
      if (!(found instanceof PyUndefined)) assigned.set(name, found)
    }
    write(output, run({ assigned, lookup: frame.names.lookup }))
  }
}

/** `self`: the blocks of the template, to be called. */
class PySelf extends PyAttributes {
  readonly type = "TemplateReference"
  private readonly unit: Unit
  private readonly names: Names
  constructor(unit: Unit, names: Names) {
    super()
    this.unit = unit
    this.names = names
  }
  attribute(name: string): Value | undefined {
    const block = this.unit.blocks.get(name)
    return block === undefined ? undefined : new PyCallable(name, () => block(this.names))
  }
  repr(): string {
    return "<TemplateReference None>"
  }
}

/** The function that renders a template. */
export const compileTemplate = (body: ReadonlyArray<Ast.Statement>, unit: Unit): ((names: Names) => string) => {
  const scope: Scope = { symbols: new Symbols(), func: new Func(undefined), toplevel: true, loop: false, soft: false }
  const self = reads(body, "self") ? scope.func.slot(scope.symbols.parameter("self")) : -1
  scope.symbols.statements(body)
  const enter = enterFrame(scope, unit)
  const run = compileBody(body, scope, unit)
  return (names) => {
    const frame: Frame = { vars: [], parent: undefined, names }
    enter(frame)
    if (self >= 0) frame.vars[self] = new PySelf(unit, names)
    const output: Output = { text: "" }
    run(frame, output)
    return output.text
  }
}
