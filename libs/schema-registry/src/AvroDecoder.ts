import { Option, Schema } from "effect"
import { extraField, nullsField } from "./AvroRecord.ts"
import { BinaryReader } from "./BinaryReader.ts"
import { writeDate, writeTime } from "./Calendar.ts"

/** Reads a value from the reader as JSON text. */
type Read = (reader: BinaryReader) => string

const Named = Schema.Struct({
  type: Schema.String,
  name: Schema.optionalKey(Schema.String),
  namespace: Schema.optionalKey(Schema.String),
  logicalType: Schema.optionalKey(Schema.String),
  scale: Schema.optionalKey(Schema.Int),
  size: Schema.optionalKey(Schema.Int),
  symbols: Schema.optionalKey(Schema.Array(Schema.String)),
  fields: Schema.optionalKey(
    Schema.Array(
      Schema.Struct({ name: Schema.String, type: Schema.Unknown, json_key: Schema.optionalKey(Schema.String) })
    )
  ),
  items: Schema.optionalKey(Schema.Unknown),
  values: Schema.optionalKey(Schema.Unknown)
})
type Named = typeof Named.Type
const decodeNamed = Schema.decodeUnknownOption(Named)
/** A type that stands in an object of its own: `{"type": {"type": "string"}}`. */
const Wrapped = Schema.Struct({ type: Schema.Unknown })
const decodeWrapped = Schema.decodeUnknownOption(Wrapped)

const numberText = (value: number): string =>
  Object.is(value, -0) ? "-0" : Number.isFinite(value) ? String(value) : JSON.stringify(String(value))

