import { LosslessJson } from "@tributary/codec"
import { type Conflict, nearest } from "@tributary/domain"
import type { ErrorObject } from "ajv"
import { parseJson } from "../component/jsonText.ts"
import { toRunError } from "../component/RunError.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { type Manifest, specOf } from "../manifest/Manifest.ts"
import { configErrors, secretPaths, textAt } from "../run/ConfigSchema.ts"

const dictIn = (value: Value | undefined): PlainDict =>
  value !== undefined && value !== null && isPlainDict(value) ? value : {}

/** The config of a connector file as a manifest's expressions see it. */
export const valueOf = (config: LosslessJson.Json): PlainDict => dictIn(parseJson(LosslessJson.stringify(config)))

const specification = (manifest: Manifest): PlainDict => dictIn(specOf(manifest)?.["connection_specification"])

/** The values that the manifest marks as secret. */
export const secretsIn = (manifest: Manifest, config: PlainDict): ReadonlyArray<string> =>
  secretPaths(specification(manifest)).flatMap((path) => textAt(config, path) ?? [])

/** A text that is one reference and nothing else. */
export const isReference = (text: string): boolean => /^\$\{[^}]+\}$/u.test(text)

const at = (value: Value, path: ReadonlyArray<string>): Value | undefined => {
  let node: Value | undefined = value
  for (const key of path) {
    if (Array.isArray(node)) node = node[Number(key)]
    else
      node =
        node !== undefined && node !== null && isPlainDict(node) && Object.hasOwn(node, key) ? node[key] : undefined
  }
  return node
}

const kinds: Readonly<Record<string, string>> = {
  string: "a text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "members by name",
  null: "nothing"
}

const kindOf = (value: Value | undefined): string => {
  if (value === undefined || value === null) return "nothing"
  if (typeof value === "string") return "a text"
  if (typeof value === "boolean") return String(value)
  if (Array.isArray(value)) return "a list"
  return isPlainDict(value) ? "members by name" : "a number"
}

const pathOf = (pointer: string): ReadonlyArray<string> =>
  pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))

const list = (value: unknown): ReadonlyArray<string> => (Array.isArray(value) ? value.map(String) : [])

/** What a value is expected to be, by the rule that it breaks. */
const expectedBy = (error: ErrorObject): string => {
  const { keyword, params } = error
  switch (keyword) {
    case "type": {
      const types = Array.isArray(params["type"]) ? params["type"].map(String) : String(params["type"]).split(",")
      return types.map((type) => kinds[type] ?? type).join(" or ")
    }
    case "enum":
      return `one of ${list(params["allowedValues"]).join(", ")}`
    case "const":
      return String(params["allowedValue"])
    case "pattern":
      return `a text that fits ${String(params["pattern"])}`
    case "minLength":
      return `a text of at least ${String(params["limit"])} characters`
    case "minItems":
      return `a list of at least ${String(params["limit"])} entries`
    case "minimum":
      return `at least ${String(params["limit"])}`
    case "maximum":
      return `at most ${String(params["limit"])}`
    case "oneOf":
    case "anyOf":
      return "one of the forms that the manifest's spec describes"
    default:
      return `a value that ${error.message ?? "fits the manifest's spec"}`
  }
}

/** Only the form that was meant is worth a word: the one whose fixed members the value has. */
const withoutOtherForms = (errors: ReadonlyArray<ErrorObject>): ReadonlyArray<ErrorObject> => {
  let kept = errors
  for (const choice of errors) {
    if (choice.keyword !== "oneOf" && choice.keyword !== "anyOf") continue
    const branchOf = ({ schemaPath }: ErrorObject): string | undefined =>
      schemaPath.startsWith(`${choice.schemaPath}/`)
        ? schemaPath.slice(choice.schemaPath.length + 1).split("/", 1)[0]
        : undefined
    const inside = kept.filter((error) => branchOf(error) !== undefined)
    const branches = [...new Set(inside.map(branchOf))]
    const meant = branches.filter(
      (branch) => !inside.some((error) => branchOf(error) === branch && ["const", "enum"].includes(error.keyword))
    )
    const [only] = meant
    const isClear = meant.length === 1
    kept = kept.filter((error) => {
      const branch = branchOf(error)
      return branch === undefined ? !(isClear && error === choice) : isClear && branch === only
    })
  }
  return kept
}

