import { Effect } from "effect"
import type { Rejected } from "@tributary/domain"
import { avroDecoder } from "./AvroDecoder.ts"
import type { RegistryError } from "./RegistryError.ts"
import { SchemaRegistry } from "./SchemaRegistry.ts"

/** First byte of a value in Confluent's wire format; no JSON begins with it. */
const magic = 0

/** Values as JSON, and by index what is wrong with those that cannot be read; these stay as they are. */
export interface DecodedValues {
  readonly values: ReadonlyArray<Uint8Array>
  readonly wrong: ReadonlyMap<number, Rejected>
}

/** Decodes values of any topic. */
export interface ValueDecoder {
  /** Values that are in Confluent's wire format become JSON; all others stay as they are, and cost a look at a byte. */
  readonly decode: (values: ReadonlyArray<Uint8Array>) => Effect.Effect<DecodedValues, RegistryError>
}

type Read = (payload: Uint8Array) => Uint8Array
const none: ReadonlyMap<number, Rejected> = new Map()

/** The schema that a value was written with; -1 when it is in no wire format, -2 when it ends too soon. */
const schemaOf = (value: Uint8Array): number =>
  value[0] !== magic ? -1 : value.length < 5 ? -2 : new DataView(value.buffer, value.byteOffset).getUint32(1)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const undecodable = (schema: number, problem: string): Rejected => ({
  code: "undecodable",
  reason: `The value cannot be read with schema ${schema}, which it names: ${problem}.`
})

/** A decoder, with the schemas that it has met. */
export const valueDecoder: Effect.Effect<ValueDecoder, never, SchemaRegistry> = Effect.gen(function* () {
  const registry = yield* SchemaRegistry
  const readers = new Map<number, Read | Rejected>()

  const readerOf = Effect.fnUntraced(function* (schema: number) {
    const { text, type } = yield* registry.byId(schema)
    if (type === "json-schema") return (payload: Uint8Array) => payload
    if (type === "other") return undecodable(schema, "it is neither Avro nor JSON Schema")
    return yield* Effect.try({ try: () => avroDecoder(text), catch: messageOf }).pipe(
      Effect.catch((problem) => Effect.succeed(undecodable(schema, problem)))
    )
  })

  const decode = Effect.fn("ValueDecoder.decode")(function* (values: ReadonlyArray<Uint8Array>) {
    if (!values.some((value) => value[0] === magic)) return { values, wrong: none } satisfies DecodedValues
    const wrong = new Map<number, Rejected>()
    for (const value of values) {
      const schema = schemaOf(value)
      if (schema >= 0 && !readers.has(schema)) readers.set(schema, yield* readerOf(schema))
    }
    const decoded = values.map((value, index) => {
      const schema = schemaOf(value)
      if (schema === -1) return value
      const read = readers.get(schema)
      if (typeof read !== "function") {
        wrong.set(
          index,
          read ?? { code: "undecodable", reason: "The value begins with a zero byte and ends before its schema's id." }
        )
        return value
      }
      try {
        return read(value.subarray(5))
      } catch (error) {
        wrong.set(index, undecodable(schema, messageOf(error)))
        return value
      }
    })
    return { values: decoded, wrong } satisfies DecodedValues
  })
  return { decode }
})
