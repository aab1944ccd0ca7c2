import { Option, Schema } from "effect"

/** The part of JSON Schema by which records are described here (JsonRecord.ts). */
const JsonRecordSchema = Schema.fromJsonString(
  Schema.Struct({
    properties: Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Unknown)),
    required: Schema.optionalKey(Schema.Array(Schema.String)),
    additionalProperties: Schema.optionalKey(Schema.Boolean)
  })
)
const decode = Schema.decodeUnknownOption(JsonRecordSchema)

const typesOf = (property: Readonly<Record<string, unknown>>): ReadonlyArray<unknown> | undefined => {
  const { type } = property
  return type === undefined ? undefined : Array.isArray(type) ? type : [type]
}

/** Why a property takes less than another; `undefined` when it takes all of it. */
const narrows = (
  name: string,
  reader: Readonly<Record<string, unknown>>,
  writer: Readonly<Record<string, unknown>>
): string | undefined => {
  const to = typesOf(reader)
  const from = typesOf(writer)
  if (to !== undefined) {
    if (from === undefined) return `"${name}" was anything and is ${to.join(" or ")}`
    const missing = from.filter((type) => !to.includes(type) && !(type === "integer" && to.includes("number")))
    if (missing.length > 0) return `"${name}" may no longer be ${missing.join(" or ")}`
  }
  for (const [keyword, value] of Object.entries(reader)) {
    if (keyword === "type" || keyword === "description" || writer[keyword] === value) continue
    const was = writer[keyword]
    const isWider =
      typeof value === "number" &&
      typeof was === "number" &&
      ((keyword === "minimum" && value <= was) || (keyword === "maximum" && value >= was))
    if (!isWider) return `"${name}" has ${keyword} ${String(value)}, which it had not`
  }
  return undefined
}

/** Why values that `writer` describes need not fit `reader`; `undefined` when they do. */
export const readsJson = (reader: string, writer: string): string | undefined => {
  const to = Option.getOrUndefined(decode(reader))
  const from = Option.getOrUndefined(decode(writer))
  if (to === undefined || from === undefined) return "only schemas of objects with properties can be compared"
  const isOpen = from.additionalProperties !== false
  const wanted = new Map(Object.entries(to.properties))
  const written = new Map(Object.entries(from.properties))
  for (const name of to.required ?? []) {
    if (!(from.required ?? []).includes(name)) return `"${name}" is required, and may be missing in older records`
  }
  for (const [name, property] of wanted) {
    const was = written.get(name)
    if (was !== undefined) {
      const problem = narrows(name, property, was)
      if (problem !== undefined) return problem
    } else if (isOpen && Object.keys(property).length > 0) return `"${name}" could be anything before`
  }
  if (to.additionalProperties === false) {
    if (isOpen) return "other fields than those named were allowed before"
    for (const name of written.keys()) if (!wanted.has(name)) return `"${name}" is no longer allowed`
  }
  return undefined
}
