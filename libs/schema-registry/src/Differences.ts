import { Option, Schema } from "effect"

const AvroRecord = Schema.fromJsonString(
  Schema.Struct({
    fields: Schema.Array(
      Schema.Struct({ name: Schema.String, type: Schema.Unknown, default: Schema.optionalKey(Schema.Unknown) })
    )
  })
)
const JsonObject = Schema.fromJsonString(
  Schema.Struct({
    properties: Schema.Record(Schema.String, Schema.Unknown),
    required: Schema.optionalKey(Schema.Array(Schema.String))
  })
)
const decodeAvro = Schema.decodeUnknownOption(AvroRecord)
const decodeJson = Schema.decodeUnknownOption(JsonObject)

const short = (value: unknown): string => {
  const text = typeof value === "string" ? value : JSON.stringify(value)
  return text.length > 90 ? `${text.slice(0, 87)}...` : text
}

/** Fields of a schema with what a person calls their type. */
const fieldsOf = (text: string): ReadonlyMap<string, string> => {
  const avro = decodeAvro(text)
  if (Option.isSome(avro)) {
    return new Map(
      avro.value.fields.map((field) => [
        field.name,
        `${short(field.type)}${Object.hasOwn(field, "default") ? "" : " without a default"}`
      ])
    )
  }
  return Option.match(decodeJson(text), {
    onNone: () => new Map<string, string>(),
    onSome: ({ properties, required = [] }) =>
      new Map(
        Object.entries(properties).map(([name, type]) => [
          name,
          `${short(type)}${required.includes(name) ? ", required" : ""}`
        ])
      )
  })
}

/** Most fields that are named. */
const most = 5

/** What differs between two versions of a schema, for a person. */
export const differencesOf = (before: string, after: string): string => {
  const old = fieldsOf(before)
  const fresh = fieldsOf(after)
  const found: Array<string> = []
  for (const [name, type] of fresh) {
    const was = old.get(name)
    if (was === undefined) found.push(`field "${name}" is new: ${type}`)
    else if (was !== type) found.push(`field "${name}" was ${was} and is ${type}`)
  }
  for (const name of old.keys()) if (!fresh.has(name)) found.push(`field "${name}" is gone`)
  if (found.length === 0) return "the kind of the schema, or its name"
  return found.length > most ? `${found.slice(0, most).join("; ")}; and ${found.length - most} more` : found.join("; ")
}
