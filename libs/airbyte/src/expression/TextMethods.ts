import {
  type Arguments,
  bind,
  type Method,
  type Methods,
  optionalIndex,
  positional,
  range,
  wantIndex,
  wantStr
} from "./Arguments.ts"
import { truthy } from "./Compare.ts"
import { dictEntries, dictGet, dictOf, PyDict } from "./Dict.ts"
import { iterate } from "./Iterate.ts"
import { grow, tick } from "./Meter.ts"
import { PyError, typeError, valueError } from "./PyError.ts"
import * as Text from "./Text.ts"
import { intOf, isInt, PyBytes, PyTuple, strOf, typeName, type Kwargs, type Value } from "./Value.ts"
import { capitalize, title, swapCase, isLower, isUpper, isTitle, every } from "./TextCase.ts"

type TextMethod = Method<string>

const setOf = (chars: string): ReadonlySet<string> => new Set(chars)

/** strip, lstrip and rstrip: whitespace, or the characters given. */
export const strip = (text: string, chars: Value | undefined, left: boolean, right: boolean): string => {
  grow(text.length)
  if (chars === undefined || chars === null) {
    const trimmed = left ? Text.trimStart(text) : text
    return right ? Text.trimEnd(trimmed) : trimmed
  }
  const set = setOf(wantStr(chars, "strip arg"))
  const items = Text.points(text)
  let from = 0
  let to = items.length
  if (left) while (from < to && set.has(items[from] ?? "")) from++
  if (right) while (to > from && set.has(items[to - 1] ?? "")) to--
  return items.slice(from, to).join("")
}

const splitSpace = (text: string, limit: number, fromRight: boolean): Array<string> => {
  const result: Array<string> = []
  let rest = fromRight ? Text.trimEnd(text) : Text.trimStart(text)
  while (rest !== "") {
    if (result.length === limit) {
      result.push(rest)
      break
    }
    let at = fromRight ? rest.length : 0
    if (fromRight) {
      while (at > 0 && !Text.isSpaceAt(rest, at - 1)) at--
      result.push(rest.slice(at))
      rest = Text.trimEnd(rest.slice(0, at))
    } else {
      while (at < rest.length && !Text.isSpaceAt(rest, at)) at++
      result.push(rest.slice(0, at))
      rest = Text.trimStart(rest.slice(at))
    }
  }
  return fromRight ? result.toReversed() : result
}

const split = (name: string, fromRight: boolean): TextMethod => {
  return (self, args, kwargs) => {
    const [separator, count] = bind(name, ["sep", "maxsplit"], 0, args, kwargs)
    const max = optionalIndex(count, -1)
    grow(self.length)
    if (separator === undefined || separator === null) {
      const limit = max < 0 ? Infinity : max
      if (limit === 0) {
        const rest = fromRight ? Text.trimEnd(self) : Text.trimStart(self)
        return rest === "" ? [] : [rest]
      }
      return splitSpace(self, limit, fromRight)
    }
    const text = wantStr(separator, "sep")
    if (text === "") throw valueError("empty separator")
    const parts = self.split(text)
    if (max < 0 || parts.length <= max + 1) {
      if (fromRight && text.length > 1) return splitFromRight(self, text, Infinity)
      return parts
    }
    if (fromRight) return splitFromRight(self, text, max)
    return [...parts.slice(0, max), parts.slice(max).join(text)]
  }
}

const splitFromRight = (text: string, separator: string, limit: number): Array<string> => {
  const result: Array<string> = []
  let rest = text
  while (result.length < limit) {
    const at = rest.lastIndexOf(separator, rest.length - separator.length)
    if (at < 0 || rest.length < separator.length) break
    result.push(rest.slice(at + separator.length))
    rest = rest.slice(0, at)
  }
  result.push(rest)
  return result.toReversed()
}

