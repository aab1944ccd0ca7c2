import { wantIndex } from "./Arguments.ts"
import { getAttribute } from "./Attributes.ts"
import { compare, equals, sorted, truthy } from "./Compare.ts"
import { dictEntries, dictOf, hashKey } from "./Dict.ts"
import { filters } from "./FilterTable.ts"
import { filter, getter, lowered, type Filter } from "./FilterTypes.ts"
import { iterableOf, iterate, len, listOf } from "./Iterate.ts"
import { grow, tick } from "./Meter.ts"
import { add } from "./Operators.ts"
import { PyError, typeError } from "./PyError.ts"
import { random } from "./Ports.ts"
import { repr, str } from "./Repr.ts"
import { points } from "./Text.ts"
import { tests } from "./Tests.ts"
import {
  groupTuple,
  orElse,
  PyIterator,
  PyTuple,
  PyUndefined,
  strOf,
  typeName,
  type Kwargs,
  type Value
} from "./Value.ts"

const argumentError = (message: string): PyError => new PyError("FilterArgumentError", message)

const call = (
  table: ReadonlyMap<string, Filter>,
  label: string,
  name: Value,
  value: Value,
  args: ReadonlyArray<Value>,
  kwargs: Kwargs
): Value => {
  const text = strOf(name)
  if (text === undefined) hashKey(name)
  const found = text === undefined ? undefined : table.get(text)
  if (found === undefined) {
    throw new PyError("TemplateRuntimeError", `No ${label} named ${repr(name)}.`)
  }
  tick()
  return found(value, args, kwargs)
}

function* mapped(value: Value, args: ReadonlyArray<Value>, kwargs: Kwargs): Generator<Value> {
  if (!truthy(value)) return
  let apply: (item: Value) => Value
  const attribute = kwargs.get("attribute")
  if (args.length === 0 && attribute !== undefined) {
    for (const name of kwargs.keys()) {
      if (name !== "attribute" && name !== "default") throw argumentError(`Unexpected keyword argument '${name}'`)
    }
    apply = getter(attribute, kwargs.get("default") ?? null)
  } else {
    const [name, ...rest] = args
    if (name === undefined) throw argumentError("map requires a filter argument")
    apply = (item) => call(filters, "filter", name, item, rest, kwargs)
  }
  for (const item of iterate(value)) {
    tick()
    yield apply(item)
  }
}

function* selected(
  value: Value,
  args: ReadonlyArray<Value>,
  kwargs: Kwargs,
  keep: boolean,
  byAttribute: boolean
): Generator<Value> {
  if (!truthy(value)) return
  const [attribute, ...others] = args
  if (byAttribute && attribute === undefined) throw argumentError("Missing parameter for attribute name")
  const read = byAttribute ? getter(attribute ?? null) : (item: Value) => item
  const [name, ...rest] = byAttribute ? others : args
  for (const item of iterate(value)) {
    tick()
    const subject = read(item)
    const verdict = name === undefined ? truthy(subject) : truthy(call(tests, "test", name, subject, rest, kwargs))
    if (verdict === keep) yield item
  }
}

const selection = (name: string, keep: boolean, byAttribute: boolean): readonly [string, Filter] => [
  name,
  (value, args, kwargs) => new PyIterator(selected(value, args, kwargs, keep, byAttribute), `sync_do_${name}`)
]

function* unique(value: Value, caseSensitive: boolean, attribute: Value): Generator<Value> {
  const read = getter(attribute)
  const seen = new Set<string>()
  for (const item of iterate(value)) {
    tick()
    const found = read(item)
    const key = hashKey(caseSensitive ? found : lowered(found))
    if (seen.has(key)) continue
    seen.add(key)
    yield item
  }
}

function* slices(value: Value, count: Value, fill: Value | undefined): Generator<Value> {
  const items = listOf(value)
  const total = wantIndex(count)
  if (total === 0) throw new PyError("ZeroDivisionError", "integer division or modulo by zero")
  const per = Math.floor(items.length / total)
  const extra = ((items.length % total) + total) % total
  let offset = 0
  for (let index = 0; index < total; index++) {
    tick()
    const start = offset + index * per
    if (index < extra) offset++
    const part = items.slice(start, offset + (index + 1) * per)
    if (fill !== undefined && fill !== null && index >= extra) part.push(fill)
    yield part
  }
}