const decimalText = (units: bigint, scale: number): string => {
  if (scale <= 0) return String(units)
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0")
  return `${units < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

const longTypes: Readonly<Record<string, readonly [digits: number, zone: string]>> = {
  "timestamp-millis": [3, "Z"],
  "timestamp-micros": [6, "Z"],
  "timestamp-nanos": [9, "Z"],
  "local-timestamp-millis": [3, ""],
  "local-timestamp-micros": [6, ""],
  "local-timestamp-nanos": [9, ""]
}

const isNullType = (type: unknown): boolean => type === "null"

/** Makes readers of the types of one schema. */
class Compiler {
  readonly #names = new Map<string, Read>()

  compile(type: unknown, namespace: string): Read {
    if (typeof type === "string") return this.#primitive(type, namespace)
    if (Array.isArray(type)) return this.#union(type, namespace)
    const named = Option.getOrUndefined(decodeNamed(type))
    if (named !== undefined) return this.#named(named, namespace)
    const wrapped = Option.getOrUndefined(decodeWrapped(type))
    if (wrapped === undefined) throw new TypeError(`${JSON.stringify(type)} is no Avro type.`)
    return this.compile(wrapped.type, namespace)
  }

  #primitive(name: string, namespace: string): Read {
    switch (name) {
      case "null":
        return () => "null"
      case "boolean":
        return (reader) => (reader.byte() === 0 ? "false" : "true")
      case "int":
      case "long":
        return (reader) => reader.long().toString()
      case "float":
        return (reader) => numberText(reader.float())
      case "double":
        return (reader) => numberText(reader.double())
      case "string":
        return (reader) => JSON.stringify(reader.string())
      case "bytes":
        return (reader) => JSON.stringify(reader.bytes(reader.length()).toString("base64"))
      default: {
        const full = name.includes(".") || namespace === "" ? name : `${namespace}.${name}`
        // Looked up when it is read: a type may contain itself.
        return (reader) => {
          const read = this.#names.get(full) ?? this.#names.get(name)
          if (read === undefined) throw new TypeError(`The schema names the type ${name}, which it does not have.`)
          return read(reader)
        }
      }
    }
  }

  #union(types: ReadonlyArray<unknown>, namespace: string): Read {
    const reads = types.map((type) => this.compile(type, namespace))
    return (reader) => {
      const read = reads[Number(reader.long())]
      if (read === undefined) throw new RangeError("a branch of a union that its schema does not have")
      return read(reader)
    }
  }

  #named(schema: Named, outer: string): Read {
    const namespace = schema.namespace ?? (schema.name?.includes(".") === true ? parentOf(schema.name) : outer)
    const read = this.#complex(schema, namespace)
    if (schema.name !== undefined) {
      const full = schema.name.includes(".") || namespace === "" ? schema.name : `${namespace}.${schema.name}`
      this.#names.set(full, read)
    }
    return read
  }

  #complex(schema: Named, namespace: string): Read {
    const { logicalType = "", scale = 0, size = 0, type } = schema
    switch (type) {
      case "record":
      case "error":
        return this.#record(schema, namespace)
      case "enum": {
        const symbols = (schema.symbols ?? []).map((symbol) => JSON.stringify(symbol))
        return (reader) => {
          const symbol = symbols[Number(reader.long())]
          if (symbol === undefined) throw new RangeError("a symbol that its schema does not have")
          return symbol
        }
      }
      case "array": {
        const item = this.compile(schema.items, namespace)
        return (reader) => `[${reader.blocks(() => item(reader)).join()}]`
      }
      case "map": {
        const value = this.compile(schema.values, namespace)
        return (reader) => `{${reader.blocks(() => `${JSON.stringify(reader.string())}:${value(reader)}`).join()}}`
      }
      case "fixed":
        return logicalType === "decimal"
          ? (reader) => decimalText(reader.units(size), scale)
          : (reader) => JSON.stringify(reader.bytes(size).toString("base64"))
      case "bytes":
        if (logicalType === "decimal") return (reader) => decimalText(reader.units(reader.length()), scale)
        break
      case "int":
        if (logicalType === "date") return (reader) => `"${writeDate(Number(reader.long()))}"`
        break
      case "long": {
        const time = longTypes[logicalType]
        if (time === undefined) break
        const [digits, zone] = time
        return (reader) => `"${writeTime(BigInt(reader.long()), digits, zone)}"`
      }
      case "string":
        if (logicalType === "json") return (reader) => reader.string()
    }
    return this.#primitive(type, namespace)
  }

  #record({ fields = [] }: Named, namespace: string): Read {
    // Ours keep JSON's difference between null and absent.
    const isOurs = fields.some(({ name }) => name === extraField) && fields.some(({ name }) => name === nullsField)
    const reads = fields.map(({ json_key, name, type }) => ({
      key: `${JSON.stringify(json_key ?? name)}:`,
      kind: isOurs && name === extraField ? "extra" : isOurs && name === nullsField ? "nulls" : "field",
      mayBeNull: Array.isArray(type) && type.some(isNullType),
      read: this.compile(type, namespace)
    }))
    return (reader) => {
      const members: Array<string> = []
      for (const { key, kind, mayBeNull, read } of reads) {
        if (kind === "extra") {
          members.push(...reader.blocks(() => `${JSON.stringify(reader.string())}:${reader.string()}`))
        } else if (kind === "nulls") {
          members.push(...reader.blocks(() => `${JSON.stringify(reader.string())}:null`))
        } else {
          const value = read(reader)
          if (!isOurs || !mayBeNull || value !== "null") members.push(key + value)
        }
      }
      return `{${members.join()}}`
    }
  }
}

const parentOf = (name: string): string => name.slice(0, name.lastIndexOf("."))

/**
 * A function that reads Avro values of a schema as JSON: whole numbers and decimals with all their digits, times by RFC 3339,
 * bytes as base64. It throws for bytes that are no such value. Throws itself for a text that is no Avro schema.
 */
export const avroDecoder = (text: string): ((value: Uint8Array) => Uint8Array) => {
  const read = new Compiler().compile(JSON.parse(text), "")
  return (value) => {
    const reader = new BinaryReader(value)
    const json = read(reader)
    reader.end()
    return Buffer.from(json)
  }
}
