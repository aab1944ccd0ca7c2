/** How calls, filters, tests and comparisons are evaluated, made of their compiled parts. */
import type { CompareOperator } from "./Ast.ts"
import { call, callMethod, getAttribute } from "./Attributes.ts"
import { compare, equals } from "./Compare.ts"
import { dictEntries, dictOf } from "./Dict.ts"
import type { Filter } from "./FilterTypes.ts"
import type { Evaluate, Frame } from "./Frame.ts"
import { contains, iterate } from "./Iterate.ts"
import { meter, tick } from "./Meter.ts"
import { PyError, typeError } from "./PyError.ts"
import { type Kwargs, noKwargs, PyUndefined, strOf, type Value } from "./Value.ts"

type EvaluateArgs = (frame: Frame) => ReadonlyArray<Value>

/** What is passed to a call, a filter or a test. */
export interface Passed {
  readonly args: EvaluateArgs
  /** By name; undefined where nothing is. */
  readonly kwargs: ((frame: Frame) => Kwargs) | undefined
}

const noArgs: ReadonlyArray<Value> = []

/** Arguments by position, and those that `*` unpacks. */
export const positionalOf = (args: ReadonlyArray<Evaluate>, dynamic: Evaluate | undefined): EvaluateArgs => {
  const [first, second] = args
  if (dynamic !== undefined) {
    return (frame) => {
      const values = args.map((arg) => arg(frame))
      for (const value of iterate(dynamic(frame))) {
        tick()
        values.push(value)
      }
      return values
    }
  }
  if (first === undefined) return () => noArgs
  if (second === undefined) return (frame) => [first(frame)]
  return (frame) => args.map((arg) => arg(frame))
}

/** Arguments by name, and those that `**` unpacks. */
export const namedOf = (
  pairs: ReadonlyArray<readonly [name: string, value: Evaluate]>,
  dynamic: Evaluate | undefined
): Passed["kwargs"] => {
  if (pairs.length === 0 && dynamic === undefined) return undefined
  return (frame) => {
    const kwargs = new Map<string, Value>()
    for (const [name, value] of pairs) {
      if (kwargs.has(name)) throw new PyError("TemplateSyntaxError", `keyword argument repeated: ${name}`)
      kwargs.set(name, value(frame))
    }
    if (dynamic !== undefined) {
      const value = dynamic(frame)
      const mapping = dictOf(value)
      if (mapping === undefined && value instanceof PyUndefined) throw value.error()
      if (mapping === undefined) throw typeError("argument after ** must be a mapping")
      for (const [key, item] of dictEntries(mapping)) {
        const name = strOf(key)
        if (name === undefined) throw typeError("keywords must be strings")
        if (kwargs.has(name)) throw typeError(`got multiple values for keyword argument '${name}'`)
        kwargs.set(name, item)
      }
    }
    return kwargs
  }
}

/** A method's call; `at` is where its name stands. */
export const methodCall = (object: Evaluate, name: string, { args, kwargs }: Passed, at: number): Evaluate => {
  return (frame) => {
    const self = object(frame)
    // The attribute is looked up before the arguments are evaluated: what fails there fails first.
    if (self instanceof PyUndefined) {
      meter.at = at
      getAttribute(self, name)
    }
    const values = args(frame)
    const named = kwargs === undefined ? noKwargs : kwargs(frame)
    meter.at = at
    return callMethod(self, name, values, named)
  }
}

/** The call of a value. */
export const valueCall = (target: Evaluate, { args, kwargs }: Passed, at: number): Evaluate => {
  return (frame) => {
    const value = target(frame)
    const values = args(frame)
    const named = kwargs === undefined ? noKwargs : kwargs(frame)
    meter.at = at
    return call(value, values, named)
  }
}

/** A filter or test applied to a value. */
export const applied = (filter: Filter, input: Evaluate, { args, kwargs }: Passed, at: number): Evaluate => {
  return (frame) => {
    const value = input(frame)
    const values = args(frame)
    const named = kwargs === undefined ? noKwargs : kwargs(frame)
    meter.at = at
    tick()
    return filter(value, values, named)
  }
}

/** A filter or test that is not there: a failure when it is reached, after its parts were evaluated. */
export const missing = (message: string, input: Evaluate, args: EvaluateArgs, at: number): Evaluate => {
  return (frame) => {
    input(frame)
    args(frame)
    meter.at = at
    throw new PyError("TemplateRuntimeError", message)
  }
}

const compareOnce = (operator: CompareOperator, left: Value, right: Value): boolean => {
  switch (operator) {
    case "==":
      return equals(left, right)
    case "!=":
      return !equals(left, right)
    case "in":
      return contains(right, left)
    case "not in":
      return !contains(right, left)
    default:
      return compare(left, right, operator)
  }
}

/** A comparison, or a chain of them: what comes after the first that is false is not evaluated. */
export const comparison = (
  first: Evaluate,
  rest: ReadonlyArray<readonly [operator: CompareOperator, operand: Evaluate, at: number]>
): Evaluate => {
  const [only] = rest
  if (only !== undefined && rest.length === 1) {
    const [operator, operand, at] = only
    return (frame) => {
      const left = first(frame)
      const right = operand(frame)
      meter.at = at
      return compareOnce(operator, left, right)
    }
  }
  return (frame) => {
    let left = first(frame)
    for (const [operator, operand, at] of rest) {
      const right = operand(frame)
      meter.at = at
      if (!compareOnce(operator, left, right)) return false
      left = right
    }
    return true
  }
}
