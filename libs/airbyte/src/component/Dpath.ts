import { dictEntries, dictGet, dictOf, dictSet, dictDelete } from "../expression/Dict.ts"
import { str } from "../expression/Repr.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { failure } from "./RunError.ts"

/** A path as its parts: a text is split at slashes, as dpath does. */
export type Path = string | ReadonlyArray<Value>

const partsOf = (path: Path): ReadonlyArray<string> =>
  typeof path === "string" ? path.replace(/^\/+/, "").split("/") : path.map(str)

const isInteger = (text: string): boolean => /^-?\d+$/.test(text)

const globs = new Map<string, RegExp>()

/** A shell pattern (fnmatch) of one part. */
const glob = (pattern: string): RegExp => {
  const known = globs.get(pattern)
  if (known !== undefined) return known
  const source = pattern.replace(/\[(!?)([^\]]*)\]|[*?]|[.+^${}()|\\/[\]]/g, (part, not: string | undefined, set) => {
    if (part === "*") return ".*"
    if (part === "?") return "."
    return typeof set === "string" ? `[${not === "!" ? "^" : ""}${set}]` : `\\${part}`
  })
  const made = new RegExp(`^${source}$`, "s")
  if (globs.size > 1000) globs.clear()
  globs.set(pattern, made)
  return made
}

const matches = (key: string, pattern: string): boolean =>
  key === pattern || (/[*?[]/.test(pattern) && glob(pattern).test(key))

const childrenOf = (value: Value): ReadonlyArray<readonly [key: string, value: Value]> => {
  if (Array.isArray(value)) return value.map((item, index) => [String(index), item])
  const dict = dictOf(value)
  return dict === undefined ? [] : dictEntries(dict).map(([key, item]) => [str(key), item])
}

const walk = (
  value: Value,
  parts: ReadonlyArray<string>,
  at: number,
  visit: (value: Value, parent: Value, key: string) => void,
  parent: Value,
  name: string
): void => {
  if (at === parts.length) {
    visit(value, parent, name)
    return
  }
  const part = parts[at] ?? ""
  if (part === "**") {
    walk(value, parts, at + 1, visit, parent, name)
    for (const [key, item] of childrenOf(value)) walk(item, parts, at, visit, value, key)
    return
  }
  if (Array.isArray(value) && isInteger(part)) {
    const index = Number(part)
    const item = value[index < 0 ? value.length + index : index]
    if (item !== undefined) walk(item, parts, at + 1, visit, value, part)
    return
  }
  const dict = dictOf(value)
  if (dict !== undefined && !/[*?[]/.test(part)) {
    const item = dictGet(dict, part)
    if (item !== undefined) walk(item, parts, at + 1, visit, value, part)
    return
  }
  for (const [key, item] of childrenOf(value)) {
    if (matches(key, part)) walk(item, parts, at + 1, visit, value, key)
  }
}

/** All values at a path with wildcards (`*` one level, `**` any number). */
export const values = (root: Value, path: Path): Array<Value> => {
  const result: Array<Value> = []
  walk(root, partsOf(path), 0, (value) => result.push(value), null, "")
  return result
}

/** The one value at a path; undefined when there is none. */
export const get = (root: Value, path: Path): Value | undefined => {
  const parts = partsOf(path)
  if (parts.length === 1 && parts[0] === "" && typeof path === "string") return root
  const all = values(root, path)
  if (all.length > 1) throw failure(`dpath.get() globs must match only one leaf: ${parts.join("/")}`)
  return all[0]
}

const setChild = (parent: Value, key: string, value: Value): void => {
  if (Array.isArray(parent)) {
    const index = Number(key)
    if (!isInteger(key)) return
    while (parent.length < index) parent.push(null)
    parent[index < 0 ? parent.length + index : index] = value
    return
  }
  const dict = dictOf(parent)
  if (dict !== undefined) dictSet(dict, key, value)
}

const isDecimal = (text: string): boolean => /^\d+$/.test(text)

/**
 * Sets a value, making the mappings that lead to it (and lists, where the next part is a number). Throws where the path leads
 * through a value that is neither, as dpath does.
 */
export const create = (root: PlainDict, path: Path, value: Value): void => {
  const parts = partsOf(path)
  let node: Value = root
  parts.forEach((part, index) => {
    if (Array.isArray(node) && !isDecimal(part)) {
      throw failure(`list indices must be integers, not ${part} (in the path ${parts.join("/")})`)
    }
    if (index === parts.length - 1) return setChild(node, part, value)
    const dict = dictOf(node)
    let next = Array.isArray(node) ? node[Number(part)] : dict === undefined ? undefined : dictGet(dict, part)
    if (next === undefined) {
      next = isDecimal(parts[index + 1] ?? "") ? [] : {}
      setChild(node, part, next)
    } else if (!Array.isArray(next) && dictOf(next) === undefined) {
      throw failure(`Path: ${parts.join("/")}: ${part} holds a single value, in which nothing can be set`)
    }
    node = next
  })
}

/** Sets a value wherever the path exists; the number of places. */
export const set = (root: Value, path: Path, value: Value): number => {
  const places: Array<readonly [Value, string]> = []
  walk(root, partsOf(path), 0, (_, parent, key) => places.push([parent, key]), null, "")
  for (const [parent, key] of places) setChild(parent, key, value)
  return places.length
}

const isLeaf = (value: Value): boolean => !Array.isArray(value) && dictOf(value) === undefined

/**
 * Removes what stands at a path; a list entry leaves nothing behind at the end, and None before it. With a condition, dpath
 * removes every scalar that meets it, wherever it stands, and manifests are written for that.
 */
export const remove = (root: Value, path: Path, only?: (value: Value) => boolean): void => {
  const places: Array<readonly [Value, string]> = []
  const parts = only === undefined ? partsOf(path) : ["**"]
  const visit = (value: Value, parent: Value, key: string) => {
    if (key !== "" && (only === undefined || (isLeaf(value) && only(value)))) places.push([parent, key])
  }
  walk(root, parts, 0, visit, null, "")
  for (const [parent, key] of places) {
    if (Array.isArray(parent)) {
      const index = Number(key) < 0 ? parent.length + Number(key) : Number(key)
      if (index === parent.length - 1) parent.pop()
      else parent[index] = null
    } else if (isPlainDict(parent)) delete parent[key]
    else {
      const dict = dictOf(parent)
      if (dict !== undefined) dictDelete(dict, key)
    }
  }
}
