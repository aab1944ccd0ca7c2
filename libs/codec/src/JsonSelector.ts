import { fail, JsonSyntaxError, maxDepth, measureValue, skipSpace, skipString, skipValue } from "./JsonBytes.ts"

/**
 * Finds values in a JSON document without parsing it: one strict pass checks the whole document and notes where the selected
 * values stand. Of a repeated key the last value counts, as in `JSON.parse`; a byte order mark in front is skipped.
 */

/** A place in a document: byte offsets of the first byte and of the one after the last. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** The text is not a selector. */
export class SelectorError extends Error {
  override readonly name = "SelectorError"
  constructor(selector: string, at: number) {
    super(
      `"${selector}" is not a selector: at character ${at + 1} expected .name, .*, ['name'], [0] or [*] ` +
        "(a selector begins with $, the document)."
    )
  }
}

/** Each member of an object. */
export const eachMember = Symbol("eachMember")

/** A key, an index, `null` for each element, or each member. */
export type Step = string | number | null | typeof eachMember

/** `$` is the document, `.name` or `['name']` a key, `.*` each member, `[0]` an element, `[*]` each element. */
export interface JsonSelector {
  readonly text: string
  readonly steps: ReadonlyArray<Step>
}

/** Throws `SelectorError`. */
export const compileSelector = (text: string): JsonSelector => {
  if (!text.startsWith("$")) throw new SelectorError(text, 0)
  const steps: Array<Step> = []
  const pattern = /\.([A-Za-z_][\w-]*)|\['([^']+)'\]|\[(\d+)\]|\[\*\]|(\.\*)/uy
  pattern.lastIndex = 1
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex
    const match = pattern.exec(text)
    if (match === null) throw new SelectorError(text, at)
    if (match[4] !== undefined) steps.push(eachMember)
    else steps.push(match[1] ?? match[2] ?? (match[3] === undefined ? null : Number(match[3])))
  }
  return { text, steps }
}

/** What is to be found in one pass. */
export interface PlanOptions {
  /** Selects the records. */
  readonly records: JsonSelector
  /** Fields of each record, as keys from the record down. */
  readonly fields: ReadonlyArray<ReadonlyArray<string>>
  /** Single values of the document; a selector with `[*]` finds the last of its values. */
  readonly values: ReadonlyArray<JsonSelector>
}

/** A compiled `PlanOptions`: a tree of what to look for below a value. */
export interface Plan {
  readonly root: Target
  readonly fields: number
  readonly values: number
}

/** What a value is good for. */
interface Target {
  /** It is one of the `values`; -1 for none. */
  value: number
  /** It is a field of the record it is in; -1 for none. */
  field: number
  /** It is a record. */
  record: boolean
  /** It is, or leads to, the records. */
  toRecords: boolean
  /** All `values` and `fields` at or below it: forgotten when its key is repeated. */
  readonly valuesBelow: Array<number>
  readonly fieldsBelow: Array<number>
  readonly keys: Array<{ readonly key: string; readonly bytes: Uint8Array; readonly target: Target }>
  readonly indexes: Map<number, Target>
  each: Target | undefined
  /** Each member of an object. */
  members: Target | undefined
}

const newTarget = (): Target => ({
  value: -1,
  field: -1,
  record: false,
  toRecords: false,
  valuesBelow: [],
  fieldsBelow: [],
  keys: [],
  indexes: new Map(),
  each: undefined,
  members: undefined
})

const childOf = (target: Target, step: Step): Target => {
  if (step === null) return (target.each ??= newTarget())
  if (step === eachMember) return (target.members ??= newTarget())
  if (typeof step === "number") {
    const child = target.indexes.get(step) ?? newTarget()
    target.indexes.set(step, child)
    return child
  }
  const known = target.keys.find((child) => child.key === step)
  if (known !== undefined) return known.target
  const child = newTarget()
  target.keys.push({ key: step, bytes: Buffer.from(step), target: child })
  return child
}

