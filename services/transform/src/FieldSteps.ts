import { fieldPath, type FieldPath, type FieldTree, fieldTree } from "./FieldPath.ts"
import type { JsonObject, JsonValue } from "./RecordTransform.ts"
import { getField, isRecord, kindOf, Rejection, setField, type Step } from "./Step.ts"

const keepIn = (record: JsonObject, tree: FieldTree): JsonObject => {
  const kept: JsonObject = {}
  for (const name of Object.keys(record)) {
    const below = tree.get(name)
    if (below === undefined) continue
    const value = below === "whole" ? record[name] : keepBelow(record[name]!, below)
    if (value !== undefined) setField(kept, name, value)
  }
  return kept
}

const keepBelow = (value: JsonValue, tree: FieldTree): JsonValue | undefined => {
  if (isRecord(value)) return keepIn(value, tree)
  if (!Array.isArray(value)) return undefined
  const kept: Array<JsonValue> = []
  for (const element of value) {
    const part = keepBelow(element, tree)
    if (part !== undefined) kept.push(part)
  }
  return kept
}

/** Keeps the named fields. Of an object on the way to one, only what is named stays; a value that has no fields is left out. */
export const keepStep = (paths: ReadonlyArray<string>): Step => {
  const tree = fieldTree(paths)
  return { changes: true, apply: (record) => keepIn(record, tree) }
}

const dropIn = (record: JsonObject, tree: FieldTree): JsonObject => {
  const kept: JsonObject = {}
  for (const name of Object.keys(record)) {
    const below = tree.get(name)
    if (below === undefined) setField(kept, name, record[name]!)
    else if (below !== "whole") setField(kept, name, dropBelow(record[name]!, below))
  }
  return kept
}

const dropBelow = (value: JsonValue, tree: FieldTree): JsonValue => {
  if (isRecord(value)) return dropIn(value, tree)
  return Array.isArray(value) ? value.map((element) => dropBelow(element, tree)) : value
}

/** Drops the named fields; those that are not there are not missed. */
export const dropStep = (paths: ReadonlyArray<string>): Step => {
  const tree = fieldTree(paths)
  return { changes: true, apply: (record) => dropIn(record, tree) }
}

const taken = (name: string, by: string) =>
  new Rejection("name-collision", `Cannot name a field "${name}": the record already has a field of that name (${by}).`)

const renameTop = (names: ReadonlyMap<string, string>): Step => ({
  changes: true,
  apply: (record) => {
    const renamed: JsonObject = {}
    for (const name of Object.keys(record)) {
      const target = names.get(name) ?? name
      if (Object.hasOwn(renamed, target)) return taken(target, "rename")
      setField(renamed, target, record[name]!)
    }
    return renamed
  }
})

const list = (path: FieldPath, name: string) =>
  new Rejection("rename", `Cannot rename ${path.text}: "${name}" is a list, and rename does not reach into lists.`)

const take = (record: JsonObject, path: FieldPath): JsonValue | undefined | Rejection => {
  const whole = path.keys.length > 1 ? getField(record, path.text) : undefined
  if (whole !== undefined) {
    delete record[path.text]
    return whole
  }
  let holder = record
  for (let i = 0; i < path.keys.length - 1; i++) {
    const next = getField(holder, path.keys[i]!)
    if (Array.isArray(next)) return list(path, path.keys[i]!)
    if (next === undefined || !isRecord(next)) return undefined
    holder = next
  }
  const name = path.keys[path.keys.length - 1]!
  const value = getField(holder, name)
  delete holder[name]
  return value
}

const put = (record: JsonObject, path: FieldPath, value: JsonValue): Rejection | undefined => {
  let holder = record
  for (let i = 0; i < path.keys.length - 1; i++) {
    const name = path.keys[i]!
    let next = getField(holder, name)
    if (next === undefined) setField(holder, name, (next = {}))
    if (!isRecord(next)) {
      return new Rejection(
        "rename",
        `Cannot rename a field to ${path.text}: "${name}" is ${kindOf(next)}, not an object.`
      )
    }
    holder = next
  }
  const name = path.keys[path.keys.length - 1]!
  if (Object.hasOwn(holder, name)) return taken(path.text, "rename")
  setField(holder, name, value)
  return undefined
}

/**
 * Renames fields, all at once (two can change places), and moves them where the paths differ. A missing field is not missed; a
 * name that is in use, and a path through a list, reject the record.
 */
export const renameStep = (names: Readonly<Record<string, string>>): Step => {
  const entries = Object.entries(names)
  if (entries.every(([from, to]) => !from.includes(".") && !to.includes("."))) return renameTop(new Map(entries))
  const moves = entries.map(([from, to]) => ({ from: fieldPath(from), to: fieldPath(to) }))
  return {
    changes: true,
    apply: (record) => {
      const values: Array<JsonValue | undefined> = []
      for (const { from } of moves) {
        const value = take(record, from)
        if (value instanceof Rejection) return value
        values.push(value)
      }
      for (let i = 0; i < moves.length; i++) {
        const value = values[i]
        if (value === undefined) continue
        const rejection = put(record, moves[i]!.to, value)
        if (rejection !== undefined) return rejection
      }
      return record
    }
  }
}

const lift = (flat: JsonObject, prefix: string, record: JsonObject, joiner: string): Rejection | undefined => {
  for (const name of Object.keys(record)) {
    const value = record[name]!
    const path = prefix + name
    if (isRecord(value)) {
      const rejection = lift(flat, path + joiner, value, joiner)
      if (rejection !== undefined) return rejection
    } else if (Object.hasOwn(flat, path)) return taken(path, "flatten")
    else setField(flat, path, value)
  }
  return undefined
}

/**
 * Lifts the fields of nested objects to the top, names joined by `joiner`. Lists stay as they are, with what is in them; an
 * empty object has no fields and so leaves none. Two fields of one name reject the record.
 */
export const flattenStep = (joiner: string): Step => ({
  changes: true,
  apply: (record) => {
    const flat: JsonObject = {}
    return lift(flat, "", record, joiner) ?? flat
  }
})
