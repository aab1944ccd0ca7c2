import { type Arguments, bind, type Methods, positional, range, wantIndex, wantStr } from "./Arguments.ts"
import { equals, sorted, truthy } from "./Compare.ts"
import {
  dictDelete,
  dictEntries,
  dictGet,
  dictKeys,
  dictOf,
  dictSet,
  PyDict,
  PyDictView,
  StreamSlice,
  type DictLike
} from "./Dict.ts"
import { iterate, listOf } from "./Iterate.ts"
import { grow, tick } from "./Meter.ts"
import { PyError, typeError, valueError } from "./PyError.ts"
import { repr } from "./Repr.ts"
import { orElse, type PyBytes, PyCallable, PyTuple, typeName, noKwargs, type Kwargs, type Value } from "./Value.ts"

const indexOf = (items: ReadonlyArray<Value>, args: Arguments, kwargs: Kwargs, type: string): number => {
  positional("index", args, kwargs, 1, 3)
  const [start, end] = range(args[1], args[2], items.length)
  for (let index = start; index < Math.min(end, items.length); index++) {
    if (equals(items[index] ?? null, args[0] ?? null)) return index
  }
  throw valueError(`${repr(args[0] ?? null)} is not in ${type}`)
}

const countOf = (items: ReadonlyArray<Value>, args: Arguments, kwargs: Kwargs): number => {
  const [wanted = null] = positional("count", args, kwargs, 1, 1)
  return items.filter((item) => equals(item, wanted)).length
}

const frozen = (list: ReadonlyArray<Value>): void => {
  if (Object.isFrozen(list)) throw new PyError("SecurityError", "the list belongs to the caller and may not be changed")
}

export const listMethods: Methods<Array<Value>> = {
  append: (self, args, kwargs) => {
    const [item = null] = positional("append", args, kwargs, 1, 1)
    frozen(self)
    grow(1)
    self.push(item)
    return null
  },
  clear: (self, args, kwargs) => {
    positional("clear", args, kwargs, 0, 0)
    frozen(self)
    self.length = 0
    return null
  },
  copy: (self, args, kwargs) => {
    positional("copy", args, kwargs, 0, 0)
    grow(self.length)
    return [...self]
  },
  count: countOf,
  extend: (self, args, kwargs) => {
    const [items = null] = positional("extend", args, kwargs, 1, 1)
    frozen(self)
    for (const item of items === self ? [...self] : iterate(items)) {
      tick()
      grow(1)
      self.push(item)
    }
    return null
  },
  index: (self, args, kwargs) => indexOf(self, args, kwargs, "list"),
  insert: (self, args, kwargs) => {
    const [at = null, item = null] = positional("insert", args, kwargs, 2, 2)
    frozen(self)
    grow(1)
    self.splice(wantIndex(at), 0, item)
    return null
  },
  pop: (self, args, kwargs) => {
    positional("pop", args, kwargs, 0, 1)
    const at = args[0] === undefined ? -1 : wantIndex(args[0])
    if (self.length === 0) throw new PyError("IndexError", "pop from empty list")
    const index = at < 0 ? at + self.length : at
    if (index < 0 || index >= self.length) throw new PyError("IndexError", "pop index out of range")
    frozen(self)
    return self.splice(index, 1)[0] ?? null
  },
  remove: (self, args, kwargs) => {
    const [item = null] = positional("remove", args, kwargs, 1, 1)
    const index = self.findIndex((candidate) => equals(candidate, item))
    if (index < 0) throw valueError("list.remove(x): x not in list")
    frozen(self)
    self.splice(index, 1)
    return null
  },
  reverse: (self, args, kwargs) => {
    positional("reverse", args, kwargs, 0, 0)
    frozen(self)
    self.reverse()
    return null
  },
  sort: (self, args, kwargs) => {
    positional("sort", args, noKwargs, 0, 0)
    const [key, reverse] = bind("sort", ["key", "reverse"], 0, [], kwargs)
    frozen(self)
    const call = key instanceof PyCallable ? key : undefined
    if (key !== undefined && key !== null && call === undefined)
      throw typeError(`'${typeName(key)}' object is not callable`)
    const keys = call === undefined ? self : self.map((item) => call.call([item], noKwargs))
    const result = sorted(self, keys, reverse !== undefined && truthy(reverse))
    self.splice(0, self.length, ...result)
    return null
  }
}

export const tupleMethods: Methods<PyTuple> = {
  count: (self, args, kwargs) => countOf(self.items, args, kwargs),
  index: (self, args, kwargs) => indexOf(self.items, args, kwargs, "tuple")
}

