import type { Environment } from "../expression/CompiledTemplate.ts"
import {
  interpolate,
  interpolateBoolean,
  interpolateMapping,
  interpolateNested,
  interpolateString,
  type ValidType
} from "../expression/Interpolation.ts"
import { dictEntries, dictOf } from "../expression/Dict.ts"
import { literalEval } from "../expression/LiteralEval.ts"
import { str } from "../expression/Repr.ts"
import { type Context, type PlainDict, PyTuple, type Value } from "../expression/Value.ts"
import type { Slice } from "./Slice.ts"

/** What a slice and a page token add to the context of a request's expressions. */
export const requestContext = (slice: Slice | undefined, token: PlainDict | undefined): Context => ({
  stream_slice: slice?.value ?? null,
  next_page_token: token ?? null,
  ...slice?.extra
})

/** A key of a dict as JSON has it. */
export const keyText = (key: Value): string =>
  key === null ? "null" : typeof key === "boolean" ? String(key) : str(key)

/** Dicts and tuples that an expression made, as data that a record can hold; all else as it is. */
export const toData = (value: Value): Value => {
  if (Array.isArray(value)) return value.map(toData)
  if (value instanceof PyTuple) return value.items.map(toData)
  const dict = dictOf(value)
  if (dict === undefined) return value
  return Object.fromEntries(dictEntries(dict).map(([key, item]): [string, Value] => [keyText(key), toData(item)]))
}

const hasTemplate = /\{[{%#]/

/** Evaluates the templates of one manifest with one config. Throws an `ExpressionError`. */
export class Expressions {
  readonly config: PlainDict | null
  readonly environment: Environment
  private readonly constants = new Map<string, Value>()
  constructor(config: PlainDict | null, environment: Environment) {
    this.config = config
    this.environment = environment
  }

  /** The same without a config, which is None to its expressions. */
  get withoutConfig(): Expressions {
    this.bareOnes ??= new Expressions(null, this.environment)
    return this.bareOnes
  }
  private bareOnes: Expressions | undefined

  private context(parameters: PlainDict, extra: Context | undefined): Context {
    return { config: this.config, parameters, ...extra }
  }

  /** A template with its own text as the fallback, as most settings have it. */
  value(template: Value, parameters: PlainDict, extra?: Context, validTypes?: ReadonlyArray<ValidType>): Value {
    if (typeof template !== "string") return template
    if (!hasTemplate.test(template) && validTypes === undefined && !template.includes("stream_state")) {
      const known = this.constants.get(template)
      if (known !== undefined) return known
      const literal = template === "" ? "" : literalEval(template)
      const constant = literal === undefined ? template : literal
      // What can be changed is made anew each time.
      if (typeof constant !== "object" || constant === null) this.constants.set(template, constant)
      return constant
    }
    const context = this.context(parameters, extra)
    if (validTypes === undefined) return interpolateString(template, context, this.environment)
    return interpolate(template, context, this.environment, { fallback: template, validTypes })
  }

  /** The value as text. */
  text(template: Value, parameters: PlainDict, extra?: Context): string {
    return str(this.value(template, parameters, extra))
  }

  /** A text whose fallback is the empty one: a body that is one template. */
  body(template: string, parameters: PlainDict, extra?: Context): Value {
    // As in the CDK, an empty fallback is none, and the template stands for itself.
    return interpolate(template, this.context(parameters, extra), this.environment, { fallback: template })
  }

  condition(template: string | boolean, parameters: PlainDict, extra?: Context): boolean {
    return interpolateBoolean(template, this.context(parameters, extra), this.environment)
  }

  mapping(
    template: PlainDict,
    parameters: PlainDict,
    extra?: Context,
    validTypes?: ReadonlyArray<ValidType>
  ): ReadonlyArray<readonly [Value, Value]> {
    return dictEntries(interpolateMapping(template, this.context(parameters, extra), this.environment, validTypes))
  }

  nested(template: Value, parameters: PlainDict, extra?: Context): Value {
    return interpolateNested(template, this.context(parameters, extra), this.environment)
  }
}
