import type { Rejected } from "@tributary/domain"
import { Option, Schema } from "effect"
import type { Attempt, RejectedValue } from "./AvroEncoder.ts"
import { writeDate, writeTime } from "./Calendar.ts"
import { mostFields } from "./RecordField.ts"
import { keyText, misfit, missing, RecordScan, shortened } from "./RecordScan.ts"
import { type DeclaredType, expectedOf, readDeclared, type TypedValue, type ValueType } from "./ValueType.ts"

/** JSON types of the fields that the connector file does not declare, by key. */
export type JsonTypes = ReadonlyMap<string, ReadonlySet<string>>

const draft = "http://json-schema.org/draft-07/schema#"
const JsonRecordText = Schema.fromJsonString(
  Schema.Struct({
    $comment: Schema.Literal("tributary"),
    properties: Schema.Record(
      Schema.String,
      Schema.Struct({ type: Schema.optionalKey(Schema.Union([Schema.String, Schema.Array(Schema.String)])) })
    )
  })
)
const decodeText = Schema.decodeUnknownOption(JsonRecordText)

const propertyOf = (type: ValueType): Readonly<Record<string, unknown>> => {
  switch (type.kind) {
    case "bool":
      return { type: "boolean" }
    case "float":
    case "decimal":
      return { type: "number" }
    case "string":
      return { type: "string" }
    case "json":
      return {}
    case "uuid":
      return { type: "string", format: "uuid" }
    case "date":
      return { type: "string", format: "date" }
    case "timestamp":
      return { type: "string", format: "date-time" }
    case "int": {
      if (type.bits === 64) return type.signed ? { type: "integer" } : { type: "integer", minimum: 0 }
      const max = 2 ** (type.signed ? type.bits - 1 : type.bits)
      return { type: "integer", minimum: type.signed ? -max : 0, maximum: max - 1 }
    }
  }
}

/**
 * The schema of a stream's records. Closed, it names every field, so that a new field is a change that older records keep to;
 * open, it says nothing of fields that are not declared.
 */
export const writeJsonRecord = (
  topic: string,
  declared: ReadonlyMap<string, DeclaredType>,
  types: JsonTypes,
  isOpen: boolean
): string => {
  const properties: Record<string, unknown> = {}
  const put = (key: string, value: unknown) =>
    // `__proto__` is a key like any other.
    Object.defineProperty(properties, key, { value, enumerable: true, configurable: true, writable: true })
  const required: Array<string> = []
  for (const [key, { nullable, type }] of declared) {
    const property = propertyOf(type)
    put(key, nullable && "type" in property ? { ...property, type: [property["type"], "null"] } : property)
    if (!nullable) required.push(key)
  }
  if (!isOpen) for (const [key, found] of types) if (!declared.has(key)) put(key, { type: [...found].sort() })
  return JSON.stringify({
    $schema: draft,
    $comment: "tributary",
    title: topic,
    type: "object",
    properties,
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: isOpen || types.size >= mostFields
  })
}

/** The types of a schema that `writeJsonRecord` made; `undefined` for any other. */
export const readJsonRecord = (text: string): JsonTypes | undefined =>
  Option.match(decodeText(text), {
    onNone: () => undefined,
    onSome: ({ properties }) =>
      new Map(
        Object.entries(properties).map(([key, { type = [] }]) => [
          key,
          new Set(typeof type === "string" ? [type] : type)
        ])
      )
  })

/** JSON type of the value that begins at `from`. */
const jsonType = (value: Buffer, from: number, to: number): string => {
  switch (value[from]) {
    case 0x22:
      return "string"
    case 0x7b:
      return "object"
    case 0x5b:
      return "array"
    case 0x74:
    case 0x66:
      return "boolean"
    case 0x6e:
      return "null"
    default:
      return /[.eE]/u.test(value.toString("latin1", from, to)) ? "number" : "integer"
  }
}

/** Adds a type; a number takes whole numbers in. Returns whether it was new. */
const widen = (types: Set<string>, type: string): boolean => {
  if (types.has(type) || (type === "integer" && types.has("number"))) return false
  if (type === "number") types.delete("integer")
  types.add(type)
  return true
}

/** Notes a type that a field has and its schema does not allow yet. */
const meet = (unknown: Map<string, Set<string>>, key: string, type: string): void => {
  let types = unknown.get(key)
  if (types === undefined) {
    types = new Set(["null"])
    unknown.set(key, types)
  }
  widen(types, type)
}

