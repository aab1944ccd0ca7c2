import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { ManifestError } from "./ManifestError.ts"

/** Fields that hold values of the config, in which `#/` is ordinary text. */
const configFields = new Set(["config_overrides"])

/** Elements that a manifest may have after its references are resolved: references can multiply. */
const mostNodes = 5_000_000

const fail = (path: string, problem: string): never => {
  throw new ManifestError({ kind: "invalid", problems: [{ path, problem }] })
}

const isReference = (value: Value): value is string => typeof value === "string" && value.startsWith("#/")

/** The value at `definitions/a/b`; a key may itself contain slashes. */
const lookUp = (root: PlainDict, reference: string, path: string): Value => {
  let rest = reference.slice(2)
  let node: Value = root
  while (rest !== "") {
    if (isPlainDict(node) && Object.hasOwn(node, rest)) return node[rest] ?? null
    const slash = rest.indexOf("/")
    const head = slash === -1 ? rest : rest.slice(0, slash)
    rest = slash === -1 ? "" : rest.slice(slash + 1)
    const next: Value | undefined = Array.isArray(node)
      ? node[Number(head)]
      : isPlainDict(node) && Object.hasOwn(node, head)
        ? node[head]
        : undefined
    if (next === undefined) {
      return fail(
        path,
        `the reference ${reference} leads nowhere: there is no ${head}. Correct it, or define what it names.`
      )
    }
    node = next
  }
  return node
}

/**
 * The manifest with every `$ref` and every `#/…` text replaced by what it names; keys beside a `$ref` win over those of what
 * it names; without the definitions themselves. The CDK's `ManifestReferenceResolver`.
 *
 * Throws a `ManifestError` for a reference that leads nowhere or to itself.
 */
export const resolveReferences = (manifest: PlainDict): PlainDict => {
  let nodes = 0
  let isCounted = false
  const open = new Set<string>()
  /** What references name, each made once: a manifest can name one thing thousands of times. */
  const known = new Map<string, { readonly value: Value; readonly nodes: number }>()
  const count = (more: number, path: string) => {
    nodes += more
    if (isCounted && nodes > mostNodes)
      fail(path, `the manifest has more than ${mostNodes} elements once references are resolved.`)
  }
  const evaluate = (node: Value, path: string): Value => {
    count(1, path)
    if (Array.isArray(node)) return node.map((item, index) => evaluate(item, `${path}[${index}]`))
    if (isReference(node)) {
      if (open.has(node)) return fail(path, `the reference ${node} leads back to itself. Break the circle.`)
      const before = known.get(node)
      if (before !== undefined) {
        count(before.nodes, path)
        return before.value
      }
      const start = nodes
      open.add(node)
      const value = evaluate(lookUp(manifest, node, path), path)
      open.delete(node)
      known.set(node, { value, nodes: nodes - start })
      return value
    }
    if (!isPlainDict(node)) return node
    const own: PlainDict = {}
    for (const [key, value] of Object.entries(node)) {
      if (key === "$ref") continue
      own[key] = configFields.has(key) ? structuredClone(value) : evaluate(value, path === "" ? key : `${path}.${key}`)
    }
    if (!Object.hasOwn(node, "$ref")) return own
    const named = evaluate(node["$ref"] ?? null, path)
    return isPlainDict(named) ? { ...named, ...own } : named
  }
  const { definitions, ...rest } = manifest
  // Definitions are no part of what is run, whatever they add up to; their references have to lead somewhere all the same.
  if (definitions !== undefined) evaluate(definitions, "definitions")
  isCounted = true
  nodes = 0
  const resolved = evaluate(rest, "")
  return isPlainDict(resolved) ? resolved : manifest
}
