import { type Connector, outputTopic, streamOf, type Topic } from "@tributary/domain"
import { Effect, Option, Semaphore } from "effect"
import { AvroEncoder, type Attempt } from "./AvroEncoder.ts"
import { avroFields, readAvroRecord, sameJson, writeAvroRecord } from "./AvroRecord.ts"
import { Inference } from "./Inference.ts"
import { JsonRecordEncoder, type JsonTypes, mergeTypes, readJsonRecord, writeJsonRecord } from "./JsonRecord.ts"
import { mergeFields, type RecordField } from "./RecordField.ts"
import type { RegistryError } from "./RegistryError.ts"
import { type Compatibility, SchemaRegistry, type SchemaType } from "./SchemaRegistry.ts"
import { type DeclaredType, declaredType } from "./ValueType.ts"

export type { Attempt as EncodedValues, RejectedValue } from "./AvroEncoder.ts"

/** Encodes the values of one topic. */
export interface ValueEncoder {
  /**
   * JSON records as the topic has its values. A field that no record had before becomes part of the schema, which is registered
   * first; so a failure of the registry fails the batch, and nothing of it is encoded. Batches with known fields ask nobody.
   */
  readonly encode: (values: ReadonlyArray<Uint8Array>) => Effect.Effect<Attempt, RegistryError>
}

/** What a batch had that the schema does not. */
interface Fresh<F> {
  readonly isEmpty: boolean
  readonly found: F
}

type Encode<S> = (values: ReadonlyArray<Uint8Array>, fresh: S) => Attempt

/** One kind of schemas: how they are put together, written and read. */
interface Kind<F, S extends Fresh<F>> {
  readonly type: SchemaType
  readonly nothing: F
  /** `undefined` for a schema that `write` did not make. */
  readonly read: (text: string) => F | undefined
  readonly write: (found: F) => string
  /** Adds what is fresh to what is known, and what is declared to both. */
  readonly merge: (known: F, fresh: F) => F
  readonly fresh: () => S
  readonly encoder: (id: number, found: F) => Encode<S>
}

/** A schema that has been agreed on with the registry. */
interface Agreed<F, S> {
  readonly found: F
  readonly encode: Encode<S>
}

/** A schema that others change at the same time is agreed on again this often. */
const rounds = 4

/** Subject of the values of a topic, by Confluent's TopicNameStrategy. */
export const subjectOf = (topic: string): string => `${topic}-value`

const makeEncoder = Effect.fnUntraced(function* <F, S extends Fresh<F>>(
  subject: string,
  kind: Kind<F, S>,
  compatibility?: Compatibility
) {
  const registry = yield* SchemaRegistry
  const one = yield* Semaphore.make(1)
  let agreed: Agreed<F, S> | undefined

  /** Makes what is known and `fresh` one schema with the subject's last, and has it registered. */
  const agree = Effect.fn("ValueEncoder.agree")(function* (fresh: F) {
    for (let round = 1; ; round++) {
      const last = Option.getOrUndefined(yield* registry.latest(subject))
      const before = last?.type === kind.type ? kind.read(last.text) : undefined
      const found = kind.merge(kind.merge(before ?? kind.nothing, agreed?.found ?? kind.nothing), fresh)
      const text = kind.write(found)
      const id =
        last !== undefined && before !== undefined && sameJson(last.text, text)
          ? last.id
          : yield* registry
              .register(subject, text, { type: kind.type, ...(compatibility === undefined ? {} : { compatibility }) })
              .pipe(
                Effect.catchIf(
                  (error) => error.reason._tag === "SchemaIncompatible" && round < rounds,
                  (error) =>
                    // Another worker may have registered its fields since; theirs hold then.
                    Effect.flatMap(registry.latest(subject), (now) =>
                      Option.getOrUndefined(now)?.id === last?.id ? Effect.fail(error) : Effect.undefined
                    )
                )
              )
      if (id === undefined) continue
      agreed = { found, encode: kind.encoder(id, found) }
      yield* Effect.logDebug("Schema agreed on.").pipe(Effect.annotateLogs({ subject, schema: id }))
      return agreed
    }
  })

  const encode = Effect.fn("ValueEncoder.encode")(function* (values: ReadonlyArray<Uint8Array>) {
    let current = agreed
    if (current === undefined) {
      // What the first batch has is found with a schema of the declared fields only.
      const fresh = kind.fresh()
      kind.encoder(0, kind.merge(kind.nothing, kind.nothing))(values, fresh)
      current = yield* one.withPermits(1)(agree(fresh.found))
    }
    for (let round = 1; ; round++) {
      const fresh = kind.fresh()
      const attempt = current.encode(values, fresh)
      if (fresh.isEmpty || round === rounds) return attempt
      current = yield* one.withPermits(1)(agree(fresh.found))
    }
  })
  return { encode } satisfies ValueEncoder
})

