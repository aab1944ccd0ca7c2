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

/** Throws a `ManifestError` where the manifest needs what is not there. */
export const requireSupported = (manifest: Manifest): void => {
  if (manifest.missing.length > 0) throw new ManifestError({ kind: "unsupported", problems: manifest.missing })
}

/** The component `Spec`: what the config has to be. */
export const specOf = (manifest: Manifest): PlainDict | undefined => {
  const spec = manifest.data["spec"]
  return spec !== undefined && spec !== null && isPlainDict(spec) ? spec : undefined
}
