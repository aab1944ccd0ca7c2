import { LosslessJson } from "@tributary/codec"
import type { JsonObject, JsonValue } from "./RecordTransform.ts"

/** Why a record cannot be transformed. It is a value that a step returns; nothing is thrown. */
export class Rejection {
  readonly code: string
  readonly reason: string
  constructor(code: string, reason: string) {
    this.code = code
    this.reason = reason
  }
}

/**
 * A compiled step. It owns the record that it is given and may change it in place; `null` leaves the record out, an array puts
 * several in its place, none of which shares anything with another.
 */
export interface Step {
  /** `false` when the step only decides whether a record stays; its bytes can then stay as they are. */
  readonly changes: boolean
  readonly apply: (record: JsonObject) => JsonObject | ReadonlyArray<JsonObject> | null | Rejection
}

export const isRecord = (value: JsonValue): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof LosslessJson.JsonNumber)

/** The field, or `undefined`: what a record inherits (`constructor`, `toString`) is no field of it. */
export const getField = (record: JsonObject, name: string): JsonValue | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined

/** Sets a field. An assignment to `__proto__` would set the prototype instead. */
export const setField = (record: JsonObject, name: string, value: JsonValue): void => {
  if (name === "__proto__") {
    Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true })
  } else record[name] = value
}

/** What a message calls the kind of a value. */
export const kindOf = (value: JsonValue): string => {
  if (value === null) return "null"
  if (Array.isArray(value)) return "a list"
  switch (typeof value) {
    case "string":
      return "text"
    case "boolean":
      return "a boolean"
    case "number":
    case "bigint":
      return "a number"
    default:
      return value instanceof LosslessJson.JsonNumber ? "a number" : "an object"
  }
}

const longest = 60

/** The value as a message shows it: its JSON text, shortened; the kind only for what is nested. */
export const shown = (value: JsonValue): string => {
  if (typeof value === "string") {
    return value.length > longest
      ? `${JSON.stringify(value.slice(0, longest))}… (${value.length} characters)`
      : JSON.stringify(value)
  }
  if (typeof value === "object" && value !== null && !(value instanceof LosslessJson.JsonNumber)) return kindOf(value)
  const text = String(value)
  return text.length > longest ? `${text.slice(0, longest)}… (${text.length} characters)` : text
}
