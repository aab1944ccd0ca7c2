import type * as Ast from "./Ast.ts"
import { getAttribute, getItem, getSlice } from "./Attributes.ts"
import { truthy } from "./Compare.ts"
import { hashKey, PyDict } from "./Dict.ts"
import {
  applied,
  comparison,
  methodCall,
  missing,
  namedOf,
  type Passed,
  positionalOf,
  valueCall
} from "./Evaluations.ts"
import { filters } from "./FilterTable.ts"
import type { Evaluate, Frame } from "./Frame.ts"
import { SyntaxFault } from "./Lexer.ts"
import { grow, meter } from "./Meter.ts"
import { binary, negate, positive } from "./Operators.ts"
import { PyError, typeError } from "./PyError.ts"
import { str } from "./Repr.ts"
import { outerFrame, type Scope } from "./Scope.ts"
import { contextFilters, hasSlice } from "./Symbols.ts"
import { tests } from "./Tests.ts"
import { PyIterator, PyTuple, PyUndefined, type Value } from "./Value.ts"

/** What is not constant, in an expression tried as a constant. */
const impossible = (): Value => {
  throw new PyError("RuntimeError", "not a constant")
}

const compileName = (name: string, scope: Scope): Evaluate => {
  if (scope.constant === true) return impossible
  const ident = scope.symbols.ref(name)
  const [depth, slot] = scope.func.find(ident)
  const message = `'${name}' is undefined`
  if (depth === 0) {
    return (frame) => {
      const value = frame.vars[slot]
      return value === undefined ? new PyUndefined(message) : value
    }
  }
  return (frame) => {
    const value = outerFrame(frame, depth).vars[slot]
    return value === undefined ? new PyUndefined(message) : value
  }
}

const compileOptional = (node: Ast.Expression | undefined, scope: Scope): Evaluate | undefined =>
  node === undefined ? undefined : compileExpression(node, scope)

const compileArgs = (node: Ast.Arguments, scope: Scope) =>
  positionalOf(
    node.args.map((arg) => compileExpression(arg, scope)),
    compileOptional(node.dynArgs, scope)
  )

const compilePassed = (node: Ast.Arguments, scope: Scope): Passed => {
  const args = compileArgs(node, scope)
  const named = node.kwargs.map(([name, value]) => [name, compileExpression(value, scope)] as const)
  return { args, kwargs: namedOf(named, compileOptional(node.dynKwargs, scope)) }
}

const compileCall = (node: Ast.CallNode, scope: Scope): Evaluate => {
  if (scope.constant === true) return impossible
  const passed = compilePassed(node, scope)
  const { at, callee } = node
  return callee.kind === "attribute"
    ? methodCall(compileExpression(callee.object, scope), callee.name, passed, callee.at)
    : valueCall(compileExpression(callee, scope), passed, at)
}

/** A filter applied to a value that is given apart, as a block's text is. */
export const compileFilter = (node: Ast.FilterNode, operand: Evaluate, scope: Scope): Evaluate => {
  const { name, at } = node
  const filter = filters.get(name)
  const inner = node.operand
  const input =
    inner === undefined
      ? operand
      : inner.kind === "filter"
        ? compileFilter(inner, operand, scope)
        : compileExpression(inner, scope)
  if (filter === undefined) {
    if (!scope.soft) throw new SyntaxFault(`No filter named '${name}'.`, at, "TemplateAssertionError")
    return missing(`No filter named '${name}' found.`, input, compileArgs(node, scope), at)
  }
  if (scope.constant === true && contextFilters.has(name)) return impossible
  return applied(filter, input, compilePassed(node, scope), at)
}

const compileTest = (node: Extract<Ast.Expression, { readonly kind: "test" }>, scope: Scope): Evaluate => {
  const { name, at } = node
  const test = tests.get(name)
  const operand = compileExpression(node.operand, scope)
  if (test === undefined) {
    if (!scope.soft) throw new SyntaxFault(`No test named '${name}'.`, at, "TemplateAssertionError")
    return missing(`No test named '${name}' found.`, operand, compileArgs(node, scope), at)
  }
  return applied(test, operand, compilePassed(node, scope), at)
}

const compileCompare = (node: Extract<Ast.Expression, { readonly kind: "compare" }>, scope: Scope): Evaluate =>
  comparison(
    compileExpression(node.first, scope),
    node.rest.map(([operator, operand]) => [operator, compileExpression(operand, scope), operand.at] as const)
  )

const compileItem = (object: Evaluate, key: Evaluate, at: number): Evaluate => {
  return (frame) => {
    const self = object(frame)
    const index = key(frame)
    meter.at = at
    return getItem(self, index)
  }
}

/** Jinja evaluates constant entries when it compiles: a key that cannot be one fails then, reached or not. */
const checkKeys = (items: ReadonlyArray<readonly [Ast.Expression, Ast.Expression]>, scope: Scope, at: number): void => {
  for (const [key, value] of items) {
    const name = constantValue(key, scope)
    if (name === undefined || constantValue(value, scope) === undefined) return
    try {
      hashKey(name)
    } catch (error) {
      throw error instanceof PyError ? new SyntaxFault(error.message, at, "TypeError") : error
    }
  }
}

