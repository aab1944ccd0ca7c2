import { type CompiledTemplate, compileExpression, type Environment } from "./CompiledTemplate.ts"
import { equals } from "./Compare.ts"
import { dictEntries, dictOf, PyDict, PySet } from "./Dict.ts"
import { ExpressionError } from "./ExpressionError.ts"
import { literalEval } from "./LiteralEval.ts"
import { floatOf, intOf, PyComplex, PyTuple, strOf, type Context, type Value } from "./Value.ts"

/** Types a value may be limited to: a literal of another type stays the text it is written as. */
export type ValidType = "str" | "int" | "float" | "bool" | "list" | "dict"

export interface InterpolationOptions {
  /** Evaluated when the template gives nothing or meets something undefined. */
  readonly fallback?: string | undefined
  readonly validTypes?: ReadonlyArray<ValidType> | undefined
}

/** Old names of the stream slice. */
const aliases: { readonly [alias: string]: string } = {
  stream_interval: "stream_slice",
  stream_partition: "stream_slice"
}

const failure = (template: string, kind: string, reason: string): ExpressionError =>
  new ExpressionError({ kind, expression: template, line: 1, column: 1, reason })

const aliasNames = Object.keys(aliases)

const refuseAliases = (template: string, context: Context): void => {
  for (const alias of aliasNames) {
    if (Object.hasOwn(context, alias)) {
      throw failure(template, "ValueError", `found the reserved name ${alias} in the context`)
    }
  }
}

/** The context with the old names, where the template reads one of them. */
const withAliases = (compiled: CompiledTemplate, context: Context): Context => {
  if (!aliasNames.some((alias) => compiled.undeclared.has(alias))) return context
  const slice = Object.hasOwn(context, "stream_slice") ? context["stream_slice"] : undefined
  return slice === undefined ? context : { ...context, stream_interval: slice, stream_partition: slice }
}

const refuseUnknown = (template: string, compiled: CompiledTemplate, context: Context): void => {
  for (const name of compiled.undeclared) {
    if (Object.hasOwn(context, name)) continue
    const known = Object.keys(context).join(", ")
    throw failure(template, "ValueError", `the name ${name} is not known here; known are ${known}`)
  }
}

const isValid = (value: Value, types: ReadonlyArray<ValidType> | undefined): boolean => {
  if (types === undefined || types.length === 0) return !(value instanceof PyComplex)
  return types.some((type) => {
    switch (type) {
      case "str":
        return strOf(value) !== undefined
      case "int":
        return intOf(value) !== undefined
      case "float":
        return floatOf(value) !== undefined
      case "bool":
        return typeof value === "boolean"
      case "list":
        return Array.isArray(value)
      default:
        return dictOf(value) !== undefined
    }
  })
}

const literal = (text: string, types: ReadonlyArray<ValidType> | undefined): Value => {
  const value = literalEval(text)
  return value !== undefined && isValid(value, types) ? value : text
}

/** The rendered text; a template that fails with a TypeError stands for itself, as the CDK has it. */
const render = (template: string, context: Context, environment: Environment): string => {
  try {
    const compiled = compileExpression(template)
    const names = withAliases(compiled, context)
    refuseUnknown(template, compiled, names)
    return compiled.render(names, environment)
  } catch (error) {
    if (error instanceof ExpressionError && error.kind === "TypeError") return template
    throw error
  }
}

/**
 * Evaluates a template as the CDK's `JinjaInterpolation` does: the context is `config` and what else is given, the
 * rendered text is read as a Python literal where it is one, and the fallback stands in for nothing.
 *
 * Throws an `ExpressionError`.
 */
export const interpolate = (
  template: string,
  context: Context,
  environment: Environment,
  options: InterpolationOptions = {}
): Value => {
  const { fallback, validTypes } = options
  refuseAliases(template, context)
  if (template.includes("stream_state")) {
    throw failure(
      template,
      "UnsupportedInterpolation",
      "`stream_state` is no longer supported for interpolation. Use `stream_interval` instead"
    )
  }
  try {
    const text = render(template, context, environment)
    if (text !== "") return literal(text, validTypes)
  } catch (error) {
    if (!(error instanceof ExpressionError) || error.kind !== "UndefinedError") throw error
  }
  return fallback === undefined ? null : literal(render(fallback, context, environment), validTypes)
}

/** A template whose own text stands in when it gives nothing: the CDK's `InterpolatedString`. */
export const interpolateString = (
  template: string,
  context: Context,
  environment: Environment,
  fallback?: string
): Value =>
  interpolate(template, context, environment, {
    fallback: fallback === undefined || fallback === "" ? template : fallback
  })

const falseValues: ReadonlyArray<Value> = [
  "False",
  "false",
  "{}",
  "[]",
  "()",
  "",
  "0",
  "0.0",
  {},
  false,
  null,
  [],
  new PyTuple([]),
  new PySet([])
]

/** A condition: the CDK's `InterpolatedBoolean`. Anything but the values that stand for false is true. */
export const interpolateBoolean = (
  condition: string | boolean,
  context: Context,
  environment: Environment
): boolean => {
  if (typeof condition === "boolean") return condition
  const value = interpolate(condition, context, environment, { fallback: "False" })
  return !isFalse(value)
}

/** Whether what a condition came to is taken for false. */
export const isFalse = (value: Value): boolean => falseValues.some((candidate) => equals(value, candidate))

/** A mapping whose keys and text values are templates: the CDK's `InterpolatedMapping`. */
export const interpolateMapping = (
  mapping: { readonly [name: string]: Value },
  context: Context,
  environment: Environment,
  validTypes?: ReadonlyArray<ValidType>,
  validKeyTypes: ReadonlyArray<ValidType> = ["str"]
): PyDict =>
  PyDict.of(
    Object.entries(mapping).map(([name, value]) => [
      interpolate(name, context, environment, { validTypes: validKeyTypes }),
      typeof value === "string" ? interpolate(value, context, environment, { validTypes }) : value
    ])
  )

/** Values nested in mappings and lists, each text a template: the CDK's `InterpolatedNestedMapping`. */
export const interpolateNested = (value: Value, context: Context, environment: Environment): Value => {
  if (typeof value === "string") return interpolate(value, context, environment)
  if (Array.isArray(value)) return value.map((item) => interpolateNested(item, context, environment))
  const dict = dictOf(value)
  if (dict === undefined) return value
  const result = PyDict.of(
    dictEntries(dict).map(([key, item]) => [
      interpolateNested(key, context, environment),
      interpolateNested(item, context, environment)
    ])
  )
  // Entries that come out as None are left out.
  for (const [hash, [, item]] of result.entries) if (item === null) result.entries.delete(hash)
  return result
}