export const compilePlan = ({ records, fields, values }: PlanOptions): Plan => {
  const root = newTarget()
  let record = root
  root.toRecords = true
  for (const step of records.steps) {
    record = childOf(record, step)
    record.toRecords = true
  }
  record.record = true
  fields.forEach((path, field) => {
    let target = record
    for (const step of path) {
      target = childOf(target, step)
      target.fieldsBelow.push(field)
    }
    target.field = field
  })
  values.forEach((selector, value) => {
    let target = root
    for (const step of selector.steps) {
      target = childOf(target, step)
      target.valuesBelow.push(value)
    }
    target.value = value
  })
  return { root, fields: fields.length, values: values.length }
}

/** Where the document has not the shape that the record selector expects. */
export interface Mismatch {
  readonly offset: number
  readonly expected: string
  readonly found: "nothing" | "null" | "an object" | "an array" | "a string" | "a number" | "a boolean"
  /** Inside the elements of a list, so that other elements may have records. */
  readonly inList: boolean
}

/** What a pass has found. */
export interface Scan {
  /**
   * One row of `stride` numbers per record: start and end of the record, then start and end of each field, -1 where a record
   * has no such field.
   */
  readonly rows: Array<number>
  readonly stride: number
  /** Start and end of each of the `values`, -1 where there is none. */
  readonly values: Array<number>
  /** The first place that does not fit the record selector; `undefined` when all fits, also when a list is empty. */
  mismatch: Mismatch | undefined
  /** A key, in quotes, that leads to the records and stands more than once in its object: only the last of them was followed. */
  repeated?: string
  /** Numbers of the records, from 0, that are nested too deeply: their fields were not looked for. */
  deep?: Set<number>
}

interface State extends Scan {
  /** First number of the current record's row. */
  row: number
}

const kindOf = (bytes: Uint8Array, at: number): Mismatch["found"] => {
  switch (bytes[at]) {
    case 0x7b:
      return "an object"
    case 0x5b:
      return "an array"
    case 0x22:
      return "a string"
    case 0x6e:
      return "null"
    case 0x74:
    case 0x66:
      return "a boolean"
    default:
      return "a number"
  }
}

const miss = (state: State, offset: number, expected: string, found: Mismatch["found"], inList: boolean): void => {
  state.mismatch ??= { offset, expected, found, inList }
}

const expectedBelow = (target: Target): string => {
  if (target.each?.toRecords === true) return "an array"
  if (target.members?.toRecords === true) return "an object"
  for (const child of target.keys) if (child.target.toRecords) return `an object with "${child.key}"`
  for (const [index, child] of target.indexes) if (child.toRecords) return `an array with an element [${index}]`
  return "a record"
}

/** Whether the key that stands in quotes at `start` .. `end` is `key`. */
const isKey = (bytes: Uint8Array, start: number, end: number, key: Uint8Array): boolean => {
  if (end - start !== key.length) return false
  for (let k = 0; k < key.length; k++) if (bytes[start + k] !== key[k]) return false
  return true
}

const unescape = (bytes: Uint8Array, start: number, end: number): string =>
  String(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString()))

/** The target of the key whose quotes are at `at` and before `end`. */
const targetOf = (bytes: Uint8Array, at: number, end: number, escaped: boolean, target: Target): Target | undefined => {
  if (escaped) {
    const text = unescape(bytes, at, end)
    return target.keys.find((child) => child.key === text)?.target
  }
  for (let k = 0; k < target.keys.length; k++) {
    const child = target.keys[k]!
    if (isKey(bytes, at + 1, end - 1, child.bytes)) return child.target
  }
  return undefined
}

const forget = (state: State, target: Target): void => {
  for (const value of target.valuesBelow) state.values[2 * value] = state.values[2 * value + 1] = -1
  for (const field of target.fieldsBelow) {
    const at = state.row + 2 + 2 * field
    state.rows[at] = state.rows[at + 1] = -1
  }
}