const mutable = (dict: DictLike): void => {
  if (Object.isFrozen(dict)) throw new PyError("SecurityError", "the dict belongs to the caller and may not be changed")
}

const missing = (key: Value): PyError => new PyError("KeyError", repr(key))

/** dict.update, and the arguments of dict(). */
export const update = (dict: DictLike, args: Arguments, kwargs: Kwargs): void => {
  const [source] = positional("update", args, noKwargs, 0, 1)
  if (source !== undefined) {
    const mapping = dictOf(source)
    if (mapping !== undefined) for (const [key, value] of dictEntries(mapping)) dictSet(dict, key, value)
    else {
      let index = 0
      for (const item of iterate(source)) {
        tick()
        const pair = listOf(item)
        if (pair.length !== 2) {
          throw valueError(`dictionary update sequence element #${index} has length ${pair.length}; 2 is required`)
        }
        dictSet(dict, pair[0] ?? null, pair[1] ?? null)
        index++
      }
    }
  }
  for (const [key, value] of kwargs) dictSet(dict, key, value)
}

const view = (type: "dict_keys" | "dict_values" | "dict_items", name: string): Methods<DictLike>[string] => {
  return (self, args, kwargs) => {
    positional(name, args, kwargs, 0, 0)
    return new PyDictView(type, self)
  }
}

/** What every mapping can do. */
export const mappingMethods: Methods<DictLike> = {
  get: (self, args, kwargs) => {
    if (self instanceof StreamSlice) {
      const [key = null, fallback = null] = bind("get", ["key", "default"], 1, args, kwargs)
      return orElse(dictGet(self, key), () => fallback)
    }
    const [key = null, fallback = null] = positional("get", args, kwargs, 1, 2)
    return orElse(dictGet(self, key), () => fallback)
  },
  items: view("dict_items", "items"),
  keys: view("dict_keys", "keys"),
  values: view("dict_values", "values")
}

export const dictMethods: Methods<DictLike> = {
  ...mappingMethods,
  clear: (self, args, kwargs) => {
    positional("clear", args, kwargs, 0, 0)
    mutable(self)
    for (const key of dictKeys(self)) dictDelete(self, key)
    return null
  },
  copy: (self, args, kwargs) => {
    positional("copy", args, kwargs, 0, 0)
    return PyDict.of(dictEntries(self))
  },
  fromkeys: (_, args, kwargs) => {
    const [keys = null, value = null] = positional("fromkeys", args, kwargs, 1, 2)
    const result = new PyDict()
    for (const key of iterate(keys)) {
      tick()
      result.set(key, value)
    }
    return result
  },
  pop: (self, args, kwargs) => {
    const [key = null, fallback] = positional("pop", args, kwargs, 1, 2)
    const value = dictGet(self, key)
    if (value === undefined) {
      if (fallback === undefined) throw missing(key)
      return fallback
    }
    mutable(self)
    dictDelete(self, key)
    return value
  },
  popitem: (self, args, kwargs) => {
    positional("popitem", args, kwargs, 0, 0)
    const last = dictEntries(self).at(-1)
    if (last === undefined) throw new PyError("KeyError", "'popitem(): dictionary is empty'")
    mutable(self)
    dictDelete(self, last[0])
    return new PyTuple(last)
  },
  setdefault: (self, args, kwargs) => {
    const [key = null, fallback = null] = positional("setdefault", args, kwargs, 1, 2)
    const known = dictGet(self, key)
    if (known !== undefined) return known
    mutable(self)
    dictSet(self, key, fallback)
    return fallback
  },
  update: (self, args, kwargs) => {
    mutable(self)
    update(self, args, kwargs)
    return null
  }
}

export const bytesMethods: Methods<PyBytes> = {
  decode: (self, args, kwargs) => {
    const [encoding] = bind("decode", ["encoding", "errors"], 0, args, kwargs)
    const name = encoding === undefined ? "utf-8" : wantStr(encoding, "encoding")
    return decode(self.bytes, name)
  },
  hex: (self, args, kwargs) => {
    positional("hex", args, kwargs, 0, 0)
    return Buffer.from(self.bytes).toString("hex")
  }
}

/** Bytes as text in UTF-8 or one of its subsets. */
export const decode = (bytes: Uint8Array, encoding: string): string => {
  grow(bytes.length)
  const name = encoding.toLowerCase().replace(/[-_ ]/g, "")
  if (name === "latin1" || name === "iso88591") return Buffer.from(bytes).toString("latin1")
  if (name !== "utf8" && name !== "ascii" && name !== "usascii") {
    throw new PyError("LookupError", `unknown encoding: ${encoding}`)
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new PyError("UnicodeDecodeError", `'${encoding}' codec can't decode the bytes`)
  }
}