/** str.replace. */
export const replace = (text: string, from: string, to: string, count: number): string => {
  tick(1 + (text.length >> 4))
  if (count === 0) return text
  if (from === "") {
    const items = Text.points(text)
    const limit = count < 0 ? items.length + 1 : Math.min(count, items.length + 1)
    grow(text.length + to.length * limit)
    return items.map((item, index) => (index < limit ? to + item : item)).join("") + (limit > items.length ? to : "")
  }
  const parts = text.split(from)
  const turns = count < 0 ? parts.length - 1 : Math.min(count, parts.length - 1)
  grow(text.length + Math.max(0, to.length - from.length) * turns)
  if (turns === parts.length - 1) return parts.join(to)
  return [...parts.slice(0, turns), parts.slice(turns).join(from)].join(to)
}

/** str.join. */
export const join = (separator: string, value: Value): string => {
  let result = ""
  let index = 0
  for (const item of iterate(value)) {
    tick()
    const text = strOf(item)
    if (text === undefined) {
      throw typeError(`sequence item ${index}: expected str instance, ${typeName(item)} found`)
    }
    grow(text.length + separator.length)
    result = index === 0 ? text : result + separator + text
    index++
  }
  return result
}

const find = (name: string, last: boolean, strict: boolean): TextMethod => {
  return (self, args, kwargs) => {
    positional(name, args, kwargs, 1, 3)
    const wanted = wantStr(args[0], `${name} argument`)
    const [start, end] = range(args[1], args[2], Text.length(self))
    const part = start > end ? undefined : Text.slice(self, start, end)
    const at = part === undefined ? -1 : last ? part.lastIndexOf(wanted) : part.indexOf(wanted)
    tick(1 + (self.length >> 4))
    if (at < 0 && strict) throw valueError("substring not found")
    return at < 0 ? -1 : start + Text.pointOffset(part ?? "", at)
  }
}

const count = (self: string, args: Arguments, kwargs: Kwargs): Value => {
  positional("count", args, kwargs, 1, 3)
  const wanted = wantStr(args[0], "count argument")
  const [start, end] = range(args[1], args[2], Text.length(self))
  if (start > end) return 0
  const part = Text.slice(self, start, end)
  tick(1 + (self.length >> 4))
  return wanted === "" ? Text.length(part) + 1 : part.split(wanted).length - 1
}

const edge = (name: "startswith" | "endswith"): TextMethod => {
  return (self, args, kwargs) => {
    positional(name, args, kwargs, 1, 3)
    const [first = null] = args
    const options = first instanceof PyTuple ? first.items : [first]
    const [start, end] = range(args[1], args[2], Text.length(self))
    const part = start > end ? undefined : args.length === 1 ? self : Text.slice(self, start, end)
    for (const option of options) {
      const text = strOf(option)
      if (text === undefined) {
        throw typeError(`${name} first arg must be str or a tuple of str, not ${typeName(option)}`)
      }
      if (part !== undefined && (name === "startswith" ? part.startsWith(text) : part.endsWith(text))) return true
    }
    return false
  }
}

const justify = (name: string, left: (missing: number, width: number) => number): TextMethod => {
  return (self, args, kwargs) => {
    positional(name, args, kwargs, 1, 2)
    const width = wantIndex(args[0] ?? null)
    const fill = args[1] === undefined ? " " : wantStr(args[1], "The fill character")
    if (Text.length(fill) !== 1) throw typeError("The fill character must be exactly one character long")
    const missing = width - Text.length(self)
    if (missing <= 0) return self
    grow(width)
    const before = left(missing, width)
    return fill.repeat(before) + self + fill.repeat(missing - before)
  }
}

/** str.center puts the odd space on the left only when the width is odd. */
const centerLeft = (missing: number, width: number): number => Math.floor(missing / 2) + (missing & width & 1)

export const center = (text: string, width: number): string => {
  const missing = width - Text.length(text)
  if (missing <= 0) return text
  grow(width)
  const before = centerLeft(missing, width)
  return " ".repeat(before) + text + " ".repeat(missing - before)
}

const partition = (name: string, last: boolean): TextMethod => {
  return (self, args, kwargs) => {
    positional(name, args, kwargs, 1, 1)
    const separator = wantStr(args[0], "separator")
    if (separator === "") throw valueError("empty separator")
    const at = last ? self.lastIndexOf(separator) : self.indexOf(separator)
    if (at < 0) return new PyTuple(last ? ["", "", self] : [self, "", ""])
    return new PyTuple([self.slice(0, at), separator, self.slice(at + separator.length)])
  }
}