const spelled = (path: ReadonlyArray<string>): string => ["config", ...path].join(".")

/**
 * In what the config of a connector file departs from the manifest's `spec.connection_specification`. Before references are replaced
 * (`isResolved` is false) their values are not looked at, and secrets have to be references.
 */
export const configConflicts = (
  manifest: Manifest,
  config: LosslessJson.Json,
  { isResolved }: { readonly isResolved: boolean }
): ReadonlyArray<Conflict> => {
  const schema = specification(manifest)
  const value = valueOf(config)
  const conflicts: Array<Conflict> = []
  const secret = secretPaths(schema)
  const isSecretAt = (path: ReadonlyArray<string>) =>
    secret.some((known) => known.length > 0 && known.every((key, index) => path[index] === key))
  if (!isResolved) {
    for (const path of secret) {
      const text = textAt(value, path)
      if (text === undefined || text === "" || text.includes("${")) continue
      conflicts.push({
        severity: "error",
        path: ["config", ...path],
        found: "a secret in the open (not shown)",
        expected: "a reference to it: ${env:NAME}, ${file:path}, ${vault:path#key}",
        advice: "Take the secret out of the file; write ${env:NAME} or ${file:path} in its place."
      })
    }
  }
  if (Object.keys(schema).length === 0) return conflicts
  const properties = dictIn(schema["properties"])
  let errors: ReadonlyArray<ErrorObject>
  try {
    errors = configErrors(schema, value)
  } catch (cause) {
    conflicts.push({
      severity: "error",
      path: ["manifest"],
      found: `spec.connection_specification, by which no config can be checked: ${toRunError(cause).message.replace(/\.$/u, "")}`,
      expected: "a JSON schema (draft 7)",
      advice: "Correct the manifest."
    })
    return conflicts
  }
  for (const error of withoutOtherForms(errors)) {
    const path = pathOf(error.instancePath)
    const found = at(value, path)
    if (error.keyword === "required") {
      const name = String(error.params["missingProperty"])
      const about = path.length === 0 ? dictIn(properties[name]) : {}
      const type = typeof about["type"] === "string" ? (kinds[about["type"]] ?? "a value") : "a value"
      const title = typeof about["title"] === "string" ? ` (${about["title"]})` : ""
      const near = nearest(name, Object.keys(dictIn(found)))
      conflicts.push({
        severity: "error",
        path: ["config", ...path],
        found: `no \`${name}\``,
        expected: `\`${name}\`: ${type}${title}`,
        advice: near === undefined ? `Add ${spelled([...path, name])}.` : `It has ${near}; is that meant?`
      })
      continue
    }
    if (error.keyword === "additionalProperties") {
      const name = String(error.params["additionalProperty"])
      const names = Object.keys(properties)
      const near = path.length === 0 ? nearest(name, names) : undefined
      conflicts.push({
        severity: "error",
        path: ["config", ...path, name],
        found: `the unknown setting ${name}`,
        expected: path.length === 0 ? `one of ${names.join(", ")}` : "a setting of the manifest's spec",
        advice: near === undefined ? "Remove it." : `Did you mean ${near}?`
      })
      continue
    }
    // Its value is known only where it runs.
    if (!isResolved && typeof found === "string" && found.includes("${")) continue
    const isShown = !isSecretAt(path) && !(typeof found === "string" && found.length > 60)
    conflicts.push({
      severity: "error",
      path: ["config", ...path],
      found:
        isShown && (typeof found === "string" || typeof found === "number") ? JSON.stringify(found) : kindOf(found),
      expected: expectedBy(error),
      advice: `Correct ${spelled(path)}.`
    })
  }
  return conflicts
}
