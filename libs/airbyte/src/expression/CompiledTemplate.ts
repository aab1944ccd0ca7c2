import type { ManifestHooks } from "../component/Hooks.ts"
import type { Statement } from "./Ast.ts"
import { compileTemplate } from "./Statements.ts"
import { ExpressionError } from "./ExpressionError.ts"
import { registerFilters } from "./Filters.ts"
import { globals } from "./Globals.ts"
import { SyntaxFault } from "./Lexer.ts"
import { literalEval } from "./LiteralEval.ts"
import { defaultLimits, enter, leave, meter, type Limits } from "./Meter.ts"
import { parseTemplate } from "./Parser.ts"
import { PyError } from "./PyError.ts"
import { type Ports, withPorts } from "./Ports.ts"
import type { Context, Value } from "./Value.ts"

registerFilters()

/** What an evaluation needs besides its context. */
export interface Environment {
  readonly ports: Ports
  /** Bounds on the work of one evaluation; the defaults are far above what a manifest needs. */
  readonly limits?: Limits
  /** What stands for the manifest's components in Python. */
  readonly hooks?: ManifestHooks | undefined
}

const place = (template: string, offset: number): { readonly line: number; readonly column: number } => {
  const before = template.slice(0, offset)
  const start = before.lastIndexOf("\n") + 1
  return { line: before.split("\n").length, column: before.length - start + 1 }
}

/** The error for an exception met in a template. */
const errorOf = (template: string, cause: unknown): ExpressionError => {
  // Too deep a recursion of the host is a bound like the others.
  const error = cause instanceof RangeError ? new PyError("RecursionError", "nested too deep") : cause
  if (!(error instanceof PyError)) throw cause
  const offset = error instanceof SyntaxFault ? error.at : meter.at
  return new ExpressionError({
    kind: error.kind,
    expression: template,
    ...place(template, offset),
    reason: error.message
  })
}

/** A template, compiled once and evaluated any number of times. */
export class CompiledTemplate {
  readonly template: string
  /** Names the template reads from its context, whatever path it takes. */
  readonly undeclared: ReadonlySet<string>
  private readonly run: (lookup: (name: string) => Value | undefined) => string

  constructor(template: string) {
    this.template = template
    const saved = enter(defaultLimits)
    try {
      const undeclared = new Set<string>()
      const run = compileTemplate(parseTemplate(template), {
        isGlobal: (name) => globals.has(name),
        undeclared,
        blocks: new Map()
      })
      this.undeclared = undeclared
      this.run = (lookup) => run({ assigned: new Map(), lookup })
    } catch (cause) {
      throw errorOf(template, cause)
    } finally {
      leave(saved)
    }
  }

  /**
   * The text the template makes, as Jinja renders it. Names the context does not have are undefined.
   *
   * Throws an `ExpressionError`.
   */
  render(context: Context, environment: Environment): string {
    return this.guarded(environment, () =>
      this.run((name) => (Object.hasOwn(context, name) ? context[name] : globals.get(name)))
    )
  }

  /**
   * The value of the rendered text: a Python literal is read as such ("[1]" is a list), all other text is a str.
   *
   * Throws an `ExpressionError`.
   */
  evaluate(context: Context, environment: Environment): Value {
    return this.guarded(environment, () => {
      const text = this.run((name) => (Object.hasOwn(context, name) ? context[name] : globals.get(name)))
      const literal = literalEval(text)
      return literal === undefined ? text : literal
    })
  }

  private guarded<A>(environment: Environment, body: () => A): A {
    const saved = enter(environment.limits ?? defaultLimits)
    try {
      return withPorts(environment.ports, body)
    } catch (cause) {
      throw errorOf(this.template, cause)
    } finally {
      leave(saved)
    }
  }
}

/** What a template is made of. Throws an `ExpressionError`. */
export const readTemplate = (template: string): ReadonlyArray<Statement> => {
  const saved = enter(defaultLimits)
  try {
    return parseTemplate(template)
  } catch (cause) {
    throw errorOf(template, cause)
  } finally {
    leave(saved)
  }
}

const cache = new Map<string, CompiledTemplate>()
const cacheSize = 10_000

/**
 * The compiled form of a template. Compiled templates are kept, so that the same text is compiled once.
 *
 * Throws an `ExpressionError` that names the place of what cannot be read.
 */
export const compileExpression = (template: string): CompiledTemplate => {
  const known = cache.get(template)
  if (known !== undefined) return known
  const made = new CompiledTemplate(template)
  if (cache.size >= cacheSize) cache.clear()
  cache.set(template, made)
  return made
}