function* batches(value: Value, count: Value, fill: Value | undefined): Generator<Value> {
  let part: Array<Value> = []
  for (const item of iterate(value)) {
    tick()
    if (equals(part.length, count)) {
      yield part
      part = []
    }
    part.push(item)
  }
  if (part.length === 0) return
  if (fill !== undefined && fill !== null && compare(part.length, count, "<")) {
    const size = wantIndex(count)
    grow(size)
    while (part.length < size) part.push(fill)
  }
  yield part
}

const extreme = (name: "min" | "max"): readonly [string, Filter] =>
  filter(name, ["case_sensitive", "attribute"], 0, (value, [sensitive, attribute = null]) => {
    const read = getter(attribute)
    const key = (item: Value): Value =>
      sensitive !== undefined && truthy(sensitive) ? read(item) : lowered(read(item))
    let best: Value | undefined
    let bestKey: Value = null
    for (const item of iterate(value)) {
      tick()
      const found = key(item)
      if (best === undefined || compare(found, bestKey, name === "min" ? "<" : ">")) {
        best = item
        bestKey = found
      }
    }
    return orElse(best, () => new PyUndefined("No aggregated item, sequence was empty."))
  })

const sort = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [reverse, sensitive, attribute = null] = args
  const text = strOf(attribute)
  const reads = (text === undefined ? [attribute] : text.split(",")).map((part) => getter(part))
  const items = listOf(value)
  const exact = sensitive !== undefined && truthy(sensitive)
  const keys = items.map((item): Value => reads.map((read) => (exact ? read(item) : lowered(read(item)))))
  return sorted(items, keys, reverse !== undefined && truthy(reverse))
}

const dictSort = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [sensitive, by, reverse] = args
  const side = by === undefined ? "key" : strOf(by)
  if (side !== "key" && side !== "value") throw argumentError('You can only sort by either "key" or "value"')
  const dict = dictOf(value)
  if (value instanceof PyUndefined) throw value.error()
  if (dict === undefined) throw new PyError("AttributeError", `'${typeName(value)}' object has no attribute 'items'`)
  const entries = dictEntries(dict)
  const exact = sensitive !== undefined && truthy(sensitive)
  const keys = entries.map((entry) => {
    const key = side === "key" ? entry[0] : entry[1]
    return exact ? key : lowered(key)
  })
  return sorted(
    entries.map((entry) => new PyTuple(entry)),
    keys,
    reverse !== undefined && truthy(reverse)
  )
}

const groupBy = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [attribute = null, fallback = null, sensitive] = args
  const read = getter(attribute, fallback)
  const exact = sensitive !== undefined && truthy(sensitive)
  const key = (item: Value): Value => (exact ? read(item) : lowered(read(item)))
  const items = listOf(value)
  const order = sorted(items, items.map(key), false)
  const groups: Array<readonly [Value, Array<Value>]> = []
  for (const item of order) {
    tick()
    const found = key(item)
    const last = groups.at(-1)
    if (last !== undefined && equals(last[0], found)) last[1].push(item)
    else groups.push([found, [item]])
  }
  return groups.map(([found, members]) => {
    const name = exact ? found : read(members[0] ?? null)
    return new PyTuple([name, members], groupTuple, ["grouper", "list"])
  })
}

const join = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [separator = "", attribute = null] = args
  const read = getter(attribute)
  const glue = str(separator)
  let result = ""
  let first = true
  for (const item of iterate(value)) {
    tick()
    const text = str(attribute === null ? item : read(item))
    grow(text.length + glue.length)
    result = first ? text : result + glue + text
    first = false
  }
  return result
}

const reverse = (value: Value): Value => {
  const text = strOf(value)
  if (text !== undefined) return points(text).toReversed().join("")
  const items = iterableOf(value)
  if (items === undefined) throw argumentError("argument must be iterable")
  if (value instanceof PyIterator) {
    try {
      return listOf(value).toReversed()
    } catch (error) {
      throw error instanceof PyError && error.is("TypeError") ? argumentError("argument must be iterable") : error
    }
  }
  const kind = Array.isArray(value)
    ? "list_reverseiterator"
    : value instanceof PyTuple || value instanceof PyUndefined
      ? "reversed"
      : "dict_reversekeyiterator"
  return new PyIterator(listOf(value).toReversed()[Symbol.iterator](), "reversed", kind)
}