const walkObject = (
  state: State,
  bytes: Uint8Array,
  at: number,
  target: Target,
  depth: number,
  inList: boolean
): number => {
  let i = skipSpace(bytes, at + 1)
  // Rows and mismatch as they were before the key that leads to the records; -1 while it has not been met.
  let rowsBefore = -1
  let mismatchBefore: Mismatch | undefined
  if (bytes[i] === 0x7d) i++
  else {
    for (;;) {
      if (bytes[i] !== 0x22) return fail(bytes, i, "a string")
      let end = i + 1
      let c = bytes[end] ?? 0
      while (c >= 0x20 && c !== 0x22 && c !== 0x5c) c = bytes[++end] ?? 0
      const escaped = c !== 0x22
      end = escaped ? skipString(bytes, i) : end + 1
      const child = targetOf(bytes, i, end, escaped, target)
      const keyAt = i
      const keyEnd = end
      i = skipSpace(bytes, end)
      if (bytes[i] !== 0x3a) return fail(bytes, i, '":"')
      i = skipSpace(bytes, i + 1)
      const { members } = target
      const value = i
      if (members !== undefined) i = walk(state, bytes, value, members, depth + 1, true)
      // A member that is wanted both by its name and as one of all is walked twice.
      if (child === undefined) i = members === undefined ? skipValue(bytes, value, depth + 1) : i
      else {
        if (child.toRecords) {
          if (rowsBefore < 0) {
            rowsBefore = state.rows.length
            mismatchBefore = state.mismatch
          } else {
            state.repeated = Buffer.from(bytes.subarray(keyAt, keyEnd)).toString()
            state.rows.length = rowsBefore
            state.mismatch = mismatchBefore
          }
        }
        forget(state, child)
        i = walk(state, bytes, value, child, depth + 1, inList)
      }
      i = skipSpace(bytes, i)
      if (bytes[i] === 0x7d) {
        i++
        break
      }
      if (bytes[i] !== 0x2c) return fail(bytes, i, '"," or "}"')
      i = skipSpace(bytes, i + 1)
    }
  }
  if (target.toRecords && !target.record && rowsBefore < 0 && target.members?.toRecords !== true) {
    miss(
      state,
      at,
      expectedBelow(target),
      target.each === undefined && target.indexes.size === 0 ? "nothing" : "an object",
      inList
    )
  }
  return i
}

const walkArray = (
  state: State,
  bytes: Uint8Array,
  at: number,
  target: Target,
  depth: number,
  inList: boolean
): number => {
  let i = skipSpace(bytes, at + 1)
  let index = 0
  const { each, indexes } = target
  if (bytes[i] === 0x5d) i++
  else {
    for (;;) {
      const child = indexes.size === 0 ? undefined : indexes.get(index)
      const start = i
      if (each !== undefined) i = walk(state, bytes, start, each, depth + 1, true)
      // An element that is wanted both by its index and as one of all is walked twice.
      if (child !== undefined) i = walk(state, bytes, start, child, depth + 1, inList)
      else if (each === undefined) i = skipValue(bytes, start, depth + 1)
      index++
      i = skipSpace(bytes, i)
      if (bytes[i] === 0x5d) {
        i++
        break
      }
      if (bytes[i] !== 0x2c) return fail(bytes, i, '"," or "]"')
      i = skipSpace(bytes, i + 1)
    }
  }
  if (target.toRecords && !target.record && each?.toRecords !== true) {
    let reached = false
    for (const [wanted, child] of indexes) if (child.toRecords && wanted < index) reached = true
    if (!reached) miss(state, at, expectedBelow(target), indexes.size === 0 ? "an array" : "nothing", inList)
  }
  return i
}

/** The position after a record that is nested too deeply, which is noted; -1 for any other. */
const endOfDeep = (state: State, bytes: Uint8Array, at: number, depth: number): number => {
  const value = measureValue(bytes, at)
  if (depth + value.depth <= maxDepth) return -1
  state.deep?.add(state.row / state.stride)
  return value.end
}