const simple = (name: string, apply: (text: string) => Value): TextMethod => {
  return (self, args, kwargs) => {
    positional(name, args, kwargs, 0, 0)
    grow(self.length)
    return apply(self)
  }
}

const encodings: { readonly [name: string]: "utf8" | "latin1" | "ascii" } = {
  utf8: "utf8",
  utf: "utf8",
  ascii: "ascii",
  usascii: "ascii",
  latin1: "latin1",
  iso88591: "latin1"
}

const encode = (self: string, args: Arguments, kwargs: Kwargs): Value => {
  const [name, errors] = bind("encode", ["encoding", "errors"], 0, args, kwargs)
  const wanted = name === undefined ? "utf-8" : wantStr(name, "encoding")
  const encoding = encodings[wanted.toLowerCase().replace(/[-_ ]/g, "")]
  if (encoding === undefined) throw new PyError("LookupError", `unknown encoding: ${wanted}`)
  const mode = errors === undefined ? "strict" : wantStr(errors, "errors")
  const limit = encoding === "ascii" ? 127 : encoding === "latin1" ? 255 : 0x10ffff
  let text = ""
  for (const char of self) {
    const code = char.codePointAt(0) ?? 0
    if (code <= limit && !(code >= 0xd800 && code <= 0xdfff)) text += char
    else if (mode === "strict") throw new PyError("UnicodeEncodeError", `'${wanted}' codec can't encode character`)
    else if (mode !== "ignore") text += "?"
  }
  return new PyBytes(Buffer.from(text, encoding === "utf8" ? "utf8" : "latin1"))
}

const expandTabs = (self: string, args: Arguments, kwargs: Kwargs): Value => {
  const [size] = bind("expandtabs", ["tabsize"], 0, args, kwargs)
  const width = optionalIndex(size, 8)
  let result = ""
  let column = 0
  for (const char of self) {
    if (char === "\t") {
      const spaces = width > 0 ? width - (column % width) : 0
      grow(spaces)
      result += " ".repeat(spaces)
      column += spaces
    } else {
      result += char
      column = char === "\n" || char === "\r" ? 0 : column + 1
    }
  }
  return result
}

const makeTranslation = (_: string, args: Arguments, kwargs: Kwargs): Value => {
  positional("maketrans", args, kwargs, 1, 3)
  const [first = null] = args
  const table = new PyDict()
  if (args.length === 1) {
    const dict = dictOf(first)
    if (dict === undefined) throw typeError("if you give only one argument to maketrans it must be a dict")
    for (const [key, value] of dictEntries(dict)) {
      const char = strOf(key)
      if (char !== undefined && Text.length(char) !== 1) {
        throw valueError("string keys in translate table must be of length 1")
      }
      table.set(char === undefined ? key : (char.codePointAt(0) ?? 0), value)
    }
    return table
  }
  const from = Text.points(wantStr(first, "maketrans argument 1"))
  const to = Text.points(wantStr(args[1], "maketrans argument 2"))
  if (from.length !== to.length) throw valueError("the first two maketrans arguments must have equal length")
  from.forEach((char, index) => table.set(char.codePointAt(0) ?? 0, (to[index] ?? "").codePointAt(0) ?? 0))
  if (args[2] !== undefined) {
    for (const char of wantStr(args[2], "maketrans argument 3")) table.set(char.codePointAt(0) ?? 0, null)
  }
  return table
}

const translate = (self: string, args: Arguments, kwargs: Kwargs): Value => {
  positional("translate", args, kwargs, 1, 1)
  const table = dictOf(args[0])
  if (table === undefined) throw typeError("the translation table must be a dict")
  let result = ""
  for (const char of self) {
    const found = dictGet(table, char.codePointAt(0) ?? 0)
    const text = strOf(found)
    if (found === undefined) result += char
    else if (text !== undefined) result += text
    else if (found !== null && isInt(found)) result += String.fromCodePoint(Number(found))
    else if (found !== null) throw typeError("character mapping must return integer, None or str")
    grow(1 + (text?.length ?? 0))
  }
  return result
}

