import { Context, Effect, Layer, type Option } from "effect"
import { NoRegistry, RegistryError } from "./RegistryError.ts"

export type SchemaType = "avro" | "json-schema"

/** Which changes of a schema a subject accepts, by Confluent's words; `transitive` asks all versions and not only the last. */
export type Compatibility =
  | "BACKWARD"
  | "BACKWARD_TRANSITIVE"
  | "FORWARD"
  | "FORWARD_TRANSITIVE"
  | "FULL"
  | "FULL_TRANSITIVE"
  | "NONE"

/** A schema as its text. `other` is a type that is not written here, such as Protobuf. */
export interface RegisteredSchema {
  readonly type: SchemaType | "other"
  readonly text: string
}

export interface RegisterOptions {
  readonly type: SchemaType
  /** What the subject is set to. Without it a subject keeps what it has, and a new one gets `BACKWARD`. */
  readonly compatibility?: Compatibility
}

/**
 * Schemas by subject and version: any registry with Confluent's API, or a SQLite file in the embedded engine. Nothing of a
 * vendor is visible here.
 */
export class SchemaRegistry extends Context.Service<
  SchemaRegistry,
  {
    /**
     * Registers a schema as the next version of a subject and returns its id; a schema that the subject has already keeps its
     * id. Fails with `SchemaIncompatible` when the subject's compatibility does not allow the change.
     */
    readonly register: (subject: string, text: string, options: RegisterOptions) => Effect.Effect<number, RegistryError>
    /** The schema of an id, which never changes. Fails with `UnknownSchema`. */
    readonly byId: (id: number) => Effect.Effect<RegisteredSchema, RegistryError>
    /** The last version of a subject; none when there is no such subject. */
    readonly latest: (
      subject: string
    ) => Effect.Effect<Option.Option<RegisteredSchema & { readonly id: number }>, RegistryError>
  }
>()("@tributary/schema-registry/SchemaRegistry") {}

const missing = (what: string) => Effect.fail(new RegistryError({ reason: new NoRegistry({ what }) }))

/**
 * No registry: whatever needs one fails and says how to name one. For processes that share topics with others, where schemas
 * of their own would be of no use.
 */
export const layerNone: Layer.Layer<SchemaRegistry> = Layer.succeed(
  SchemaRegistry,
  SchemaRegistry.of({
    register: (subject) => missing(`The schema of ${subject}`),
    latest: (subject) => missing(`The schema of ${subject}`),
    byId: (id) => missing(`A value that was written with schema ${id}`)
  })
)