/** JSON text of a declared value whose JSON has another type, such as a number in quotes; `undefined` to leave it as it is. */
const respelled = (type: ValueType, json: string, value: TypedValue): string | undefined => {
  const quoted = json.startsWith('"')
  switch (type.kind) {
    case "int":
    case "float":
    case "decimal":
      return quoted ? json.slice(1, -1) : undefined
    case "string":
      return quoted ? undefined : JSON.stringify(value)
    case "timestamp":
      return quoted || typeof value !== "bigint" ? undefined : `"${writeTime(value, type.digits)}"`
    case "date":
      return typeof value === "number" && !quoted ? `"${writeDate(value)}"` : undefined
    default:
      return undefined
  }
}

/** JSON records under the schema of `writeJsonRecord`: the bytes that were sent, but for declared values in another spelling. */
export class JsonRecordEncoder {
  readonly #declared: ReadonlyArray<readonly [key: string, type: DeclaredType]>
  readonly #scan: RecordScan
  /** Fields that are not declared, with their types; they stand behind the declared ones in the scan. */
  readonly #inferred: ReadonlyArray<readonly [key: string, types: ReadonlySet<string>]>
  readonly #isOpen: boolean
  readonly #header: Buffer

  constructor(schema: number, declared: ReadonlyMap<string, DeclaredType>, types: JsonTypes, isOpen: boolean) {
    this.#isOpen = isOpen || types.size >= mostFields
    this.#declared = [...declared]
    this.#inferred = this.#isOpen ? [] : [...types].filter(([key]) => !declared.has(key))
    this.#scan = new RecordScan([...this.#declared, ...this.#inferred].map(([key]) => key))
    this.#header = Buffer.alloc(5)
    this.#header.writeInt32BE(schema, 1)
  }

  /** `unknown` gets the types of fields that the schema does not allow yet. */
  encode(values: ReadonlyArray<Uint8Array>, unknown: Map<string, Set<string>>): Attempt {
    const encoded: Array<Uint8Array | undefined> = []
    const rejected: Array<RejectedValue> = []
    for (let index = 0; index < values.length; index++) {
      const result = this.#record(values[index]!, unknown)
      if (result instanceof Uint8Array) encoded.push(result)
      else {
        encoded.push(undefined)
        rejected.push({ index, ...result })
      }
    }
    return { values: encoded, rejected }
  }

  #record(source: Uint8Array, unknown: Map<string, Set<string>>): Uint8Array | Rejected {
    const value = Buffer.from(source.buffer, source.byteOffset, source.byteLength)
    const scan = this.#scan
    const wrong = scan.scan(value)
    if (wrong !== undefined) return wrong
    const changes: Array<{ readonly from: number; readonly to: number; readonly text: string }> = []
    for (let index = 0; index < this.#declared.length; index++) {
      const [key, { nullable, type }] = this.#declared[index]!
      const [from, to] = [scan.from[index]!, scan.to[index]!]
      if (from < 0 || value[from] === 0x6e) {
        if (!nullable) return missing(key, from < 0 ? "nothing" : "null", expectedOf(type))
        continue
      }
      if (type.kind === "json") continue
      const json = value.toString("utf8", from, to)
      const read = readDeclared(type, json)
      if (read === undefined) return misfit(key, shortened(value, from, to), expectedOf(type))
      const text = respelled(type, json, read)
      if (text !== undefined) changes.push({ from, to, text })
    }
    for (let index = 0; index < this.#inferred.length; index++) {
      const place = this.#declared.length + index
      if (scan.from[place]! < 0) continue
      const [key, known] = this.#inferred[index]!
      const type = jsonType(value, scan.from[place]!, scan.to[place]!)
      if (!known.has(type) && !(type === "integer" && known.has("number"))) meet(unknown, key, type)
    }
    for (let n = 0; !this.#isOpen && n < scan.otherCount; n++) {
      const key = keyText(value, scan.others[4 * n]!, scan.others[4 * n + 1]!)
      meet(unknown, key, jsonType(value, scan.others[4 * n + 2]!, scan.others[4 * n + 3]!))
    }
    if (changes.length === 0) return Buffer.concat([this.#header, value])
    const parts: Array<Uint8Array> = [this.#header]
    let at = 0
    for (const { from, text, to } of changes.sort((one, other) => one.from - other.from)) {
      parts.push(value.subarray(at, from), Buffer.from(text))
      at = to
    }
    parts.push(value.subarray(at))
    return Buffer.concat(parts)
  }
}

/** All types of both, key by key. */
export const mergeTypes = (known: JsonTypes, fresh: JsonTypes): JsonTypes => {
  const merged = new Map<string, Set<string>>()
  for (const types of [known, fresh]) {
    for (const [key, found] of types) {
      let own = merged.get(key)
      if (own === undefined) {
        if (merged.size >= mostFields) continue
        own = new Set()
        merged.set(key, own)
      }
      for (const type of found) widen(own, type)
    }
  }
  return merged
}
