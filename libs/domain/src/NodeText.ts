import { SchemaAST } from "effect"
import { stringify } from "yaml"
import { hideSecrets, type Range } from "./SecretText.ts"
import { expectedOf, shapeOf } from "./Setting.ts"
import { isMap, isScalar, isSeq, type Node, rangeOf } from "./YamlSource.ts"

/** What is said in place of a value that may be a secret. */
export const hidden = "a value in the open (not shown, it may be a secret)"

const longest = 60

/** Describes what a node holds, shortened, and without anything that may be secret. */
export const describeNode = (node: Node | null, secrets: ReadonlyArray<Range>): string => {
  const range = rangeOf(node)
  if (node === null || (isScalar(node) && (node.value === null || node.value === undefined))) return "nothing"
  if (range !== undefined && secrets.some(([start, end]) => start < range[1] && range[0] < end)) {
    return isScalar(node) ? hidden : isMap(node) ? "settings" : "a list"
  }
  if (isSeq(node)) return node.items.length === 0 ? "an empty list" : `a list of ${node.items.length}`
  if (isMap(node)) {
    const names = node.items.map(({ key }) => (isScalar(key) ? String(key.value).slice(0, longest) : "?"))
    const first = names.slice(0, 5).join(", ").replaceAll(/\p{C}/gu, "\u{fffd}")
    return names.length === 0 ? "no settings" : `the settings ${first}${names.length > 5 ? ", ..." : ""}`
  }
  if (!isScalar(node)) return "an alias"
  if (typeof node.value !== "string") return String(node.source ?? node.value).slice(0, longest)
  const text = hideSecrets(node.value)
  return JSON.stringify(text.length > longest ? `${text.slice(0, longest)}...` : text).replaceAll(/\p{C}/gu, "\u{fffd}")
}

/** A sentence that repeats a part of the file, safe to show. */
export const shortened = (text: string): string => {
  const safe = hideSecrets(text).replaceAll(/\p{C}/gu, "\u{fffd}")
  return safe.length > 200 ? `${safe.slice(0, 200)}...` : safe
}

export const quoted = (text: string) => `\`${text.replaceAll(/[\p{C}`]/gu, "\u{fffd}").slice(0, 60)}\``

export const adviceFor = (ast: SchemaAST.AST, value: unknown): string | undefined => {
  const advice: unknown = SchemaAST.resolve(ast)?.["advice"]
  const text: unknown = typeof advice === "function" ? advice(value) : undefined
  return typeof text === "string" ? text : undefined
}

/** `cursor + param`: the settings that a form needs. */
export const formText = (ast: SchemaAST.AST, first: string): string => {
  const shape = shapeOf(ast)
  if (shape._tag !== "Struct") return expectedOf(ast)
  const others = shape.settings.filter(({ isRequired, name }) => isRequired && name !== first)
  return [first, ...others.map(({ name }) => name)].join(" + ")
}

/** A value as it is written on one line of YAML. */
export const inFlow = (value: unknown): string =>
  stringify(value, { collectionStyle: typeof value === "string" ? "any" : "flow", lineWidth: 0 })
    .trim()
    .replaceAll(/\[ (.*?) \]/gu, "[$1]")
