import { PyDate, PyDateTime, PyTime, PyTimeDelta, PyZone } from "./DateTime.ts"
import { dictEntries, dictGet, dictOf, dictSize, hashKey, PyDictView, PySet, StreamSlice } from "./Dict.ts"
import { PyDecimal, PyDuration } from "./Duration.ts"
import { tick } from "./Meter.ts"
import { typeError } from "./PyError.ts"
import {
  PyAttributes,
  PyBytes,
  PyComplex,
  PyFloat,
  PyIterator,
  PyMarkup,
  PyNamespace,
  PyObject,
  PyTuple,
  PyUndefined,
  strOf,
  typeName,
  type Value
} from "./Value.ts"

/** The number of an int, float or bool, for comparing; ints and floats compare exactly in JavaScript too. */
const numberOf = (value: Value): number | bigint | undefined =>
  typeof value === "number" || typeof value === "bigint"
    ? value
    : typeof value === "boolean"
      ? value
        ? 1
        : 0
      : value instanceof PyFloat
        ? value.value
        : value instanceof PyDecimal
          ? value.value
          : undefined

const sameItems = (a: ReadonlyArray<Value>, b: ReadonlyArray<Value>): boolean => {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) {
    if (!equals(a[index] ?? null, b[index] ?? null)) return false
  }
  return true
}

const setOf = (value: Value): ReadonlyMap<string, Value> | undefined =>
  value instanceof PySet
    ? value.members
    : value instanceof PyDictView && value.type !== "dict_values"
      ? new Map(value.items().map((item) => [hashKey(item), item]))
      : undefined

/** a == b. */
export const equals = (a: Value, b: Value): boolean => {
  tick()
  if (a === b) return !(typeof a === "number" && Number.isNaN(a))
  if (typeof a === "string" && typeof b === "string") return false
  const x = numberOf(a)
  if (x !== undefined) {
    const y = numberOf(b)
    // oxlint-disable-next-line eqeqeq -- an int and a bigint of the same value are equal
    return y === undefined ? b instanceof PyComplex && b.im === 0 && b.re == x : x == y
  }
  if (a === null || b === null) return false
  const text = strOf(a)
  if (text !== undefined) return text === strOf(b)
  if (Array.isArray(a)) return Array.isArray(b) && sameItems(a, b)
  if (a instanceof PyTuple) return b instanceof PyTuple && sameItems(a.items, b.items)
  const dict = dictOf(a)
  if (dict !== undefined) {
    const other = dictOf(b)
    if (other === undefined || dictSize(dict) !== dictSize(other)) return false
    for (const [key, value] of dictEntries(dict)) {
      const counterpart = dictGet(other, key)
      if (counterpart === undefined || !equals(value, counterpart)) return false
    }
    return true
  }
  if (a instanceof PyUndefined) return b instanceof PyUndefined
  if (a instanceof PyDate && b instanceof PyDate) return a.hashKey() === b.hashKey()
  if (a instanceof PyTimeDelta) {
    return b instanceof PyTimeDelta
      ? a.micros === b.micros
      : b instanceof PyDuration && b.years === 0 && b.months === 0 && b.delta.micros === a.micros
  }
  if (a instanceof PyDuration) {
    return b instanceof PyDuration
      ? a.years * 12 + a.months === b.years * 12 + b.months && a.delta.micros === b.delta.micros
      : a.years === 0 && a.months === 0 && equals(a.delta, b)
  }
  if (a instanceof PyTime) return b instanceof PyTime && a.hashKey() === b.hashKey()
  if (a instanceof PyZone) return b instanceof PyZone && a.offset === b.offset && a.type === b.type
  if (a instanceof PyBytes) return b instanceof PyBytes && hashKey(a) === hashKey(b)
  if (a instanceof PyComplex) {
    return b instanceof PyComplex ? a.re === b.re && a.im === b.im : numberOf(b) !== undefined && equals(b, a)
  }
  const members = setOf(a)
  const others = members === undefined ? undefined : setOf(b)
  if (members !== undefined && others !== undefined) {
    return members.size === others.size && [...members.keys()].every((key) => others.has(key))
  }
  return false
}

/** Whether a is b: the same object, or the same small immutable value. */
export const same = (a: Value, b: Value): boolean => Object.is(a, b)

export type Order = "<" | "<=" | ">" | ">="

const decide = <T extends string | number | bigint>(a: T, b: T, order: Order): boolean => {
  switch (order) {
    case "<":
      return a < b
    case "<=":
      return a <= b
    case ">":
      return a > b
    default:
      return a >= b
  }
}

/** Order of text by code points, which differs from JavaScript's order by code units above U+FFFF. */
const compareText = (a: string, b: string): number => {
  const end = Math.min(a.length, b.length)
  for (let at = 0; at < end; at++) {
    const x = a.charCodeAt(at)
    const y = b.charCodeAt(at)
    if (x !== y) {
      const wideX = x >= 0xd800 && x <= 0xdfff
      const wideY = y >= 0xd800 && y <= 0xdfff
      return wideX === wideY ? x - y : wideX ? (y >= 0xe000 ? 1 : x - y) : x >= 0xe000 ? -1 : x - y
    }
  }
  return a.length - b.length
}