const zfill = (self: string, args: Arguments, kwargs: Kwargs): Value => {
  positional("zfill", args, kwargs, 1, 1)
  const width = wantIndex(args[0] ?? null)
  const missing = width - Text.length(self)
  if (missing <= 0) return self
  grow(width)
  const sign = self.startsWith("-") || self.startsWith("+") ? self.slice(0, 1) : ""
  return sign + "0".repeat(missing) + self.slice(sign.length)
}

const stripMethod = (name: string, left: boolean, right: boolean): TextMethod => {
  return (self, args, kwargs) => strip(self, positional(name, args, kwargs, 0, 1)[0], left, right)
}

export const textMethods: Methods<string> = {
  capitalize: simple("capitalize", capitalize),
  casefold: simple("casefold", (text) => text.toLowerCase().replaceAll("ß", "ss").replaceAll("ς", "σ")),
  center: justify("center", centerLeft),
  count,
  encode,
  endswith: edge("endswith"),
  expandtabs: expandTabs,
  find: find("find", false, false),
  index: find("index", false, true),
  isalnum: simple("isalnum", (text) => every(text, /^[\p{L}\p{N}]+$/u)),
  isalpha: simple("isalpha", (text) => every(text, /^\p{L}+$/u)),
  // oxlint-disable-next-line no-control-regex -- the whole of ASCII is meant
  isascii: simple("isascii", (text) => /^[\u0000-\u007f]*$/.test(text)),
  isdecimal: simple("isdecimal", (text) => every(text, /^\p{Nd}+$/u)),
  isdigit: simple("isdigit", (text) =>
    every(text, /^[\p{Nd}\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468]+$/u)
  ),
  isidentifier: simple("isidentifier", (text) => every(text, /^[\p{XID_Start}_]\p{XID_Continue}*$/u)),
  islower: simple("islower", isLower),
  isnumeric: simple("isnumeric", (text) => every(text, /^\p{N}+$/u)),
  isprintable: simple("isprintable", (text) => Array.from(text).every(Text.isPrintable)),
  isspace: simple("isspace", Text.isSpace),
  istitle: simple("istitle", isTitle),
  isupper: simple("isupper", isUpper),
  join: (self, args, kwargs) => join(self, positional("join", args, kwargs, 1, 1)[0] ?? null),
  ljust: justify("ljust", () => 0),
  lower: simple("lower", (text) => text.toLowerCase()),
  lstrip: stripMethod("lstrip", true, false),
  maketrans: makeTranslation,
  partition: partition("partition", false),
  removeprefix: (self, args, kwargs) => {
    const prefix = wantStr(positional("removeprefix", args, kwargs, 1, 1)[0], "removeprefix() argument")
    return self.startsWith(prefix) ? self.slice(prefix.length) : self
  },
  removesuffix: (self, args, kwargs) => {
    const suffix = wantStr(positional("removesuffix", args, kwargs, 1, 1)[0], "removesuffix() argument")
    return suffix !== "" && self.endsWith(suffix) ? self.slice(0, -suffix.length) : self
  },
  replace: (self, args, kwargs) => {
    positional("replace", args, kwargs, 2, 3)
    const from = wantStr(args[0], "replace() argument 1")
    return replace(self, from, wantStr(args[1], "replace() argument 2"), optionalIndex(args[2], -1))
  },
  rfind: find("rfind", true, false),
  rindex: find("rindex", true, true),
  rjust: justify("rjust", (missing) => missing),
  rpartition: partition("rpartition", true),
  rsplit: split("rsplit", true),
  rstrip: stripMethod("rstrip", false, true),
  split: split("split", false),
  splitlines: (self, args, kwargs) => {
    const [keep] = bind("splitlines", ["keepends"], 0, args, kwargs)
    const ends = keep === undefined ? 0 : intOf(keep)
    if (ends === undefined) throw typeError(`'${typeName(keep ?? null)}' object cannot be interpreted as an integer`)
    return Text.splitLines(self, truthy(ends))
  },
  startswith: edge("startswith"),
  strip: stripMethod("strip", true, true),
  swapcase: simple("swapcase", swapCase),
  title: simple("title", title),
  translate,
  upper: simple("upper", (text) => text.toUpperCase()),
  zfill
}