/** The function that evaluates an expression. */
export const compileExpression = (node: Ast.Expression, outer: Scope): Evaluate => {
  if (outer.constant === true) return compileNode(node, outer)
  if (outer.folded === true && outer.sliced !== true) return compileNode(node, outer)
  if (unfolded.has(node.kind)) return compileNode(node, outer)
  const sliced = outer.sliced ?? hasSlice(node)
  const scope = { ...outer, folded: true, sliced }
  const strict = compileNode(node, scope)
  if (scope.constant === true || !sliced || !hasSlice(node)) return strict
  const value = constantValue(node, scope)
  if (value === undefined || value instanceof PyUndefined || value instanceof PyIterator) return strict
  return compileNode(node, constantScope(scope))
}

/** Expressions Jinja does not try to evaluate when it compiles, unless they are part of one that it does. */
const unfolded: ReadonlySet<Ast.Expression["kind"]> = new Set(["const", "name", "list", "tuple", "dict", "slicevalue"])

const constantScope = (scope: Scope): Scope => ({ ...scope, constant: true, soft: true, folded: false })

const noFrame: Frame = { vars: [], parent: undefined, names: { assigned: new Map(), lookup: () => undefined } }

/** The value of an expression that is made of constants, as Jinja finds it when it compiles; undefined for any other. */
export const constantValue = (node: Ast.Expression, scope: Scope): Value | undefined => {
  try {
    return compileNode(node, constantScope(scope))(noFrame)
  } catch (error) {
    if (error instanceof PyError) return undefined
    throw error
  }
}

const compileNode = (node: Ast.Expression, scope: Scope): Evaluate => {
  const { at } = node
  switch (node.kind) {
    case "const": {
      const { value } = node
      return () => value
    }
    case "name":
      return compileName(node.name, scope)
    case "list": {
      const items = node.items.map((item) => compileExpression(item, scope))
      return (frame) => {
        grow(items.length)
        return items.map((item) => item(frame))
      }
    }
    case "tuple": {
      const items = node.items.map((item) => compileExpression(item, scope))
      return (frame) => new PyTuple(items.map((item) => item(frame)))
    }
    case "dict": {
      if (scope.folded === true) checkKeys(node.items, scope, at)
      const items = node.items.map(
        ([key, value]) => [compileExpression(key, scope), compileExpression(value, scope)] as const
      )
      return (frame) => {
        // All keys and values are evaluated before the first key is looked at.
        const entries = items.map(([key, value]) => [key(frame), value(frame)] as const)
        meter.at = at
        return PyDict.of(entries)
      }
    }
    case "cond": {
      const soft = { ...scope, soft: true }
      const test = compileExpression(node.test, soft)
      const value = compileExpression(node.value, soft)
      const otherwise = node.otherwise === undefined ? undefined : compileExpression(node.otherwise, soft)
      const nothing: Evaluate =
        scope.constant === true
          ? impossible
          : () => new PyUndefined("the inline if-expression evaluated to false and no else section was defined.")
      const last = otherwise ?? nothing
      return (frame) => (truthy(test(frame)) ? value(frame) : last(frame))
    }
    case "and": {
      const left = compileExpression(node.left, scope)
      const right = compileExpression(node.right, scope)
      return (frame) => {
        const value = left(frame)
        return truthy(value) ? right(frame) : value
      }
    }
    case "or": {
      const left = compileExpression(node.left, scope)
      const right = compileExpression(node.right, scope)
      return (frame) => {
        const value = left(frame)
        return truthy(value) ? value : right(frame)
      }
    }
    case "not": {
      const operand = compileExpression(node.operand, scope)
      return (frame) => !truthy(operand(frame))
    }
    case "neg":
    case "pos": {
      const operand = compileExpression(node.operand, scope)
      const apply = node.kind === "neg" ? negate : positive
      return (frame) => {
        const value = operand(frame)
        meter.at = at
        return apply(value)
      }
    }
    case "binary": {
      const left = compileExpression(node.left, scope)
      const right = compileExpression(node.right, scope)
      const apply = binary[node.operator]
      return (frame) => {
        const a = left(frame)
        const b = right(frame)
        meter.at = at
        return apply(a, b)
      }
    }
    case "concat": {
      const items = node.items.map((item) => compileExpression(item, scope))
      return (frame) => {
        let text = ""
        const values = items.map((item) => item(frame))
        meter.at = at
        for (const value of values) {
          const part = str(value)
          grow(part.length)
          text += part
        }
        return text
      }
    }
    case "compare":
      return compileCompare(node, scope)
    case "attribute": {
      const object = compileExpression(node.object, scope)
      const { name } = node
      return (frame) => {
        const self = object(frame)
        meter.at = at
        return getAttribute(self, name)
      }
    }
    case "item":
      return compileItem(compileExpression(node.object, scope), compileExpression(node.key, scope), at)
    case "slice": {
      const object = compileExpression(node.object, scope)
      const [start, stop, step] = [node.start, node.stop, node.step].map((part) =>
        part === undefined ? undefined : compileExpression(part, scope)
      )
      return (frame) => {
        const self = object(frame)
        const [from, to, by] = [start?.(frame), stop?.(frame), step?.(frame)]
        meter.at = at
        if (scope.constant !== true) return getSlice(self, from, to, by)
        try {
          return getSlice(self, from, to, by)
        } catch (error) {
          if (error instanceof PyError && error.is("TypeError")) return new PyUndefined("a value that cannot be sliced")
          throw error
        }
      }
    }
    case "slicevalue":
      return () => {
        throw typeError("a slice cannot be one of several keys")
      }
    case "call":
      return compileCall(node, scope)
    case "filter":
      return compileFilter(
        node,
        () => {
          throw new PyError("TemplateRuntimeError", "a filter without a value")
        },
        scope
      )
    default:
      return compileTest(node, scope)
  }
}
