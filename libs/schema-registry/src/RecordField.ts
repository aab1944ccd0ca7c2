import type { DeclaredType, ValueType } from "./ValueType.ts"

/** A field of a stream's records, as the schema of its topic has it. */
export interface RecordField {
  /** The key in JSON. */
  readonly key: string
  readonly type: ValueType
  readonly nullable: boolean
  /** Its type stands in the connector file: a record whose value does not fit is rejected. */
  readonly declared: boolean
}

/** Most fields that a schema gets by itself; what comes later stays in `_extra`. */
export const mostFields = 1_000

/** Adds declared fields and fresh ones to those that are known, up to `mostFields`. What is known stays, but for a declaration. */
export const mergeFields = (
  declared: ReadonlyMap<string, DeclaredType>,
  known: ReadonlyArray<RecordField>,
  fresh: ReadonlyArray<RecordField>
): ReadonlyArray<RecordField> => {
  const fields = new Map<string, RecordField>()
  const stated = [...declared].map(([key, { nullable, type }]): RecordField => ({
    key,
    type,
    nullable,
    declared: true
  }))
  for (const list of [known, stated, fresh]) {
    for (const field of list) {
      if (fields.has(field.key)) continue
      const own = declared.get(field.key)
      if (own === undefined && fields.size >= mostFields) continue
      fields.set(
        field.key,
        own === undefined
          ? // One that is no longer declared may be missing.
            { ...field, nullable: true, declared: false }
          : { key: field.key, ...own, declared: true }
      )
    }
  }
  return [...fields.values()]
}
