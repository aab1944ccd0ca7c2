import { Option, Schema } from "effect"
import type { RecordField } from "./RecordField.ts"
import type { ValueType } from "./ValueType.ts"

/**
 * The Avro schema of a stream's records: a nullable field for each key that is known (not nullable where the connector file says
 * so), `_extra` with the JSON of what has no field or does not fit it, and `_nulls` with the keys that were there with null and
 * not absent. So a value is read back as the record that was written.
 */
export const extraField = "_extra"
export const nullsField = "_nulls"

/** What a schema says of a field's JSON: the key, where it is no Avro name. */
const keyProperty = "json_key"

const primitive = Schema.Literals(["boolean", "int", "long", "double", "string", "bytes"])
const Logical = Schema.Struct({
  type: primitive,
  logicalType: Schema.String,
  precision: Schema.optionalKey(Schema.Int),
  scale: Schema.optionalKey(Schema.Int)
})
const Plain = Schema.Union([primitive, Logical])
type Plain = typeof Plain.Type
const Field = Schema.Struct({
  name: Schema.String,
  type: Schema.Union([Plain, Schema.Tuple([Schema.Literal("null"), Plain])]),
  [keyProperty]: Schema.optionalKey(Schema.String)
})
const extraType = { type: "map", values: "string" } as const
const nullsType = { type: "array", items: "string" } as const
const Extra = Schema.Struct({
  name: Schema.Literal(extraField),
  type: Schema.Struct({ type: Schema.Literal("map"), values: Schema.Literal("string") })
})
const Nulls = Schema.Struct({
  name: Schema.Literal(nullsField),
  type: Schema.Struct({ type: Schema.Literal("array"), items: Schema.Literal("string") })
})
const Record = Schema.fromJsonString(
  Schema.Struct({
    type: Schema.Literal("record"),
    name: Schema.String,
    namespace: Schema.optionalKey(Schema.String),
    fields: Schema.Array(Schema.Union([Extra, Nulls, Field]))
  })
)
const decodeRecord = Schema.decodeUnknownOption(Record)

/**
 * A text as an Avro name: what may not stand in one becomes `_`. Names that every JavaScript object has get one at their end,
 * because readers in JavaScript stumble over them.
 */
const avroName = (text: string): string => {
  const name = text.replaceAll(/[^A-Za-z0-9_]/gu, "_")
  if (name in Object.prototype) return `${name}_`
  return /^[A-Za-z_]/u.test(name) ? name : `_${name}`
}

/** Namespace and name of the record of a topic. */
const recordName = (topic: string): { readonly name: string; readonly namespace?: string } => {
  const parts = topic
    .split(".")
    .filter((part) => part !== "")
    .map(avroName)
  const name = parts.pop() ?? "value"
  return parts.length === 0 ? { name } : { name, namespace: parts.join(".") }
}

const avroType = (type: ValueType): Plain => {
  switch (type.kind) {
    case "bool":
      return "boolean"
    case "float":
      return "double"
    case "string":
      return "string"
    case "json":
      return { type: "string", logicalType: "json" }
    case "uuid":
      return { type: "string", logicalType: "uuid" }
    case "date":
      return { type: "int", logicalType: "date" }
    case "int":
      if (type.bits === 64 && !type.signed) return { type: "bytes", logicalType: "decimal", precision: 20, scale: 0 }
      return type.bits === 64 || (type.bits === 32 && !type.signed) ? "long" : "int"
    case "decimal":
      return { type: "bytes", logicalType: "decimal", precision: type.precision, scale: type.scale }
    case "timestamp":
      return {
        type: "long",
        logicalType: type.digits === 9 ? "timestamp-nanos" : type.digits === 6 ? "timestamp-micros" : "timestamp-millis"
      }
  }
}

const logicalTypes: Readonly<Record<string, ValueType>> = {
  "string json": { kind: "json" },
  "string uuid": { kind: "uuid" },
  "int date": { kind: "date" },
  "long timestamp-millis": { kind: "timestamp", digits: 3 },
  "long timestamp-micros": { kind: "timestamp", digits: 6 },
  "long timestamp-nanos": { kind: "timestamp", digits: 9 }
}
const plainTypes: Readonly<Record<string, ValueType>> = {
  boolean: { kind: "bool" },
  double: { kind: "float" },
  string: { kind: "string" },
  int: { kind: "int", signed: true, bits: 32 },
  long: { kind: "int", signed: true, bits: 64 }
}

