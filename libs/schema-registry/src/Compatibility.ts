import avsc from "avsc"
import type { Compatibility, SchemaType } from "./SchemaRegistry.ts"
import { readsJson } from "./JsonCompatibility.ts"

/** Decimals are read by others of the same scale and at least their precision only: without it their digits would move. */
class DecimalType extends avsc.types.LogicalType {
  readonly #precision: number
  readonly #scale: number
  constructor(schema: avsc.Schema, options: unknown) {
    super(schema, options)
    const read = (name: string): number => {
      const value: unknown = Reflect.get(Object(schema), name)
      return typeof value === "number" ? value : 0
    }
    this.#precision = read("precision")
    this.#scale = read("scale")
  }
  override _resolve(type: avsc.Type): unknown {
    return type instanceof DecimalType && type.#scale === this.#scale && type.#precision <= this.#precision
      ? (value: unknown) => value
      : undefined
  }
}

/** A schema of Avro, read; what is wrong with it when it is none. */
export const parseAvro = (text: string): avsc.Type | string => {
  try {
    return avsc.Type.forSchema(JSON.parse(text), { logicalTypes: { decimal: DecimalType } })
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Why values written with `writer` cannot be read with `reader` (Avro 1.12, "Schema Resolution"); `undefined` when they can. */
const readsAvro = (reader: string, writer: string): string | undefined => {
  const to = parseAvro(reader)
  const from = parseAvro(writer)
  if (typeof to === "string") return to
  if (typeof from === "string") return from
  try {
    to.createResolver(from)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Why a schema may not follow the versions before it, the last one first; `undefined` when it may. */
export const incompatibility = (
  type: SchemaType,
  compatibility: Compatibility,
  fresh: string,
  versions: ReadonlyArray<string>
): string | undefined => {
  if (compatibility === "NONE") return undefined
  const reads = type === "avro" ? readsAvro : readsJson
  const asked = compatibility.endsWith("_TRANSITIVE") ? versions : versions.slice(0, 1)
  for (const before of asked) {
    const problem =
      (compatibility.startsWith("FORWARD") ? undefined : reads(fresh, before)) ??
      (compatibility.startsWith("BACKWARD") ? undefined : reads(before, fresh))
    if (problem !== undefined) return problem
  }
  return undefined
}
