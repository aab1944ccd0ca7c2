import { equals } from "./Compare.ts"
import { dictGet, dictKeys, dictOf, dictSize, hashKey, PyDictView, PySet, type DictLike } from "./Dict.ts"
import { grow, tick } from "./Meter.ts"
import { PyError, typeError } from "./PyError.ts"
import { length, points } from "./Text.ts"
import {
  intOf,
  PyAttributes,
  PyBytes,
  PyIterator,
  PyMarkup,
  PyTuple,
  PyUndefined,
  strOf,
  typeName,
  type Value
} from "./Value.ts"

function* watched(dict: DictLike, items: ReadonlyArray<Value>): Generator<Value> {
  for (const item of items) {
    if (dictSize(dict) !== items.length) throw new PyError("RuntimeError", "dictionary changed size during iteration")
    yield item
  }
  if (dictSize(dict) !== items.length) throw new PyError("RuntimeError", "dictionary changed size during iteration")
}

/** iter(value), or undefined when the value cannot be iterated. */
export const iterableOf = (value: Value): Iterable<Value> | undefined => {
  if (typeof value === "string") return points(value)
  if (typeof value !== "object" || value === null) return undefined
  if (Array.isArray(value)) return value
  if (value instanceof PyTuple) return value.items
  if (value instanceof PyIterator) return { [Symbol.iterator]: () => value.iterator }
  const dict = dictOf(value)
  if (dict !== undefined) return watched(dict, dictKeys(dict))
  if (value instanceof PyDictView) return watched(value.dict, value.items())
  if (value instanceof PySet) return value.members.values()
  if (value instanceof PyMarkup) return points(value.value)
  if (value instanceof PyUndefined) return []
  if (value instanceof PyBytes) return value.bytes
  if (value instanceof PyAttributes) {
    const items = value.attribute("__iter__")
    return items === undefined ? undefined : iterableOf(items)
  }
  return undefined
}

/** iter(value). */
export const iterate = (value: Value): Iterable<Value> => {
  const items = iterableOf(value)
  if (items === undefined) throw typeError(`'${typeName(value)}' object is not iterable`)
  return items
}

/** list(value). */
export const listOf = (value: Value): Array<Value> => {
  const result: Array<Value> = []
  for (const item of iterate(value)) {
    tick()
    grow(1)
    result.push(item)
  }
  return result
}

/** len(value), or undefined when it has none. */
export const sizeOf = (value: Value): number | undefined => {
  const text = strOf(value)
  if (text !== undefined) return length(text)
  if (Array.isArray(value)) return value.length
  if (value instanceof PyTuple) return value.items.length
  const dict = dictOf(value)
  if (dict !== undefined) return dictSize(dict)
  if (value instanceof PySet) return value.members.size
  if (value instanceof PyDictView) return dictSize(value.dict)
  if (value instanceof PyUndefined) return 0
  if (value instanceof PyBytes) return value.bytes.length
  if (value instanceof PyAttributes) {
    const size = value.attribute("__len__")
    return typeof size === "number" ? size : undefined
  }
  return undefined
}

export const len = (value: Value): number => {
  const size = sizeOf(value)
  if (size === undefined) throw typeError(`object of type '${typeName(value)}' has no len()`)
  return size
}

/** item in container. */
export const contains = (container: Value, item: Value): boolean => {
  const text = strOf(container)
  if (text !== undefined) {
    const part = strOf(item)
    if (part === undefined) {
      throw typeError(`'in <string>' requires string as left operand, not ${typeName(item)}`)
    }
    tick(1 + (text.length >> 4))
    return text.includes(part)
  }
  const dict = dictOf(container)
  if (dict !== undefined) return dictGet(dict, item) !== undefined
  if (container instanceof PySet) return container.members.has(hashKey(item))
  if (container instanceof PyDictView && container.type === "dict_keys") {
    return dictGet(container.dict, item) !== undefined
  }
  if (container instanceof PyBytes) {
    if (item instanceof PyBytes) return Buffer.from(container.bytes).includes(Buffer.from(item.bytes))
    const byte = intOf(item)
    if (byte === undefined) throw typeError(`a bytes-like object is required, not '${typeName(item)}'`)
    if (byte < 0 || byte > 255) throw new PyError("ValueError", "byte must be in range(0, 256)")
    return container.bytes.includes(Number(byte))
  }
  const items = iterableOf(container)
  if (items === undefined) throw typeError(`argument of type '${typeName(container)}' is not iterable`)
  if (container instanceof PyIterator) {
    // An iterator is used up to the item that is found, and no further.
    for (;;) {
      const next = container.iterator.next()
      if (next.done === true) return false
      if (equals(next.value, item)) return true
    }
  }
  for (const element of items) if (element === item || equals(element, item)) return true
  return false
}
