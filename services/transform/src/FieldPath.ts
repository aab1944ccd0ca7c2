import type { JsonObject, JsonValue } from "./RecordTransform.ts"
import { getField, isRecord, Rejection, setField } from "./Step.ts"

/**
 * A field of a record: keys joined by dots (`customer.email`). Where a path meets a list it means the field in each of its
 * elements (`items.price`), so that masking or dropping a field leaves none of it behind. A top-level field whose own name is
 * the whole path (as `flatten: "."` makes them) is meant too.
 */
export interface FieldPath {
  readonly text: string
  readonly keys: ReadonlyArray<string>
}

export const fieldPath = (text: string): FieldPath => ({ text, keys: text.split(".") })

type Change = (value: JsonValue) => JsonValue | Rejection

const changeIn = (value: JsonValue, path: FieldPath, at: number, change: Change): Rejection | undefined => {
  if (Array.isArray(value)) {
    for (const element of value) {
      const rejection = changeIn(element, path, at, change)
      if (rejection !== undefined) return rejection
    }
    return undefined
  }
  return isRecord(value) ? changeRecord(value, path, at, change) : undefined
}

const changeRecord = (record: JsonObject, path: FieldPath, at: number, change: Change): Rejection | undefined => {
  const name = path.keys[at]!
  const value = getField(record, name)
  if (value === undefined) return undefined
  if (at < path.keys.length - 1) return changeIn(value, path, at + 1, change)
  const changed = change(value)
  if (changed instanceof Rejection) return changed
  setField(record, name, changed)
  return undefined
}

/** Replaces the value at a path, wherever it is; a missing field stays missing. Stops at the first rejection. */
export const changeField = (record: JsonObject, path: FieldPath, change: Change): Rejection | undefined => {
  if (path.keys.length > 1) {
    const whole = getField(record, path.text)
    if (whole !== undefined) {
      const changed = change(whole)
      if (changed instanceof Rejection) return changed
      setField(record, path.text, changed)
    }
  }
  return changeRecord(record, path, 0, change)
}

/** Fields by name: `"whole"` is the field with all in it, otherwise fields within it. */
export type FieldTree = ReadonlyMap<string, "whole" | FieldTree>

export const fieldTree = (paths: ReadonlyArray<string>): FieldTree => {
  const root: Branch = new Map()
  for (const text of paths) {
    root.set(text, "whole")
    const keys = text.split(".")
    let branch = root
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      const below = branch.get(key)
      if (below === "whole" && i < keys.length - 1) break
      if (i === keys.length - 1) branch.set(key, "whole")
      else if (below instanceof Map) branch = below
      else {
        const next: Branch = new Map()
        branch.set(key, next)
        branch = next
      }
    }
  }
  return root
}
type Branch = Map<string, "whole" | Branch>
