import { type Arguments, type Method, positional } from "./Arguments.ts"
import { bytesMethods, dictMethods, listMethods, mappingMethods, tupleMethods } from "./ContainerMethods.ts"
import {
  dateAttribute,
  dateMethod,
  deltaAttribute,
  deltaMethods,
  timeAttribute,
  timeMethods,
  zoneMethods
} from "./DateMethods.ts"
import { PyDate, PyTime, PyTimeDelta, PyZone } from "./DateTime.ts"
import { dictGet, dictOf, hashKey, PyDict, PyDictView, StreamSlice, type DictLike } from "./Dict.ts"
import { hasDunder } from "./Dunders.ts"
import { PyDecimal, PyDuration } from "./Duration.ts"
import { tick } from "./Meter.ts"
import { complexAttribute, floatAttribute, floatMethods, intAttribute, intMethods } from "./NumberMethods.ts"
import { PyError, typeError } from "./PyError.ts"
import { formatText, namesOf, type FieldAccess } from "./StrFormat.ts"
import { length, points, slice } from "./Text.ts"
import { byteTextMethod, markupMethod } from "./OtherTextMethods.ts"
import { textMethods } from "./TextMethods.ts"
import { escapeHtml } from "./Html.ts"
import {
  orElse,
  floatOf,
  intOf,
  isPlainDict,
  noKwargs,
  PyAttributes,
  PyBytes,
  PyCallable,
  PyComplex,
  PyMarkup,
  PyNamespace,
  PyTuple,
  PyUndefined,
  strOf,
  typeName,
  type Kwargs,
  type Value
} from "./Value.ts"

const own = <Self>(table: { readonly [name: string]: Method<Self> }, name: string): Method<Self> | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined

const sandboxedFormat = (self: string, markup: boolean, map: boolean): Method<Value> => {
  return (_, args, kwargs) => {
    const made = map
      ? formatText(self, [], namesOf(positional("format_map", args, kwargs, 1, 1)[0] ?? null), access, markup)
      : formatText(self, args, (name) => kwargs.get(name), access, markup)
    return markup ? new PyMarkup(made) : made
  }
}

const bound = <Self>(method: Method<Self> | undefined, self: Self): BoundMethod | undefined =>
  method === undefined ? undefined : (args, kwargs) => method(self, args, kwargs)

type BoundMethod = (args: Arguments, kwargs: Kwargs) => Value

/** The method of that name, if the type has one. */
const methodOf = (value: Value, name: string): BoundMethod | undefined => {
  if (typeof value === "string") {
    if (name === "format" || name === "format_map")
      return bound(sandboxedFormat(value, false, name === "format_map"), value)
    return bound(own(textMethods, name), value)
  }
  const whole = intOf(value)
  if (whole !== undefined) return bound(own(intMethods, name), whole)
  if (value === null) return undefined
  if (Array.isArray(value)) return bound(own(listMethods, name), value)
  const real = floatOf(value)
  if (real !== undefined) return bound(own(floatMethods, name), real)
  if (value instanceof PyDict || isPlainDict(value)) return bound(own(dictMethods, name), value)
  if (value instanceof StreamSlice) return bound(own<DictLike>(mappingMethods, name), value)
  if (value instanceof PyTuple) return bound(own(tupleMethods, name), value)
  if (value instanceof PyDate) return bound(dateMethod(value, name), value)
  if (value instanceof PyTimeDelta) return bound(own(deltaMethods, name), value)
  if (value instanceof PyDuration) return bound(own(deltaMethods, name), value.delta)
  if (value instanceof PyTime) return bound(own(timeMethods, name), value)
  if (value instanceof PyZone) return bound(own(zoneMethods, name), value)
  if (value instanceof PyBytes) return bound(own(bytesMethods, name) ?? byteTextMethod(name), value)
  if (value instanceof PyMarkup) {
    if (name === "format" || name === "format_map") {
      return bound(sandboxedFormat(value.value, true, name === "format_map"), value)
    }
    if (name === "striptags")
      return () =>
        value.value
          .replace(/<[^>]*>/g, "")
          .replace(/\s+/g, " ")
          .trim()
    if (name === "escape") return (args) => new PyMarkup(escapeHtml(strOf(args[0]) ?? ""))
    return bound(markupMethod(name), value)
  }
  return undefined
}