const typeOf = (avro: Plain): ValueType | undefined => {
  if (typeof avro === "string") return plainTypes[avro]
  const { logicalType, precision, scale = 0, type } = avro
  return type === "bytes" && logicalType === "decimal" && precision !== undefined
    ? { kind: "decimal", precision, scale }
    : logicalTypes[`${type} ${logicalType}`]
}

/** Digits of a second that ticks of an Avro type stand for. */
export const tickDigits = (digits: 0 | 3 | 6 | 9): number => (digits === 0 ? 3 : digits)

/** Fields by their names: their keys where those are Avro names. A key whose name an earlier one has goes without a field. */
const named = (fields: ReadonlyArray<RecordField>): ReadonlyMap<string, RecordField> => {
  const names = new Map<string, RecordField>()
  for (const field of fields) {
    const name = avroName(field.key)
    if (name !== extraField && name !== nullsField && !names.has(name)) names.set(name, field)
  }
  return names
}

/** The fields that an Avro record can have, of those a stream has; the others stay in `_extra`. */
export const avroFields = (fields: ReadonlyArray<RecordField>): ReadonlyArray<RecordField> => {
  const kept = new Set(named(fields).values())
  return fields.filter((field) => kept.has(field))
}

/** The schema of the records of a topic as JSON text. `fields` are those of `avroFields`. */
export const writeAvroRecord = (topic: string, fields: ReadonlyArray<RecordField>): string => {
  const names = new Map([...named(fields)].map(([name, field]) => [field, name]))
  return JSON.stringify({
    type: "record",
    ...recordName(topic),
    doc: `Records of the topic ${topic}, written by Tributary.`,
    fields: [
      ...fields.map((field) => {
        const name = names.get(field) ?? avroName(field.key)
        const type = avroType(field.type)
        return {
          name,
          type: field.nullable ? ["null", type] : type,
          ...(field.nullable ? { default: null } : {}),
          ...(name === field.key ? {} : { [keyProperty]: field.key })
        }
      }),
      {
        name: extraField,
        type: extraType,
        default: {},
        doc: "JSON of the fields that have no place of their own: new ones, and values that do not fit their field."
      },
      {
        name: nullsField,
        type: nullsType,
        default: [],
        doc: "Fields that were null in JSON. All others without a value were absent."
      }
    ]
  })
}

/** The fields of a schema that `writeAvroRecord` made for the topic; `undefined` for any other. */
export const readAvroRecord = (topic: string, text: string): ReadonlyArray<RecordField> | undefined => {
  const record = Option.getOrUndefined(decodeRecord(text))
  if (record === undefined) return undefined
  const fields: Array<RecordField> = []
  for (const field of record.fields) {
    if (isOwn(field)) continue
    const nullable = isNullable(field.type)
    const type = typeOf(isNullable(field.type) ? field.type[1] : field.type)
    if (type === undefined) return undefined
    fields.push({ key: field[keyProperty] ?? field.name, type, nullable, declared: false })
  }
  // Anything that is not written here would be lost by writing it anew.
  const again = writeAvroRecord(topic, fields)
  return sameJson(again, text) ? fields : undefined
}

const isOwn = (
  field: typeof Extra.Type | typeof Nulls.Type | typeof Field.Type
): field is typeof Extra.Type | typeof Nulls.Type => field.name === extraField || field.name === nullsField
const isNullable = (avro: Plain | readonly ["null", Plain]): avro is readonly ["null", Plain] => Array.isArray(avro)

/** The parts that make a schema what it is; registries may order, or leave out, the rest. */
const essence = (text: string): string =>
  JSON.stringify(JSON.parse(text), (key, value: unknown) => {
    if (key === "doc") return undefined
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  })

/** Whether two texts are the same schema. */
export const sameJson = (one: string, other: string): boolean => one === other || essence(one) === essence(other)
