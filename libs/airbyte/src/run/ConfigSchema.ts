import { Ajv } from "ajv"
import { toPlain } from "../expression/Plain.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"

const own = (schema: PlainDict, name: string): Value | undefined =>
  Object.hasOwn(schema, name) ? schema[name] : undefined

/** A path of keys into a config. */
export type ConfigPath = ReadonlyArray<string>

/** Where the schema marks values of a config as secret (`airbyte_secret`). */
export const secretPaths = (schema: Value | undefined, at: ConfigPath = []): ReadonlyArray<ConfigPath> => {
  if (schema === undefined || schema === null || !isPlainDict(schema)) return []
  const found: Array<ConfigPath> = own(schema, "airbyte_secret") === true ? [at] : []
  const properties = own(schema, "properties")
  if (properties !== undefined && properties !== null && isPlainDict(properties)) {
    for (const [name, inner] of Object.entries(properties)) found.push(...secretPaths(inner, [...at, name]))
  }
  for (const keyword of ["oneOf", "anyOf", "allOf"]) {
    const branches = own(schema, keyword)
    for (const branch of Array.isArray(branches) ? branches : []) found.push(...secretPaths(branch, at))
  }
  return found
}

/** What a config has at a path, as text; undefined when there is nothing. */
export const textAt = (config: PlainDict, path: ConfigPath): string | undefined => {
  let node: Value = config
  for (const key of path) {
    if (node === null || !isPlainDict(node) || !Object.hasOwn(node, key)) return undefined
    node = node[key] ?? null
  }
  return typeof node === "string" ? node : typeof node === "number" ? String(node) : undefined
}

/** The config with another text at a path that it has. */
export const withTextAt = (config: PlainDict, path: ConfigPath, text: string): PlainDict => {
  const [key, ...rest] = path
  if (key === undefined) return config
  if (rest.length === 0) return { ...config, [key]: text }
  const inner = own(config, key)
  return inner !== undefined && inner !== null && isPlainDict(inner)
    ? { ...config, [key]: withTextAt(inner, rest, text) }
    : config
}

/**
 * Problems of a config with its schema, each with the place in the config; values are never shown. JSON Schema draft 7, as
 * the CDK checks it: formats and defaults change nothing.
 */
export const configProblems = (schema: PlainDict, config: PlainDict): ReadonlyArray<string> => {
  const ajv = new Ajv({
    strict: false,
    allErrors: true,
    validateFormats: false,
    unicodeRegExp: false,
    logger: false,
    verbose: false
  })
  const { $schema: _, ...rest } = schema
  const plain = toPlain(rest)
  const validate = ajv.compile(typeof plain === "object" && plain !== null ? plain : true)
  if (validate(toPlain(config))) return []
  const problems = (validate.errors ?? []).map((error) => {
    const place = error.instancePath === "" ? "config" : `config${error.instancePath.replaceAll("/", ".")}`
    const allowed: unknown = error.params["allowedValues"]
    const values = Array.isArray(allowed) ? `: ${allowed.map(String).join(", ")}` : ""
    return `${place}: ${error.message ?? "it does not fit the specification"}${values}.`
  })
  return [...new Set(problems)]
}
