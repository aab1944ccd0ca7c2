import { Ajv, type AnySchema, type ErrorObject, type ValidateFunction } from "ajv"
import { failure } from "../component/RunError.ts"
import { isFound } from "../component/pythonRegex.ts"
import { toPlain } from "../expression/Plain.ts"
import { PyError } from "../expression/PyError.ts"
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

/** Ajv knows patterns apart by their text. */
const pythonPatterns = Object.assign(
  (pattern: string) => ({ test: (text: string) => isFound(pattern, text), toString: () => pattern }),
  { code: "pythonPatterns" }
)

/**
 * In what a value departs from its schema. JSON Schema draft 7, as the CDK checks it: formats and defaults change nothing. Throws a
 * `RunError` for a schema that is none, and a `PyError` for a pattern that is none.
 */
export const configErrors = (schema: PlainDict, value: Value): ReadonlyArray<ErrorObject> => {
  const ajv = new Ajv({
    strict: false,
    allErrors: true,
    validateFormats: false,
    unicodeRegExp: false,
    logger: false,
    verbose: false,
    // Patterns are Python's.
    code: { regExp: pythonPatterns }
  })
  const { $schema: _, ...rest } = schema
  const plain = toPlain(rest)
  const validate = compiled(ajv, typeof plain === "object" && plain !== null ? plain : true)
  return validate(toPlain(value)) ? [] : (validate.errors ?? [])
}

const compiled = (ajv: Ajv, schema: AnySchema): ValidateFunction => {
  try {
    return ajv.compile(schema)
  } catch (cause) {
    // Ajv has no error of its own for it; what its message names are places and keywords of the schema.
    if (!(cause instanceof Error) || cause instanceof PyError) throw cause
    throw failure(`it is not a JSON schema (draft 7): ${cause.message.replace(/\.$/u, "")}.`, "config_error")
  }
}

/** Problems of a value with its schema, each with its place, which begins with `name`; values are never shown. */
export const schemaProblems = (schema: PlainDict, value: Value, name: string): ReadonlyArray<string> => {
  const problems = configErrors(schema, value).map((error) => {
    const place = error.instancePath === "" ? name : `${name}${error.instancePath.replaceAll("/", ".")}`
    const allowed: unknown = error.params["allowedValues"]
    const values = Array.isArray(allowed) ? `: ${allowed.map(String).join(", ")}` : ""
    return `${place}: ${error.message ?? "it does not fit the specification"}${values}.`
  })
  return [...new Set(problems)]
}

/** Problems of a config with its schema. */
export const configProblems = (schema: PlainDict, config: PlainDict): ReadonlyArray<string> =>
  schemaProblems(schema, config, "config")
