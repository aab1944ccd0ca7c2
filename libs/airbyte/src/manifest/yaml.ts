import { parseDocument, type ScalarTag } from "yaml"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { ManifestError } from "./ManifestError.ts"

const bool: ScalarTag = {
  tag: "tag:yaml.org,2002:bool",
  default: true,
  test: /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON|no|No|NO|false|False|FALSE|off|Off|OFF)$/,
  resolve: (text) => /^(?:y|t|on)/i.test(text)
}

const isTag = (tag: unknown, name: string): boolean =>
  typeof tag === "object" && tag !== null && "tag" in tag && tag.tag === `tag:yaml.org,2002:${name}`

/** YAML 1.1 as PyYAML's safe loader reads it: `yes` and `on` are booleans, `y` is not. A date stays the text that it is. */
const readAll = (text: string) =>
  parseDocument(text, {
    version: "1.1",
    merge: true,
    uniqueKeys: false,
    customTags: (tags) => [
      bool,
      ...tags.filter((tag) => tag !== "timestamp" && !isTag(tag, "bool") && !isTag(tag, "timestamp"))
    ]
  })

/** What a YAML reader gave, as values of expressions: keys are texts, what is no JSON is a text. */
const toValue = (value: unknown): Value => {
  if (value === null || value === undefined) return null
  if (typeof value === "string" || typeof value === "boolean" || typeof value === "number") return value
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (Array.isArray(value)) return value.map(toValue)
  if (value instanceof Map) {
    return Object.fromEntries(Array.from(value, ([key, item]): [string, Value] => [String(key), toValue(item)]))
  }
  if (typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]): [string, Value] => [key, toValue(item)]))
  }
  return null
}

const mostAliases = 10_000

/**
 * Reads YAML.
 *
 * Throws a `ManifestError` that names the line of what is no YAML; its text is not shown, for it may hold secrets.
 */
export const readYaml = (text: string): Value => {
  const document = readAll(text)
  const [error] = document.errors
  if (error !== undefined) {
    const at = error.linePos?.[0]
    const place = at === undefined ? "" : `line ${at.line}, column ${at.col}: `
    throw new ManifestError({
      kind: "unreadable",
      problems: [{ path: "", problem: `${place}this is not YAML (${error.code}). Correct the line.` }]
    })
  }
  return toValue(document.toJS({ maxAliasCount: mostAliases }))
}

/** Reads a YAML mapping: a whole manifest. Throws a `ManifestError`. */
export const readMapping = (text: string): PlainDict => {
  const value = readYaml(text)
  if (isPlainDict(value)) return value
  throw new ManifestError({
    kind: "unreadable",
    problems: [{ path: "", problem: "found no mapping at the top, expected `type: DeclarativeSource` and its settings." }]
  })
}