const last = (value: Value): Value => {
  if (value instanceof PyIterator) throw typeError(`'${typeName(value)}' object is not reversible`)
  if (value instanceof PyUndefined) return new PyUndefined("No last item, sequence was empty.")
  const items = iterableOf(value)
  if (items === undefined) throw typeError(`'${typeName(value)}' object is not reversible`)
  return orElse(listOf(value).at(-1), () => new PyUndefined("No last item, sequence was empty."))
}

const first = (value: Value): Value => {
  for (const item of iterate(value)) return item
  return new PyUndefined("No first item, sequence was empty.")
}

/** The first item of an iterator, which keeps the rest. */
const firstOf = (value: Value): Value => {
  if (!(value instanceof PyIterator)) return first(value)
  const next = value.iterator.next()
  return next.done === true ? new PyUndefined("No first item, sequence was empty.") : next.value
}

/** Filters on sequences and mappings. */
export const sequenceFilters: ReadonlyArray<readonly [string, Filter]> = [
  filter("attr", ["name"], 1, (value, [name = null]) => {
    if (value instanceof PyUndefined) throw value.error()
    const attribute = strOf(name)
    if (attribute === undefined) throw typeError("attribute name must be string")
    const dict = dictOf(value)
    if (dict !== undefined && !hasAttribute(value, attribute)) return new PyUndefined(`no attribute ${attribute}`)
    return getAttribute(value, attribute)
  }),
  filter(
    "batch",
    ["linecount", "fill_with"],
    1,
    (value, [count = null, fill]) => new PyIterator(batches(value, count, fill), "do_batch")
  ),
  filter("count", [], 0, len),
  filter("length", [], 0, len),
  filter("d", ["default_value", "boolean"], 0, (value, args) => fallbackFor(value, args)),
  filter("default", ["default_value", "boolean"], 0, (value, args) => fallbackFor(value, args)),
  filter("dictsort", ["case_sensitive", "by", "reverse"], 0, dictSort),
  filter("first", [], 0, firstOf),
  filter("groupby", ["attribute", "default", "case_sensitive"], 1, groupBy),
  filter("items", [], 0, (value) => {
    const dict = dictOf(value)
    const iterator = (function* (): Generator<Value> {
      if (value instanceof PyUndefined) return
      if (dict === undefined) throw typeError("Can only get item pairs from a mapping.")
      for (const entry of dictEntries(dict)) yield new PyTuple(entry)
    })()
    return new PyIterator(iterator, "do_items")
  }),
  filter("join", ["d", "attribute"], 0, join),
  filter("last", [], 0, last),
  filter("list", [], 0, listOf),
  ["map", (value, args, kwargs) => new PyIterator(mapped(value, args, kwargs), "sync_do_map")],
  extreme("min"),
  extreme("max"),
  filter("random", [], 0, (value) => {
    const items = dictOf(value) === undefined ? listOf(value) : undefined
    if (items === undefined) throw new PyError("KeyError", "random item of a mapping")
    if (items.length === 0) return new PyUndefined("No random item, sequence was empty.")
    return items[Math.floor(random() * items.length)] ?? null
  }),
  selection("select", true, false),
  selection("reject", false, false),
  selection("selectattr", true, true),
  selection("rejectattr", false, true),
  filter("reverse", [], 0, reverse),
  filter(
    "slice",
    ["slices", "fill_with"],
    1,
    (value, [count = null, fill]) => new PyIterator(slices(value, count, fill), "sync_do_slice")
  ),
  filter("sort", ["reverse", "case_sensitive", "attribute"], 0, sort),
  filter("sum", ["attribute", "start"], 0, (value, [attribute = null, start = 0]) => {
    if (strOf(start) !== undefined) throw typeError("sum() can't sum strings [use ''.join(seq) instead]")
    const read = getter(attribute)
    let total = start
    for (const item of iterate(value)) {
      tick()
      total = add(total, attribute === null ? item : read(item))
    }
    return total
  }),
  filter(
    "unique",
    ["case_sensitive", "attribute"],
    0,
    (value, [sensitive, attribute = null]) =>
      new PyIterator(unique(value, sensitive !== undefined && truthy(sensitive), attribute), "sync_do_unique")
  )
]

const hasAttribute = (value: Value, name: string): boolean =>
  getAttribute(typeName(value) === "dict" ? {} : value, name) instanceof PyUndefined ? name.startsWith("__") : true

const fallbackFor = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [fallback = "", boolean] = args
  return value instanceof PyUndefined || (boolean !== undefined && truthy(boolean) && !truthy(value)) ? fallback : value
}
