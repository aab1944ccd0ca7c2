import { typeError } from "./PyError.ts"
import { reprFloat } from "./Numbers.ts"
import { grow } from "./Meter.ts"
import {
  isPlainDict,
  PyBytes,
  PyCallable,
  PyComplex,
  PyEllipsis,
  PyFloat,
  PyMarkup,
  PyNamespace,
  PyObject,
  PyTuple,
  PyUndefined,
  typeName,
  type PlainDict,
  type Value
} from "./Value.ts"

/** A value that can be hashed says by which text it is found: equal values have equal texts. */
export abstract class PyHashable extends PyObject {
  abstract hashKey(): string
}

let identities = 0
const identity = new WeakMap<object, number>()
/** A number for an object, the same for as long as it lives: what `id()` is in Python. */
export const identityOf = (value: object): number => {
  const known = identity.get(value)
  if (known !== undefined) return known
  identity.set(value, ++identities)
  return identities
}

const numberKey = (value: number): string =>
  Number.isInteger(value) ? `\0n${BigInt(value)}` : `\0f${reprFloat(value)}`

/** The text by which a key is found in a dict or set. A str is its own text unless it starts with a NUL. */
export const hashKey = (value: Value): string => {
  switch (typeof value) {
    case "string":
      return value.charCodeAt(0) === 0 ? `\0s${value}` : value
    case "boolean":
      return value ? "\0n1" : "\0n0"
    case "bigint":
      return `\0n${value}`
    case "number":
      return numberKey(value)
    default:
  }
  if (value === null) return "\0None"
  if (value instanceof PyFloat) return numberKey(value.value)
  if (value instanceof PyMarkup) return hashKey(value.value)
  if (value instanceof PyTuple) {
    return `\0t${value.items
      .map((item) => {
        const key = hashKey(item)
        return `${key.length}:${key}`
      })
      .join("")}`
  }
  if (value instanceof PyUndefined) return "\0Undefined"
  if (value instanceof PyBytes) return `\0b${value.bytes.join(",")}`
  if (value instanceof PyComplex) return value.im === 0 ? numberKey(value.re) : `\0c${value.re},${value.im}`
  if (value instanceof PyEllipsis) return "\0Ellipsis"
  if (value instanceof PyHashable) return value.hashKey()
  if (
    Array.isArray(value) ||
    isPlainDict(value) ||
    value instanceof PyDict ||
    value instanceof PySet ||
    isView(value)
  ) {
    throw typeError(`unhashable type: '${typeName(value)}'`)
  }
  if (value instanceof PyCallable || value instanceof PyNamespace || value instanceof PyObject) {
    return `\0i${identityOf(value)}`
  }
  throw typeError(`unhashable type: '${typeName(value)}'`)
}

/** Views of keys and items are sets, which change: they have no hash. */
const isView = (value: Value): boolean => value instanceof PyDictView && value.type !== "dict_values"

/** A dict made by an expression: keys of any hashable type, in the order they were first set. */
export class PyDict extends PyObject {
  readonly type = "dict"
  readonly entries = new Map<string, readonly [key: Value, value: Value]>()

  static of(entries: Iterable<readonly [Value, Value]>): PyDict {
    const dict = new PyDict()
    for (const [key, value] of entries) dict.set(key, value)
    return dict
  }

  set(key: Value, value: Value): void {
    const hash = hashKey(key)
    const known = this.entries.get(hash)
    if (known === undefined) grow(1)
    this.entries.set(hash, [known === undefined ? key : known[0], value])
  }
}

export class PySet extends PyObject {
  readonly type: string
  readonly members = new Map<string, Value>()
  constructor(members: Iterable<Value>) {
    super()
    this.type = "set"
    for (const member of members) {
      const hash = hashKey(member)
      if (!this.members.has(hash)) this.members.set(hash, member)
    }
  }
}

/**
 * What the CDK calls a stream slice: a read-only mapping of the partition and the cursor's slice together, with the parts
 * as attributes.
 */
export class StreamSlice extends PyObject {
  readonly type = "StreamSlice"
  readonly all: PyDict
  readonly partition: Value
  readonly cursorSlice: Value
  readonly extraFields: Value
  constructor(partition: PlainDict, cursorSlice: PlainDict, extraFields: PlainDict = {}) {
    super()
    this.partition = partition
    this.cursorSlice = cursorSlice
    this.extraFields = extraFields
    this.all = PyDict.of([...Object.entries(partition), ...Object.entries(cursorSlice)])
  }
}

export type DictLike = PlainDict | PyDict | StreamSlice

/** The value as a mapping, or undefined. */
export const dictOf = (value: Value | undefined): DictLike | undefined =>
  value === undefined
    ? undefined
    : value instanceof PyDict || value instanceof StreamSlice || isPlainDict(value)
      ? value
      : undefined

export const dictGet = (dict: DictLike, key: Value): Value | undefined => {
  if (dict instanceof PyDict) return dict.entries.get(hashKey(key))?.[1]
  if (dict instanceof StreamSlice) return dict.all.entries.get(hashKey(key))?.[1]
  const name = key instanceof PyMarkup ? key.value : key
  if (typeof name !== "string") {
    hashKey(key)
    return undefined
  }
  if (!Object.hasOwn(dict, name)) return undefined
  const value = dict[name]
  return typeof value === "function" || typeof value === "symbol" ? undefined : value
}

export const dictSet = (dict: DictLike, key: Value, value: Value): void => {
  if (dict instanceof PyDict) return dict.set(key, value)
  if (dict instanceof StreamSlice) throw typeError("'StreamSlice' object does not support item assignment")
  const name = key instanceof PyMarkup ? key.value : key
  if (typeof name !== "string") {
    hashKey(key)
    throw typeError("a dict given by the caller takes only str keys")
  }
  grow(1)
  // Defined, not assigned: a key named __proto__ is data like any other.
  Object.defineProperty(dict, name, { value, enumerable: true, configurable: true, writable: true })
}

export const dictDelete = (dict: DictLike, key: Value): void => {
  if (dict instanceof PyDict) dict.entries.delete(hashKey(key))
  else if (isPlainDict(dict) && typeof key === "string") delete dict[key]
}

export const dictSize = (dict: DictLike): number =>
  dict instanceof PyDict
    ? dict.entries.size
    : dict instanceof StreamSlice
      ? dict.all.entries.size
      : Object.keys(dict).length

export const dictKeys = (dict: DictLike): ReadonlyArray<Value> =>
  dict instanceof PyDict
    ? Array.from(dict.entries.values(), (entry) => entry[0])
    : dict instanceof StreamSlice
      ? dictKeys(dict.all)
      : Object.keys(dict)

export const dictEntries = (dict: DictLike): ReadonlyArray<readonly [Value, Value]> =>
  dict instanceof PyDict
    ? Array.from(dict.entries.values())
    : dict instanceof StreamSlice
      ? dictEntries(dict.all)
      : Object.entries(dict)

/** keys(), values() or items() of a dict: follows what the dict becomes. */
export class PyDictView extends PyObject {
  readonly type: "dict_keys" | "dict_values" | "dict_items"
  readonly dict: DictLike
  constructor(type: "dict_keys" | "dict_values" | "dict_items", dict: DictLike) {
    super()
    this.type = type
    this.dict = dict
  }
  items(): ReadonlyArray<Value> {
    if (this.type === "dict_keys") return dictKeys(this.dict)
    const entries = dictEntries(this.dict)
    return this.type === "dict_values" ? entries.map((entry) => entry[1]) : entries.map((entry) => new PyTuple(entry))
  }
}
