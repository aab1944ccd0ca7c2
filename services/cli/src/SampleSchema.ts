import { inferColumns } from "@tributary/clickhouse"
import { LosslessJson } from "@tributary/codec"
import { parseFieldType } from "@tributary/domain"

type Json = LosslessJson.Json
type Members = { readonly [name: string]: Json }

/** A schema of JSON (draft 2020-12), as far as samples tell one. */
export interface JsonSchema {
  readonly type?: string | ReadonlyArray<string>
  readonly format?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: ReadonlyArray<string>
  readonly items?: JsonSchema
  readonly description?: string
}

const isMembers = (value: Json): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof LosslessJson.JsonNumber)
const isList = (value: Json): value is ReadonlyArray<Json> => Array.isArray(value)

const typeOf = (value: Json): string => {
  if (value === null) return "null"
  if (isList(value)) return "array"
  if (typeof value === "bigint") return "integer"
  if (value instanceof LosslessJson.JsonNumber) return /^-?\d+$/u.test(value.text) ? "integer" : "number"
  return typeof value === "number" ? (Number.isInteger(value) ? "integer" : "number") : typeof value
}

const formats: ReadonlyArray<readonly [format: string, pattern: RegExp, type: string]> = [
  ["date-time", /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|z|[+-]\d\d:?\d\d)$/u, "timestamp"],
  ["date", /^\d{4}-\d\d-\d\d$/u, "date"],
  ["uuid", /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/iu, "uuid"]
]

/** The format that all texts have; `undefined`: they have none in common. */
const formatOf = (values: ReadonlyArray<Json>) => {
  const texts = values.filter((value) => value !== null)
  return texts.length === 0
    ? undefined
    : formats.find(([, pattern]) => texts.every((value) => typeof value === "string" && pattern.test(value)))
}

/** Order of types in a schema: the wider one last, null at the end. */
const order = ["boolean", "integer", "number", "string", "object", "array", "null"]

/** The schema of values of one field: of integers and fractions `number`, of other mixtures each of their types. */
const schemaOfValues = (values: ReadonlyArray<Json>): JsonSchema => {
  const types = new Set(values.map(typeOf))
  if (types.has("number")) types.delete("integer")
  const listed = order.filter((type) => types.has(type))
  const [only = "null"] = listed
  const format = formatOf(values)?.[0]
  const objects = values.filter(isMembers)
  const items = values.filter(isList).flat()
  return {
    type: listed.length > 1 ? listed : only,
    ...(format === undefined ? {} : { format }),
    ...(objects.length === 0 ? {} : schemaOfObjects(objects)),
    ...(items.length === 0 ? {} : { items: schemaOfValues(items) })
  }
}

/** Fields of objects in the order in which they were met, those in each of them as required. */
const schemaOfObjects = (objects: ReadonlyArray<Members>): Pick<JsonSchema, "properties" | "required"> => {
  const fields = new Map<string, Array<Json>>()
  for (const one of objects) {
    for (const [name, value] of Object.entries(one)) {
      const values = fields.get(name)
      if (values === undefined) fields.set(name, [value])
      else values.push(value)
    }
  }
  const required = [...fields].filter(([, values]) => values.length === objects.length).map(([name]) => name)
  return {
    properties: Object.fromEntries([...fields].map(([name, values]) => [name, schemaOfValues(values)])),
    ...(required.length === 0 ? {} : { required })
  }
}

const fieldTypes: Readonly<Record<string, string>> = {
  Bool: "bool",
  Int64: "int64",
  UInt64: "uint64",
  Float64: "float64"
}

/** What a declared type is in JSON Schema. */
const declaredSchema = (text: string): JsonSchema => {
  const type = parseFieldType(text)
  const of = (name: string, format?: string): JsonSchema => ({
    type: type.nullable ? [name, "null"] : name,
    ...(format === undefined ? {} : { format }),
    description: text
  })
  switch (type.kind) {
    case "bool":
      return of("boolean")
    case "int":
    case "uint":
      return of("integer")
    case "float":
      return of("number")
    case "decimal":
      return { type: ["number", "string", ...(type.nullable ? ["null"] : [])], description: text }
    case "timestamp":
      return of("string", "date-time")
    case "date":
      return of("string", "date")
    case "uuid":
      return of("string", "uuid")
    case "string":
      return of("string")
    case "json":
      return { description: text }
  }
}

export interface SampledSchema {
  /** As `schema` of a stream: what is declared, then what was inferred. */
  readonly fields: Readonly<Record<string, string>>
  readonly jsonSchema: JsonSchema & { readonly $schema: string }
  readonly inferred: number
}

/**
 * The schema of records: types that are declared stay, others are what the table would get for the samples (int64 widens to float64,
 * anything to string), told apart further where all texts are times, dates or UUIDs, or where objects and lists stay JSON. A field
 * that is null or missing in a sample may be null.
 */
export const sampleSchema = (
  samples: ReadonlyArray<Uint8Array>,
  declared: Readonly<Record<string, string>>
): SampledSchema => {
  const objects = samples.map((bytes) => LosslessJson.parse(bytes)).filter(isMembers)
  const own = schemaOfObjects(objects)
  const fields: Record<string, string> = { ...declared }
  let inferred = 0
  for (const [name, column] of inferColumns(samples)) {
    // A name with a dot cannot be told from a path.
    if (Object.hasOwn(declared, name) || name.includes(".") || /\s/u.test(name) || name === "") continue
    const values = objects.map((one) => (Object.hasOwn(one, name) ? (one[name] ?? null) : null))
    const isNullable = values.includes(null)
    const isNested = values.some((value) => isMembers(value) || isList(value))
    const type = fieldTypes[column] ?? (isNested ? "json" : (formatOf(values)?.[2] ?? "string"))
    fields[name] = isNullable ? `${type}?` : type
    inferred++
  }
  const properties = { ...own.properties }
  for (const [name, type] of Object.entries(declared)) properties[name] = declaredSchema(type)
  return {
    fields,
    inferred,
    jsonSchema: {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      ...own,
      properties
    }
  }
}