/** The data attribute of that name, if the type has one. */
const dataOf = (value: Value, name: string): Value | undefined => {
  const whole = intOf(value)
  if (whole !== undefined) return intAttribute(whole, name)
  const real = floatOf(value)
  if (real !== undefined) return floatAttribute(real, name)
  if (value instanceof PyDate) return dateAttribute(value, name)
  if (value instanceof PyTimeDelta) return deltaAttribute(value, name)
  if (value instanceof PyTime) return timeAttribute(value, name)
  if (value instanceof PyDuration) {
    if (name === "years") return new PyDecimal(value.years)
    if (name === "months") return new PyDecimal(value.months)
    return name === "tdelta" ? value.delta : deltaAttribute(value.delta, name)
  }
  if (value instanceof PyNamespace) return value.attributes.get(name)
  if (value instanceof PyAttributes) return value.attribute(name)
  if (value instanceof PyTuple && value.names !== undefined) {
    const index = value.names.indexOf(name)
    return index < 0 ? undefined : value.items[index]
  }
  if (value instanceof StreamSlice) {
    if (name === "partition" || name === "_partition") return value.partition
    if (name === "cursor_slice" || name === "_cursor_slice") return value.cursorSlice
    if (name === "extra_fields" || name === "_extra_fields") return value.extraFields
    return name === "_stream_slice" ? value.all : undefined
  }
  if (value instanceof PyComplex) return complexAttribute(value, name)
  if (value instanceof PyDictView && name === "mapping") return value.dict
  return undefined
}

const describe = (value: Value): string =>
  value === null ? "None" : value instanceof PyUndefined ? "Undefined" : `${typeName(value)} object`

const missingAttribute = (value: Value, name: string): PyUndefined =>
  new PyUndefined(`'${describe(value)}' has no attribute '${name}'`)

const unsafe = (value: Value, name: string): PyUndefined =>
  new PyUndefined(`access to attribute '${name}' of '${typeName(value)}' object is unsafe.`, "SecurityError")

/** A Python attribute: a method, a data attribute, an internal one (which is refused), or undefined when there is none. */
const attributeOf = (value: Value, name: string): Value | undefined => {
  if (value instanceof PyUndefined) {
    if (hasDunder(value, name) || name.startsWith("_undefined_") || name === "_fail_with_undefined_error") {
      return unsafe(value, name)
    }
    if (name.startsWith("__") && name.endsWith("__")) return undefined
    throw value.error()
  }
  if (name.startsWith("_") && !(value instanceof PyNamespace)) {
    if (name === "_partition") return dataOf(value, name)
    return hasDunder(value, name) || dataOf(value, name) !== undefined ? unsafe(value, name) : undefined
  }
  const method = methodOf(value, name)
  if (method !== undefined) return new PyCallable(name, method)
  const data = dataOf(value, name)
  return data !== undefined && name.startsWith("_") ? unsafe(value, name) : data
}

/** obj[key] of Python; undefined when that raises a TypeError or LookupError, which the caller turns into its own answer. */
const itemOf = (value: Value, key: Value): Value | undefined => {
  if (value instanceof PyUndefined) throw value.error()
  const dict = dictOf(value)
  if (dict !== undefined) {
    try {
      return dictGet(dict, key)
    } catch (error) {
      if (error instanceof PyError && error.is("TypeError")) return undefined
      throw error
    }
  }
  const whole = intOf(key)
  if (whole === undefined) return undefined
  const at = Number(whole)
  if (Array.isArray(value)) return value.at(at)
  if (value instanceof PyTuple) return value.items.at(at)
  const text = strOf(value)
  if (text !== undefined) {
    const size = length(text)
    const index = at < 0 ? at + size : at
    if (index < 0 || index >= size) return undefined
    const char = slice(text, index, index + 1)
    return value instanceof PyMarkup ? new PyMarkup(char) : char
  }
  if (value instanceof PyBytes) return value.bytes.at(at)
  return undefined
}

/** `obj.name`: the attribute, else the item of that name, else undefined. */
export const getAttribute = (value: Value, name: string): Value => {
  tick()
  if (isPlainDict(value) && !Object.hasOwn(dictMethods, name) && !name.startsWith("__")) {
    return orElse(dictGet(value, name), () => missingAttribute(value, name))
  }
  const attribute = attributeOf(value, name)
  if (attribute !== undefined) return attribute
  return orElse(itemOf(value, name), () => missingAttribute(value, name))
}

