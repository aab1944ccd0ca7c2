import { compileExpression } from "../expression/CompiledTemplate.ts"
import { ExpressionError } from "../expression/ExpressionError.ts"
import { isPlainDict, type Value } from "../expression/Value.ts"
import { loadManifest, type Manifest } from "./Manifest.ts"
import { ManifestError } from "./ManifestError.ts"

/** What of a manifest runs here. */
export interface Coverage {
  /** It is YAML, and its references lead somewhere. */
  readonly loads: boolean
  /** It keeps to the components' schema. */
  readonly validates: boolean
  /** Components, or settings of them, that are not there: `type` or `type.setting`. */
  readonly missing: ReadonlyArray<string>
  /** Components written in Python, which need a hook in TypeScript. */
  readonly hooks: ReadonlyArray<string>
  /** Expressions that cannot be read. */
  readonly expressions: ReadonlyArray<string>
  /** Why it does not load or validate. */
  readonly problems: ReadonlyArray<string>
}

/** Whether nothing stands in the way of a run. */
export const isCovered = (coverage: Coverage): boolean =>
  coverage.loads &&
  coverage.validates &&
  coverage.missing.length + coverage.hooks.length + coverage.expressions.length === 0

const sorted = (texts: Iterable<string>): ReadonlyArray<string> => [...new Set(texts)].toSorted()

const failingExpressions = (manifest: Manifest): ReadonlyArray<string> => {
  const failing: Array<string> = []
  const seen = new Set<string>()
  const visit = (value: Value): void => {
    if (typeof value === "string") {
      if (!/\{[{%]/.test(value) || seen.has(value)) return
      seen.add(value)
      try {
        compileExpression(value)
      } catch (error) {
        if (!(error instanceof ExpressionError)) throw error
        failing.push(error.message)
      }
    } else if (Array.isArray(value)) value.forEach(visit)
    else if (value !== null && isPlainDict(value)) {
      for (const [name, item] of Object.entries(value)) if (name !== "schema") visit(item)
    }
  }
  for (const { data } of manifest.used) {
    for (const [name, item] of Object.entries(data)) {
      // Components within are visited by themselves.
      if (name !== "schema" && name !== "$parameters") visit(item)
    }
  }
  return failing
}

/** Looks at a manifest without running it. */
export const coverageOf = (text: string): Coverage => {
  const nothing = { missing: [], hooks: [], expressions: [] }
  try {
    const manifest = loadManifest(text)
    const custom = new Set(manifest.used.flatMap(({ data, path }) => (Object.hasOwn(data, "class_name") ? [path] : [])))
    const isHook = (path: string) => custom.has(path)
    const typeAt = (path: string): string => {
      const owner = manifest.used.findLast((used) => path === used.path || path.startsWith(`${used.path}.`))
      const rest = owner === undefined ? path : path.slice(owner.path.length)
      return `${owner?.type ?? ""}${rest}`
    }
    return {
      loads: true,
      validates: true,
      missing: sorted(manifest.missing.filter(({ path }) => !isHook(path)).map(({ path }) => typeAt(path))),
      hooks: sorted(manifest.missing.filter(({ path }) => isHook(path)).map(({ path }) => typeAt(path))),
      expressions: failingExpressions(manifest),
      problems: []
    }
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error
    const problems = error.problems.map(({ path, problem }) => (path === "" ? problem : `${path}: ${problem}`))
    return { ...nothing, loads: error.kind !== "unreadable", validates: false, problems }
  }
}
