import type { Component } from "../component/Component.ts"
import { hookSlots, type ManifestHooks } from "../component/Hooks.ts"
import { isPlainDict, type PlainDict } from "../expression/Value.ts"
import { componentSchema } from "./componentSchema.ts"
import { ManifestError, type ManifestProblem } from "./ManifestError.ts"
import { propagate } from "./parameters.ts"
import { resolveReferences } from "./references.ts"
import { unsupportedIn, type UsedComponent, usedComponents } from "./support.ts"
import { check } from "./validate.ts"
import { readMapping } from "./yaml.ts"

/** A manifest that was read: references resolved, parameters handed down, types filled in, checked against the schema. */
export interface Manifest {
  readonly data: PlainDict
  /** The components that it uses. */
  readonly used: ReadonlyArray<UsedComponent>
  /** What it needs and is not there; such a manifest is refused by a run. */
  readonly missing: ReadonlyArray<ManifestProblem>
}

/** References, parameters and types of a manifest's data, without the check. */
const expand = (data: PlainDict): PlainDict => {
  const typed = Object.hasOwn(data, "type") ? data : { ...data, type: "DeclarativeSource" }
  return propagate("", resolveReferences(typed))
}

/**
 * Makes a manifest of its data, as airbyte-cdk does.
 *
 * Throws a `ManifestError` with every place in which it breaks the components' schema. Components that are not there are no
 * error here: `missing` has them.
 */
export const manifestOf = (given: PlainDict): Manifest => {
  const data = expand(given)
  const schema = componentSchema("DeclarativeSource") ?? {}
  const problems = check(data, schema, "")
  if (problems.length > 0) throw new ManifestError({ kind: "invalid", problems })
  const used = usedComponents(data)
  return { data, used, missing: unsupportedIn(used) }
}

/** Reads a manifest's YAML. Throws a `ManifestError`. */
export const loadManifest = (text: string): Manifest => manifestOf(readMapping(text))

/** What is missing that no hook stands for. */
const withoutHooks = (
  missing: ReadonlyArray<ManifestProblem>,
  hooks: ManifestHooks | undefined
): ReadonlyArray<ManifestProblem> =>
  missing.filter(({ hook }) => {
    const slot = hook === undefined ? undefined : hookSlots[hook.type]?.[0]
    const known = slot === undefined ? undefined : hooks?.[slot]
    return hook === undefined || known === undefined || !Object.hasOwn(known, hook.className)
  })

const isOfAStream = (path: string): boolean =>
  path.startsWith("streams[") || /^dynamic_streams\[\d+\]\.stream_template/u.test(path)

/** What a manifest needs beside its streams that is not there, nor stood for by a hook. */
export const missingBeside = (manifest: Manifest, hooks: ManifestHooks | undefined): ReadonlyArray<ManifestProblem> =>
  withoutHooks(manifest.missing, hooks).filter(({ path }) => !isOfAStream(path))

/** What a stream, or a parent of it, needs that is not there, nor stood for by a hook; the same class only once. */
export const missingOf = (stream: Component, hooks: ManifestHooks | undefined): ReadonlyArray<ManifestProblem> => {
  const found = new Map<string, ManifestProblem>()
  for (const one of withoutHooks(unsupportedIn(usedComponents(stream.data, stream.path)), hooks)) {
    if (!found.has(one.problem)) found.set(one.problem, one)
  }
  return [...found.values()]
}

/** Throws a `ManifestError` where the manifest needs what is not there, whichever streams are read. */
export const requireSupported = (manifest: Manifest, hooks?: ManifestHooks): void => {
  const problems = missingBeside(manifest, hooks)
  if (problems.length > 0) throw new ManifestError({ kind: "unsupported", problems })
}

/** Throws a `ManifestError` where a stream needs what is not there. The other streams can be read all the same. */
export const requireStream = (stream: Component, hooks?: ManifestHooks): void => {
  const problems = missingOf(stream, hooks)
  if (problems.length === 0) return
  const name = stream.optionalText("name") ?? stream.path
  throw new ManifestError({
    kind: "unsupported",
    problems: problems.map(({ path, problem }) => ({ path, problem: `stream ${name} cannot be read: ${problem}` }))
  })
}

/** The component `Spec`: what the config has to be. */
export const specOf = (manifest: Manifest): PlainDict | undefined => {
  const spec = manifest.data["spec"]
  return spec !== undefined && spec !== null && isPlainDict(spec) ? spec : undefined
}