/** `obj[key]`: the item, else the attribute of that name, else undefined. */
export const getItem = (value: Value, key: Value): Value => {
  tick()
  const item = itemOf(value, key)
  if (item !== undefined) return item
  const name = strOf(key)
  if (name === undefined) return new PyUndefined(`${describe(value)} has no element ${typeName(key)}`)
  return orElse(attributeOf(value, name), () => missingAttribute(value, name))
}

const access: FieldAccess = { attribute: getAttribute, item: getItem }

/** Calls `obj.name(...)` without making the bound method a value. */
export const callMethod = (value: Value, name: string, args: Arguments, kwargs: Kwargs): Value => {
  tick()
  if (!(value instanceof PyUndefined) && !name.startsWith("_")) {
    const method = methodOf(value, name)
    if (method !== undefined) return method(args, kwargs)
  }
  return call(getAttribute(value, name), args, kwargs)
}

/** Calls a value. */
export const call = (value: Value, args: Arguments, kwargs: Kwargs = noKwargs): Value => {
  tick()
  if (value instanceof PyCallable) return value.call(args, kwargs)
  if (value instanceof PyUndefined) throw value.error()
  if (value instanceof PyAttributes) {
    const target = value.attribute("__call__")
    if (target instanceof PyCallable) return target.call(args, kwargs)
  }
  throw typeError(`'${typeName(value)}' object is not callable`)
}

/** Whether the value can be called. */
export const isCallable = (value: Value): boolean =>
  value instanceof PyCallable ||
  value instanceof PyUndefined ||
  (value instanceof PyAttributes && value.attribute("__call__") !== undefined)

const bounds = (
  start: Value | undefined,
  stop: Value | undefined,
  step: Value | undefined,
  size: number
): { readonly from: number; readonly to: number; readonly by: number } => {
  const index = (value: Value | undefined): number | undefined => {
    if (value === undefined || value === null) return undefined
    const whole = intOf(value)
    if (whole === undefined) throw typeError("slice indices must be integers or None or have an __index__ method")
    return Number(whole)
  }
  const by = index(step) ?? 1
  if (by === 0) throw new PyError("ValueError", "slice step cannot be zero")
  const clamp = (value: number | undefined, fallback: number): number => {
    if (value === undefined) return fallback
    const at = value < 0 ? value + size : value
    return by > 0 ? Math.min(Math.max(at, 0), size) : Math.min(Math.max(at, -1), size - 1)
  }
  return { from: clamp(index(start), by > 0 ? 0 : size - 1), to: clamp(index(stop), by > 0 ? size : -1), by }
}

const pick = <A>(items: ReadonlyArray<A>, from: number, to: number, by: number): Array<A> => {
  if (by === 1) return items.slice(from, Math.max(from, to))
  const result: Array<A> = []
  for (let at = from; by > 0 ? at < to : at > to; at += by) {
    const item = items[at]
    if (item !== undefined) result.push(item)
  }
  return result
}

/** `obj[start:stop:step]`. */
export const getSlice = (
  value: Value,
  start: Value | undefined,
  stop: Value | undefined,
  step: Value | undefined
): Value => {
  tick()
  if (value instanceof PyUndefined) throw value.error()
  const text = strOf(value)
  if (text !== undefined) {
    const { from, to, by } = bounds(start, stop, step, length(text))
    const part = by === 1 ? slice(text, from, Math.max(from, to)) : pick(points(text), from, to, by).join("")
    return value instanceof PyMarkup ? new PyMarkup(part) : part
  }
  if (Array.isArray(value)) {
    const { from, to, by } = bounds(start, stop, step, value.length)
    tick(1 + (value.length >> 4))
    return pick(value, from, to, by)
  }
  if (value instanceof PyTuple) {
    const { from, to, by } = bounds(start, stop, step, value.items.length)
    return new PyTuple(pick(value.items, from, to, by))
  }
  if (value instanceof PyBytes) {
    const { from, to, by } = bounds(start, stop, step, value.bytes.length)
    return new PyBytes(Uint8Array.from(pick([...value.bytes], from, to, by)))
  }
  if (dictOf(value) !== undefined) {
    hashKey([])
  }
  throw typeError(`'${typeName(value)}' object is not subscriptable`)
}
