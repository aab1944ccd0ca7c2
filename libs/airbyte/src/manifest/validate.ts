import { nearest } from "@tributary/domain"
import { dictEntries, dictOf } from "../expression/Dict.ts"
import { floatOf, isPlainDict, typeName, type Value } from "../expression/Value.ts"
import { type ComponentSchema, componentTypes, dereference, typesOf } from "./componentSchema.ts"
import type { ManifestProblem } from "./ManifestError.ts"

const words: { readonly [python: string]: string } = {
  str: "a text",
  int: "a whole number",
  float: "a number",
  bool: "true or false",
  list: "a list",
  dict: "a mapping",
  NoneType: "nothing"
}

const found = (value: Value): string =>
  typeof value === "string" && value.length <= 40 && !/[{}]/.test(value)
    ? JSON.stringify(value)
    : (words[typeName(value)] ?? "something else")

const expectedTypes: { readonly [type: string]: string } = {
  string: "a text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
  null: "nothing"
}

const isOfType = (value: Value, type: string): boolean => {
  switch (type) {
    case "string":
      return typeof value === "string"
    case "boolean":
      return typeof value === "boolean"
    case "integer":
      return typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value))
    case "number":
      return typeof value === "number" || typeof value === "bigint" || floatOf(value) !== undefined
    case "array":
      return Array.isArray(value)
    case "null":
      return value === null
    default:
      return dictOf(value) !== undefined
  }
}

const describe = (schema: ComponentSchema): string => {
  const real = dereference(schema)
  const types = typesOf(real)
  if (types.length > 0) return types.join(" or ")
  if (real.enum !== undefined) return `one of ${real.enum.join(", ")}`
  if (real.anyOf !== undefined) return real.anyOf.map(describe).join(", or ")
  const type = real.type === undefined ? [] : Array.isArray(real.type) ? real.type : [real.type]
  return type.map((name: string) => expectedTypes[name] ?? name).join(" or ") || "something else"
}

const join = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`)

/** Branches of a choice, those of choices within choices too. */
const branches = (schema: ComponentSchema): ReadonlyArray<ComponentSchema> => {
  const real = dereference(schema)
  const inner = real.anyOf ?? real.oneOf
  return inner === undefined || real.properties !== undefined ? [real] : inner.flatMap(branches)
}

const checkChoice = (
  value: Value,
  choices: ReadonlyArray<ComponentSchema>,
  path: string
): ReadonlyArray<ManifestProblem> => {
  const type = isPlainDict(value) && Object.hasOwn(value, "type") ? value["type"] : undefined
  const all = choices.flatMap(branches)
  if (typeof type === "string") {
    const named = all.filter((branch) => typesOf(branch).includes(type))
    const [first] = named
    if (first !== undefined && named.length === 1) return check(value, first, path)
    const wanted = all.flatMap(typesOf)
    const hasOther = all.some((branch) => check(value, branch, path).length === 0)
    if (named.length === 0 && wanted.length > 0 && !hasOther) {
      const near = nearest(type, wanted)
      const hint = near === undefined ? "" : ` Did you mean ${near}?`
      const known = componentTypes.includes(type) ? "which cannot stand here" : "which is no component"
      return [{ path: join(path, "type"), problem: `found ${type}, ${known}; expected ${wanted.join(", ")}.${hint}` }]
    }
  }
  let best: ReadonlyArray<ManifestProblem> | undefined
  for (const branch of all) {
    const problems = check(value, branch, path)
    if (problems.length === 0) return []
    // The problem that lies deepest belongs to the branch that was meant.
    if (best === undefined || (problems[0]?.path.length ?? 0) > (best[0]?.path.length ?? 0)) best = problems
  }
  if (best !== undefined && best.some((problem) => problem.path !== path)) return best
  return [{ path, problem: `found ${found(value)}, expected ${all.map(describe).join(", or ")}.` }]
}

/** Everything in which the value departs from the schema. */
export const check = (value: Value, given: ComponentSchema, path: string): ReadonlyArray<ManifestProblem> => {
  const schema = dereference(given)
  const problems: Array<ManifestProblem> = []
  if (schema.type !== undefined) {
    const types: ReadonlyArray<string> = typeof schema.type === "string" ? [schema.type] : schema.type
    if (!types.some((type) => isOfType(value, type))) {
      return [{ path, problem: `found ${found(value)}, expected ${describe(schema)}.` }]
    }
  }
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    const near = typeof value === "string" ? nearest(value, schema.enum.map(String)) : undefined
    const hint = near === undefined ? "" : ` Did you mean ${near}?`
    return [{ path, problem: `found ${found(value)}, expected one of ${schema.enum.join(", ")}.${hint}` }]
  }
  if (typeof value === "number") {
    if (schema.minimum !== undefined && value < schema.minimum)
      problems.push({ path, problem: `found ${value}, expected at least ${schema.minimum}.` })
    if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum)
      problems.push({ path, problem: `found ${value}, expected more than ${schema.exclusiveMinimum}.` })
  }
  if (Array.isArray(value)) {
    if (schema.minItems !== undefined && value.length < schema.minItems)
      problems.push({ path, problem: `found ${value.length} entries, expected at least ${schema.minItems}.` })
    const { items } = schema
    if (items !== undefined) value.forEach((item, index) => problems.push(...check(item, items, `${path}[${index}]`)))
  }
  const dict = dictOf(value)
  if (dict !== undefined && isPlainDict(dict)) {
    for (const name of schema.required ?? []) {
      if (!Object.hasOwn(dict, name)) problems.push({ path, problem: `${name} is missing; it is required.` })
    }
    const properties = schema.properties ?? {}
    for (const [key, item] of dictEntries(dict)) {
      const name = String(key)
      const known = Object.hasOwn(properties, name) ? properties[name] : undefined
      if (known !== undefined) problems.push(...check(item, known, join(path, name)))
      else if (typeof schema.additionalProperties === "object")
        problems.push(...check(item, schema.additionalProperties, join(path, name)))
      else if (schema.additionalProperties === false) {
        const near = nearest(name, Object.keys(properties))
        const hint = near === undefined ? "" : ` Did you mean ${near}?`
        problems.push({ path: join(path, name), problem: `there is no such setting here.${hint}` })
      }
    }
  }
  const choices = schema.anyOf ?? schema.oneOf
  // Choices beside properties say which of them go together.
  if (choices !== undefined) {
    if (schema.properties === undefined) problems.push(...checkChoice(value, choices, path))
    else if (!choices.some((choice) => check(value, choice, path).length === 0)) {
      const sets = choices.map((choice) => (choice.required ?? []).join(" and "))
      problems.push({ path, problem: `expected ${sets.join(", or ")}.` })
    }
  }
  return problems
}
