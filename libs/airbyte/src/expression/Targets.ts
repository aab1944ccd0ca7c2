import type * as Ast from "./Ast.ts"
import { compileExpression } from "./Compiler.ts"
import type { Frame, Names } from "./Frame.ts"
import { iterate, listOf } from "./Iterate.ts"
import { meter } from "./Meter.ts"
import { PyError, typeError, valueError } from "./PyError.ts"
import { outerFrame, type Scope } from "./Scope.ts"
import { PyNamespace, PyTuple, typeName, type Value } from "./Value.ts"

/** What is known while one template is compiled. */
export interface Unit {
  readonly isGlobal: (name: string) => boolean
  /** Names the template needs from its context. */
  readonly undeclared: Set<string>
  readonly blocks: Map<string, (names: Names) => string>
}

export type Setup = (frame: Frame) => void

/** What is done when a frame is entered: its variables get their first values. */
export const enterFrame = (scope: Scope, unit: Unit): Setup => {
  const steps: Array<Setup> = []
  for (const [ident, load] of scope.symbols.loads) {
    const slot = scope.func.slot(ident)
    if (load.action === "resolve") {
      const { name } = load
      if (!unit.isGlobal(name)) unit.undeclared.add(name)
      steps.push((frame) => {
        frame.vars[slot] = frame.names.assigned.has(name) ? frame.names.assigned.get(name) : frame.names.lookup(name)
      })
    } else if (load.action === "alias") {
      const [depth, from] = scope.func.find(load.of)
      steps.push((frame) => {
        frame.vars[slot] = outerFrame(frame, depth).vars[from]
      })
    } else if (load.action === "undefined") {
      steps.push((frame) => {
        frame.vars[slot] = undefined
      })
    }
  }
  const [only] = steps
  if (steps.length === 1 && only !== undefined) return only
  return (frame) => {
    for (const step of steps) step(frame)
  }
}

export const leaveFrame = (scope: Scope): Setup => {
  const slots = [...scope.symbols.loads.keys()].map((ident) => scope.func.slot(ident))
  return (frame) => {
    for (const slot of slots) frame.vars[slot] = undefined
  }
}

export type Assign = (frame: Frame, value: Value) => void

const unpack = (value: Value, count: number): ReadonlyArray<Value> => {
  if (!(value instanceof PyTuple) && !Array.isArray(value)) {
    try {
      iterate(value)
    } catch {
      throw typeError(`cannot unpack non-iterable ${typeName(value)} object`)
    }
  }
  const items = listOf(value)
  if (items.length < count) throw valueError(`not enough values to unpack (expected ${count}, got ${items.length})`)
  if (items.length > count) throw valueError(`too many values to unpack (expected ${count})`)
  return items
}

export const compileTarget = (target: Ast.Target, scope: Scope): Assign => {
  switch (target.kind) {
    case "name": {
      const slot = scope.func.slot(scope.symbols.ref(target.name))
      const { name } = target
      if (scope.toplevel) {
        return (frame, value) => {
          frame.vars[slot] = value
          frame.names.assigned.set(name, value)
        }
      }
      return (frame, value) => {
        frame.vars[slot] = value
      }
    }
    case "namespace": {
      const namespace = compileExpression({ kind: "name", name: target.name, at: target.at }, scope)
      return (frame, value) => {
        const found = namespace(frame)
        if (found instanceof PyNamespace) found.attributes.set(target.attribute, value)
      }
    }
    default: {
      const items = target.items.map((item) => compileTarget(item, scope))
      return (frame, value) => {
        unpack(value, items.length).forEach((item, index) => items[index]?.(frame, item))
      }
    }
  }
}

/** Checks, before anything is assigned, that what is assigned into is a namespace. */
export const checkNamespaces = (target: Ast.Target, scope: Scope): Setup => {
  if (target.kind === "tuple") {
    const checks = target.items.map((item) => checkNamespaces(item, scope))
    return (frame) => {
      for (const check of checks) check(frame)
    }
  }
  if (target.kind === "name") return () => undefined
  const namespace = compileExpression({ kind: "name", name: target.name, at: target.at }, scope)
  return (frame) => {
    meter.at = target.at
    if (!(namespace(frame) instanceof PyNamespace)) {
      throw new PyError("TemplateRuntimeError", "cannot assign attribute on non-namespace object")
    }
  }
}
