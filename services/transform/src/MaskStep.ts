import { createHmac } from "node:crypto"
import { changeField, fieldPath } from "./FieldPath.ts"
import type { JsonValue } from "./RecordTransform.ts"
import { kindOf, Rejection, type Step } from "./Step.ts"

/**
 * Replaces fields by a keyed hash: HMAC-SHA256 (RFC 2104) in 64 lower-case hexadecimal digits. The key is the salt's UTF-8
 * bytes. Hashed are the UTF-8 bytes of a text itself, of a number's JSON text as the API sent it (`5`, `1.50`), or of `true`
 * or `false`: so equal values have equal hashes in all streams with the same salt, and stay joinable. `null` stays `null` and
 * a missing field stays missing. An object or a list rejects the record, because it would not be clear what is equal.
 */
export const maskStep = (paths: ReadonlyArray<string>, salt: string): Step => {
  const fields = paths.map(fieldPath)
  const masks = fields.map((path) => (value: JsonValue): JsonValue | Rejection => {
    if (value === null) return null
    if (typeof value === "object" && kindOf(value) !== "a number") {
      return new Rejection(
        "mask",
        `Cannot mask ${path.text}: found ${kindOf(value)}, expected text, a number or a boolean.`
      )
    }
    return createHmac("sha256", salt).update(String(value)).digest("hex")
  })
  return {
    changes: true,
    apply: (record) => {
      for (let i = 0; i < fields.length; i++) {
        const rejection = changeField(record, fields[i]!, masks[i]!)
        if (rejection !== undefined) return rejection
      }
      return record
    }
  }
}
