import type { LosslessJson } from "@tributary/codec"

/** A JSON value. Integers beyond 2^53 are `bigint`; a number like `1.50`, whose text a double would not give back, is a `JsonNumber`. */
export type JsonValue = LosslessJson.Json

/** A record: what stands between `{` and `}`. */
export interface JsonObject {
  [key: string]: JsonValue
}

/**
 * What a file named by a `typescript` step exports as `transform`:
 *
 * ```ts
 * import type { RecordTransform } from "@tributary/transform"
 *
 * export const transform: RecordTransform = (record) => ({ ...record, total: Number(record.total) * 100 })
 * ```
 *
 * It returns one record, many (an array), or none (`null`). It is synchronous and pure: the same record gives the same result,
 * because a record may be transformed again after a crash. If it throws, or returns something that is not JSON (`undefined`,
 * `NaN`, a `Date`, a cycle, a promise), the record is rejected with the message and goes to the dead-letter topic; others go on.
 */
export type RecordTransform = (record: JsonObject) => JsonObject | ReadonlyArray<JsonObject> | null