/** Goes through the value at `at` and notes what `target` asks for; returns the position after it. */
const walk = (state: State, bytes: Uint8Array, at: number, target: Target, depth: number, inList: boolean): number => {
  const rowBefore = state.row
  if (target.record) {
    const { rows } = state
    state.row = rows.length
    rows.push(at, at)
    for (let k = 2; k < state.stride; k++) rows.push(-1)
  }
  let end = target.record && state.deep !== undefined ? endOfDeep(state, bytes, at, depth) : -1
  const c = bytes[at]
  if (end >= 0) {
    // Its fields stay unknown.
  } else if (c === 0x7b && (target.keys.length > 0 || target.members !== undefined))
    end = walkObject(state, bytes, at, target, depth, inList)
  else if (c === 0x5b && (target.each !== undefined || target.indexes.size > 0)) {
    end = walkArray(state, bytes, at, target, depth, inList)
  } else {
    end = skipValue(bytes, at, depth)
    if (target.toRecords && !target.record) miss(state, at, expectedBelow(target), kindOf(bytes, at), inList)
  }
  if (target.record) {
    state.rows[state.row + 1] = end
    state.row = rowBefore
  }
  if (target.field >= 0) {
    const slot = state.row + 2 + 2 * target.field
    state.rows[slot] = at
    state.rows[slot + 1] = end
  }
  if (target.value >= 0) {
    state.values[2 * target.value] = at
    state.values[2 * target.value + 1] = end
  }
  return end
}

const scanOnce = (bytes: Uint8Array, plan: Plan, start: number, end: number, deep: Pick<Scan, "deep">): Scan => {
  const part = end === bytes.length ? bytes : bytes.subarray(0, end)
  const bom = start === 0 && part[0] === 0xef && part[1] === 0xbb && part[2] === 0xbf
  const state: State = {
    rows: [],
    stride: 2 + 2 * plan.fields,
    values: Array.from({ length: 2 * plan.values }, () => -1),
    mismatch: undefined,
    ...deep,
    row: 0
  }
  const after = skipSpace(part, walk(state, part, skipSpace(part, bom ? 3 : start), plan.root, 0, false))
  if (after < part.length) return fail(part, after, "the end of the document")
  return state
}

/**
 * Goes once through the document in `bytes` (or in the part from `start` to `end`). Throws `JsonSyntaxError` unless exactly one
 * valid document is there; a document that is cut off has its error at the end (`JsonSyntaxError.atEnd`). Records that are nested
 * too deeply are noted; anything else that is fails (`JsonSyntaxError.tooDeep`).
 */
export const scan = (bytes: Uint8Array, plan: Plan, start = 0, end = bytes.length): Scan => {
  try {
    return scanOnce(bytes, plan, start, end, {})
  } catch (error) {
    if (!(error instanceof JsonSyntaxError) || !error.tooDeep) throw error
    // Once more, and each record measured before it is followed.
    return scanOnce(bytes, plan, start, end, { deep: new Set() })
  }
}

const nowhere: JsonSelector = { text: "$", steps: [] }
const plans = new WeakMap<JsonSelector, { readonly all: Plan; readonly one: Plan }>()
const plansOf = (selector: JsonSelector) => {
  let known = plans.get(selector)
  if (known === undefined) {
    known = {
      all: compilePlan({ records: selector, fields: [], values: [] }),
      one: compilePlan({ records: nowhere, fields: [], values: [selector] })
    }
    plans.set(selector, known)
  }
  return known
}

/** Starts and ends of all selected values, in document order: `[start, end, start, end, ...]`. Throws as `scan` does, and for deep ones. */
export const selectAll = (bytes: Uint8Array, selector: JsonSelector): ReadonlyArray<number> =>
  scanOnce(bytes, plansOf(selector).all, 0, bytes.length, {}).rows

/** The selected value (the last one if there are several), or `undefined`. Throws as `scan` does. */
export const selectOne = (
  bytes: Uint8Array,
  selector: JsonSelector,
  start?: number,
  end?: number
): Span | undefined => {
  const { values } = scan(bytes, plansOf(selector).one, start, end)
  return values[0]! < 0 ? undefined : { start: values[0]!, end: values[1]! }
}

/**
 * A scalar as text: a string unescaped, a number or boolean as it is written, `null` for null. `undefined` for an object or an
 * array.
 */
export const scalarText = (bytes: Uint8Array, { start, end }: Span): string | null | undefined => {
  const first = bytes[start]
  if (first === 0x6e) return null
  if (first === 0x7b || first === 0x5b) return undefined
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
  if (first !== 0x22) return text.toString("latin1")
  return text.includes(0x5c) ? String(JSON.parse(text.toString())) : text.toString("utf8", 1, text.length - 1)
}