const unordered = (a: Value, b: Value, order: Order): Error =>
  typeError(`'${order}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`)

const compareItems = (a: ReadonlyArray<Value>, b: ReadonlyArray<Value>, order: Order): boolean => {
  const end = Math.min(a.length, b.length)
  for (let index = 0; index < end; index++) {
    const [x, y] = [a[index] ?? null, b[index] ?? null]
    if (!equals(x, y)) return compare(x, y, order)
  }
  return decide(a.length, b.length, order)
}

/** a < b, a <= b, a > b or a >= b. */
export const compare = (a: Value, b: Value, order: Order): boolean => {
  tick()
  const x = numberOf(a)
  const y = numberOf(b)
  if (x !== undefined && y !== undefined) return decide<number | bigint>(x, y, order)
  const text = strOf(a)
  const other = strOf(b)
  if (text !== undefined && other !== undefined) return decide(compareText(text, other), 0, order)
  if (Array.isArray(a) && Array.isArray(b)) return compareItems(a, b, order)
  if (a instanceof PyTuple && b instanceof PyTuple) return compareItems(a.items, b.items, order)
  if (a instanceof PyUndefined) throw a.error()
  if (b instanceof PyUndefined) throw b.error()
  if (a instanceof PyDateTime && b instanceof PyDateTime) {
    if ((a.zone === undefined) !== (b.zone === undefined)) {
      throw typeError("can't compare offset-naive and offset-aware datetimes")
    }
    return decide(a.epochMicros, b.epochMicros, order)
  }
  if (a instanceof PyDate && b instanceof PyDate) {
    if (a instanceof PyDateTime || b instanceof PyDateTime) {
      throw typeError(`can't compare ${typeName(a)} to ${typeName(b)}`)
    }
    return decide(a.days, b.days, order)
  }
  if (a instanceof PyTimeDelta && b instanceof PyTimeDelta) return decide(a.micros, b.micros, order)
  if (a instanceof PyTime && b instanceof PyTime) {
    if ((a.zone === undefined) !== (b.zone === undefined)) {
      throw typeError("can't compare offset-naive and offset-aware times")
    }
    return decide(a.micros - (a.zone?.offset ?? 0), b.micros - (b.zone?.offset ?? 0), order)
  }
  const members = setOf(a)
  const others = members === undefined ? undefined : setOf(b)
  if (members !== undefined && others !== undefined) {
    const [small, large] = order === "<" || order === "<=" ? [members, others] : [others, members]
    if (order === "<" || order === ">" ? small.size >= large.size : small.size > large.size) return false
    return [...small.keys()].every((key) => large.has(key))
  }
  if (a instanceof PyBytes && b instanceof PyBytes) return decide(Buffer.compare(a.bytes, b.bytes), 0, order)
  throw unordered(a, b, order)
}

/** A stable sort by `<`, as Python's. */
export const sorted = (items: ReadonlyArray<Value>, keys: ReadonlyArray<Value>, reverse: boolean): Array<Value> => {
  const order = items.map((_, index) => index)
  const turn = reverse ? -1 : 1
  order.sort((i, j) => {
    const [x, y] = [keys[i] ?? null, keys[j] ?? null]
    return compare(x, y, "<") ? -turn : compare(y, x, "<") ? turn : 0
  })
  return order.map((index) => items[index] ?? null)
}

/** Whether the value counts as true. */
export const truthy = (value: Value): boolean => {
  switch (typeof value) {
    case "boolean":
      return value
    case "string":
      return value !== ""
    case "number":
      return value !== 0
    case "bigint":
      return value !== 0n
    default:
  }
  if (value === null || value instanceof PyUndefined) return false
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof StreamSlice) {
    return dictSize(value) > 0 || truthy(value.extraFields)
  }
  const dict = dictOf(value)
  if (dict !== undefined) return dictSize(dict) > 0
  if (value instanceof PyFloat || value instanceof PyDecimal) return value.value !== 0
  if (value instanceof PyTuple) return value.items.length > 0
  if (value instanceof PyMarkup) return value.value !== ""
  if (value instanceof PyTimeDelta) return value.micros !== 0n
  if (value instanceof PySet) return value.members.size > 0
  if (value instanceof PyDictView) return dictSize(value.dict) > 0
  if (value instanceof PyBytes) return value.bytes.length > 0
  if (value instanceof PyComplex) return value.re !== 0 || value.im !== 0
  if (value instanceof PyAttributes) {
    const size = value.attribute("__len__")
    return size === undefined || size !== 0
  }
  return value instanceof PyObject || value instanceof PyIterator || value instanceof PyNamespace
}
