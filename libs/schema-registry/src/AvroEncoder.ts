import type { Rejected } from "@tributary/domain"
import { tickDigits } from "./AvroRecord.ts"
import { BinaryWriter } from "./BinaryWriter.ts"
import type { Inference } from "./Inference.ts"
import { mostFields, type RecordField } from "./RecordField.ts"
import { keyText, misfit, missing, RecordScan, shortened } from "./RecordScan.ts"
import { expectedOf, readDeclared, readInferred, type TypedValue } from "./ValueType.ts"

/** A record that does not fit the schema; `index` is its place among the values. */
export interface RejectedValue extends Rejected {
  readonly index: number
}

export interface Attempt {
  /** In the order of the input; `undefined` for a record that was rejected. */
  readonly values: ReadonlyArray<Uint8Array | undefined>
  readonly rejected: ReadonlyArray<RejectedValue>
}

/** JSON records as Avro with the schema of `writeAvroRecord(topic, fields)`. */
export class AvroEncoder {
  readonly #fields: ReadonlyArray<RecordField>
  readonly #schema: number
  readonly #scan: RecordScan
  /** Keys that get no field, because another has their Avro name. */
  readonly #without: ReadonlySet<string>
  readonly #isFull: boolean
  #writer = new BinaryWriter(0)
  #value: Buffer = Buffer.alloc(0)
  /** Of the record: what goes to `_extra`, with the place of its JSON in `#value`. */
  #extra: Array<readonly [key: string, from: number, to: number]> = []
  #nulls: Array<string> = []

  /** `all` are the fields of the stream, also those that the schema cannot have. */
  constructor(schema: number, fields: ReadonlyArray<RecordField>, all: ReadonlyArray<RecordField>) {
    this.#schema = schema
    this.#fields = fields
    this.#scan = new RecordScan(fields.map(({ key }) => key))
    const kept = new Set(fields)
    this.#without = new Set(all.filter((field) => !kept.has(field)).map(({ key }) => key))
    this.#isFull = all.length >= mostFields
  }

  /** `unknown` is told of the values that have no field. */
  encode(values: ReadonlyArray<Uint8Array>, unknown: Inference): Attempt {
    let bytes = 0
    for (const value of values) bytes += value.length
    this.#writer = new BinaryWriter(bytes + values.length * 16)
    const encoded: Array<Uint8Array | undefined> = []
    const rejected: Array<RejectedValue> = []
    for (let index = 0; index < values.length; index++) {
      const problem = this.#record(values[index]!, unknown)
      if (problem === undefined) encoded.push(this.#writer.end())
      else {
        this.#writer.drop()
        encoded.push(undefined)
        rejected.push({ index, ...problem })
      }
    }
    return { values: encoded, rejected }
  }

  #record(source: Uint8Array, unknown: Inference): Rejected | undefined {
    const value = Buffer.from(source.buffer, source.byteOffset, source.byteLength)
    this.#value = value
    const writer = this.#writer
    writer.begin(this.#schema)
    const scan = this.#scan
    const wrong = scan.scan(value)
    if (wrong !== undefined) return wrong
    this.#extra = []
    this.#nulls = []
    for (let index = 0; index < this.#fields.length; index++) {
      const problem = this.#field(this.#fields[index]!, scan.from[index]!, scan.to[index]!)
      if (problem !== undefined) return problem
    }
    for (let n = 0; n < scan.otherCount; n++) {
      const key = keyText(value, scan.others[4 * n]!, scan.others[4 * n + 1]!)
      const [from, to] = [scan.others[4 * n + 2]!, scan.others[4 * n + 3]!]
      if (!key.isWellFormed())
        return { code: "invalid_key", reason: `The key ${JSON.stringify(key)} is no Unicode text.` }
      if (value[from] === 0x6e) this.#nulls.push(key)
      else {
        this.#extra.push([key, from, to])
        if (!this.#isFull && !this.#without.has(key)) unknown.look(key, value.toString("utf8", from, to))
      }
    }
    this.#block(this.#extra.length, (n) => {
      const [key, from, to] = this.#extra[n]!
      writer.string(key)
      writer.bytes(value, from, to)
    })
    this.#block(this.#nulls.length, (n) => writer.string(this.#nulls[n]!))
    return undefined
  }

  /** A map or an array: one block of its entries, and the end. */
  #block(count: number, write: (n: number) => void): void {
    if (count > 0) {
      this.#writer.long(count)
      for (let n = 0; n < count; n++) write(n)
    }
    this.#writer.byte(0)
  }

  #field(field: RecordField, from: number, to: number): Rejected | undefined {
    const { declared, key, nullable, type } = field
    const value = this.#value
    const writer = this.#writer
    if (from < 0 || value[from] === 0x6e) {
      if (!nullable) return missing(key, from < 0 ? "nothing" : "null", expectedOf(type))
      if (from >= 0) this.#nulls.push(key)
      writer.byte(0)
      return undefined
    }
    const { kind } = type
    // What is in UTF-8 as it will be is copied.
    const text = kind === "string" && value[from] === 0x22
    if (kind === "json" || (text && !hasEscape(value, from, to))) {
      if (nullable) writer.byte(2)
      if (text) writer.bytes(value, from + 1, to - 1)
      else writer.bytes(value, from, to)
      return undefined
    }
    const json = value.toString("utf8", from, to)
    const read = declared ? readDeclared(type, json) : readInferred(type, json)
    if (read === undefined) {
      if (declared) return misfit(key, shortened(value, from, to), expectedOf(type))
      this.#extra.push([key, from, to])
      writer.byte(0)
      return undefined
    }
    if (nullable) writer.byte(2)
    this.#typed(field, read)
    return undefined
  }

  #typed({ type }: RecordField, value: TypedValue): void {
    const writer = this.#writer
    switch (typeof value) {
      case "boolean":
        return writer.byte(value ? 1 : 0)
      case "string":
        return writer.string(value)
      case "number":
        return type.kind === "float" ? writer.double(value) : writer.long(value)
      case "bigint":
        if (type.kind === "decimal" || (type.kind === "int" && type.bits === 64 && !type.signed))
          return writer.decimal(value)
        return writer.long(
          type.kind === "timestamp" ? value * 10n ** BigInt(tickDigits(type.digits) - type.digits) : value
        )
    }
  }
}

const hasEscape = (value: Buffer, from: number, to: number): boolean => {
  for (let i = from; i < to; i++) if (value[i] === 0x5c) return true
  return false
}