class AvroFresh implements Fresh<ReadonlyArray<RecordField>> {
  readonly inference = new Inference()
  get isEmpty(): boolean {
    return this.inference.size === 0
  }
  get found(): ReadonlyArray<RecordField> {
    return this.inference.types.map(([key, type]) => ({ key, type, nullable: true, declared: false }))
  }
}

class JsonFresh implements Fresh<JsonTypes> {
  readonly types = new Map<string, Set<string>>()
  get isEmpty(): boolean {
    return this.types.size === 0
  }
  get found(): JsonTypes {
    return this.types
  }
}

const avroKind = (
  topic: string,
  declared: ReadonlyMap<string, DeclaredType>
): Kind<ReadonlyArray<RecordField>, AvroFresh> => ({
  type: "avro",
  nothing: [],
  read: (text) => readAvroRecord(topic, text),
  write: (found) => writeAvroRecord(topic, avroFields(found)),
  merge: (known, fresh) => mergeFields(declared, known, fresh),
  fresh: () => new AvroFresh(),
  encoder: (id, found) => {
    const encoder = new AvroEncoder(id, avroFields(found), found)
    return (values, fresh) => encoder.encode(values, fresh.inference)
  }
})

const jsonKind = (
  topic: string,
  declared: ReadonlyMap<string, DeclaredType>,
  isOpen: boolean
): Kind<JsonTypes, JsonFresh> => ({
  type: "json-schema",
  nothing: new Map(),
  read: readJsonRecord,
  write: (types) => writeJsonRecord(topic, declared, types, isOpen),
  merge: mergeTypes,
  fresh: () => new JsonFresh(),
  encoder: (id, types) => {
    const encoder = new JsonRecordEncoder(id, declared, types, isOpen)
    return (values, fresh) => encoder.encode(values, fresh.types)
  }
})

const levels: Readonly<Record<NonNullable<Topic["compatibility"]>, Compatibility>> = {
  backward: "BACKWARD",
  forward: "FORWARD",
  full: "FULL",
  none: "NONE"
}

/**
 * The encoder of the values of a stream's output topic; `undefined` when they are JSON and go as they are. Its schema is that of
 * the subject `<topic>-value`, with the types that the stream declares, and others inferred.
 */
export const valueEncoder = (
  connector: Connector,
  stream: string
): Effect.Effect<ValueEncoder | undefined, never, SchemaRegistry> => {
  const { schema, topic } = streamOf(connector, stream)
  if (topic.format === "json") return Effect.undefined
  const name = outputTopic(connector, stream)
  const declared = new Map(Object.entries(schema).map(([key, type]) => [key, declaredType(type)]))
  const compatibility = topic.compatibility === undefined ? undefined : levels[topic.compatibility]
  if (topic.format === "avro") return makeEncoder(subjectOf(name), avroKind(name, declared), compatibility)
  // Others may only add fields to a schema that has left them open.
  const isOpen = topic.compatibility === "forward" || topic.compatibility === "full"
  return makeEncoder(subjectOf(name), jsonKind(name, declared, isOpen), compatibility)
}
