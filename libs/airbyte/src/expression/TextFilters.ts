import { optionalIndex, wantIndex, wantStr } from "./Arguments.ts"
import { truthy } from "./Compare.ts"
import { dictEntries, dictOf, PyDict } from "./Dict.ts"
import { filter, soft, type Filter } from "./FilterTypes.ts"
import { fixed } from "./FloatFormat.ts"
import { escapeHtml } from "./Html.ts"
import { iterableOf, listOf } from "./Iterate.ts"
import { dumps } from "./Json.ts"
import { grow, tick } from "./Meter.ts"
import { modulo } from "./Operators.ts"
import { PyError, typeError, valueError } from "./PyError.ts"
import { repr, str } from "./Repr.ts"
import * as Text from "./Text.ts"
import { capitalize } from "./TextCase.ts"
import { center, replace, strip } from "./TextMethods.ts"
import { wrap } from "./TextWrap.ts"
import { urlize } from "./Urlize.ts"
import { PyBytes, PyMarkup, PyTuple, PyUndefined, strOf, typeName, type Value } from "./Value.ts"
import { prettyPrint } from "./PrettyPrint.ts"
import { toFloatValue } from "./NumberFilters.ts"

/** Percent-encoding of everything but letters, digits, `_.-~` and `safe`. */
export const quote = (text: string, safe: string): string => {
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text)) {
    throw new PyError("UnicodeEncodeError", "'utf-8' codec can't encode a lone surrogate")
  }
  grow(text.length * 3)
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%[0-9A-F]{2}/g, (code) => {
      const char = String.fromCharCode(Number.parseInt(code.slice(1), 16))
      return safe.includes(char) ? char : code
    })
}

const urlQuote = (value: Value, query: boolean): string => {
  if (value instanceof PyBytes) return quote(Buffer.from(value.bytes).toString("latin1"), query ? "" : "/")
  const quoted = quote(str(value), query ? "" : "/")
  return query ? quoted.replaceAll("%20", "+") : quoted
}

/** escape(): text that is marked as safe stays as it is. */
const escape = (value: Value): PyMarkup => (value instanceof PyMarkup ? value : new PyMarkup(escapeHtml(str(value))))

const like = (value: Value, text: string): Value => (value instanceof PyMarkup ? new PyMarkup(text) : text)

const truncate = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [length, kill, end, leeway] = args
  const text = strOf(value)
  const size = optionalIndex(length, 255)
  const tail = end === undefined ? "..." : wantStr(end, "end")
  const slack = leeway === undefined || leeway === null ? 5 : wantIndex(leeway)
  if (size < Text.length(tail))
    throw new PyError("AssertionError", `expected length >= ${Text.length(tail)}, got ${size}`)
  if (slack < 0) throw new PyError("AssertionError", `expected leeway >= 0, got ${slack}`)
  if (text === undefined) {
    if (value instanceof PyUndefined || iterableOf(value) !== undefined) {
      const count = value instanceof PyUndefined ? 0 : listOf(value).length
      if (count <= size + slack) return value
    }
    throw typeError(`object of type '${typeName(value)}' cannot be truncated`)
  }
  if (Text.length(text) <= size + slack) return value
  const cut = Text.slice(text, 0, size - Text.length(tail))
  if (kill !== undefined && truthy(kill)) return like(value, cut + tail)
  const space = cut.lastIndexOf(" ")
  return like(value, (space < 0 ? cut : cut.slice(0, space)) + tail)
}

const indent = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [width, first, blank] = args
  const unit = width === undefined ? "    " : (strOf(width) ?? " ".repeat(Math.max(0, sized(wantIndex(width)))))
  const text = strOf(value)
  if (value instanceof PyUndefined) throw value.error()
  if (Array.isArray(value)) throw new PyError("AttributeError", "'list' object has no attribute 'splitlines'")
  if (text === undefined) throw typeError(`can only concatenate str to ${typeName(value)}`)
  const lines = Text.splitLines(`${text}\n`, false)
  grow(unit.length * lines.length)
  const all = blank !== undefined && truthy(blank)
  const [head = "", ...rest] = lines
  const made = all
    ? lines.join(`\n${unit}`)
    : [head, ...rest.map((line) => (line === "" ? line : unit + line))].join("\n")
  return like(value, first !== undefined && truthy(first) ? unit + made : made)
}

const sized = (count: number): number => {
  grow(Math.max(0, count))
  return count
}

const fileSize = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const bytes = toFloatValue(value)
  const binary = args[0] !== undefined && truthy(args[0])
  const base = binary ? 1024 : 1000
  if (bytes === 1) return "1 Byte"
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`
  const names = ["k", "M", "G", "T", "P", "E", "Z", "Y"].map((name) =>
    binary ? `${name.toUpperCase()}iB` : `${name}B`
  )
  let index = 0
  while (index < names.length - 1 && bytes >= base ** (index + 2)) index++
  const amount = (base * bytes) / base ** (index + 2)
  return `${amount < 0 ? "-" : ""}${fixed(amount, 1)} ${names[index]}`
}

const titleWords = (text: string): string =>
  text
    .split(/([-\s({[<]+)/)
    .map((word) => {
      const [first = ""] = word
      return first.toUpperCase() + word.slice(first.length).toLowerCase()
    })
    .join("")

const xmlAttributes = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const dict = dictOf(value)
  if (value instanceof PyUndefined) throw value.error()
  if (dict === undefined) throw new PyError("AttributeError", `'${typeName(value)}' object has no attribute 'items'`)
  const parts: Array<string> = []
  for (const [key, item] of dictEntries(dict)) {
    tick()
    if (item === null || item instanceof PyUndefined) continue
    const name = strOf(key)
    if (name === undefined) throw typeError("expected string or bytes-like object")
    if (/[\s/>=]/.test(name)) throw valueError(`Invalid character in attribute name: ${repr(key)}`)
    parts.push(`${escape(key).value}="${escape(item).value}"`)
  }
  const text = parts.join(" ")
  const space = args[0] === undefined || truthy(args[0])
  return space && text !== "" ? ` ${text}` : text
}

const urlEncode = (value: Value): Value => {
  const items = strOf(value) === undefined ? iterableOf(value) : undefined
  if (items === undefined) return urlQuote(value, false)
  const dict = value instanceof PyDict || dictOf(value) !== undefined ? dictOf(value) : undefined
  const isDict = dict !== undefined && typeName(value) === "dict"
  const pairs: Array<string> = []
  for (const item of isDict ? dictEntries(dict).map((entry) => new PyTuple(entry)) : items) {
    tick()
    const pair = listOf(item)
    const [key, content] = pair
    if (pair.length > 2) throw valueError("too many values to unpack (expected 2)")
    if (key === undefined || content === undefined) throw valueError("not enough values to unpack (expected 2)")
    pairs.push(`${urlQuote(key, true)}=${urlQuote(content, true)}`)
  }
  return pairs.join("&")
}

export const formatFilter: Filter = (value, args, kwargs) => {
  if (args.length > 0 && kwargs.size > 0) {
    throw new PyError("FilterArgumentError", "can't handle positional and keyword arguments at the same time")
  }
  const text = value instanceof PyMarkup ? value : soft(value)
  return modulo(text, kwargs.size > 0 ? PyDict.of(kwargs) : new PyTuple(args))
}

/** Filters on text. */
export const textFilters: ReadonlyArray<readonly [string, Filter]> = [
  filter("capitalize", [], 0, (value) => like(value, capitalize(soft(value)))),
  filter("center", ["width"], 0, (value, [width]) => like(value, center(soft(value), optionalIndex(width, 80)))),
  filter("e", [], 0, escape),
  filter("escape", [], 0, escape),
  filter("forceescape", [], 0, (value) => new PyMarkup(escapeHtml(str(value)))),
  filter("filesizeformat", ["binary"], 0, fileSize),
  ["format", formatFilter],
  filter("indent", ["width", "first", "blank"], 0, indent),
  filter("lower", [], 0, (value) => like(value, soft(value).toLowerCase())),
  filter("upper", [], 0, (value) => like(value, soft(value).toUpperCase())),
  filter("pprint", [], 0, (value) => prettyPrint(value)),
  filter("replace", ["old", "new", "count"], 2, (value, [from = null, to = null, count]) =>
    replace(str(value), str(from), str(to), count === undefined || count === null ? -1 : wantIndex(count))
  ),
  filter("safe", [], 0, (value) => new PyMarkup(str(value))),
  filter("striptags", [], 0, (value) => {
    const stripped = stripTags(str(value))
    return stripped
  }),
  filter("title", [], 0, (value) => titleWords(soft(value))),
  filter("trim", ["chars"], 0, (value, [chars]) => like(value, strip(soft(value), chars, true, true))),
  filter("truncate", ["length", "killwords", "end", "leeway"], 0, truncate),
  filter("urlencode", [], 0, urlEncode),
  filter("urlize", ["trim_url_limit", "nofollow", "target", "rel", "extra_schemes"], 0, (value, args) =>
    urlize(value, args)
  ),
  filter("wordcount", [], 0, (value) => soft(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0),
  filter("wordwrap", ["width", "break_long_words", "wrapstring", "break_on_hyphens"], 0, (value, args) =>
    wrap(value, args)
  ),
  filter("xmlattr", ["autospace"], 0, xmlAttributes),
  filter("tojson", ["indent"], 0, (value, [space = null]) => {
    const text = dumps(value, { sortKeys: true, indent: space })
    return new PyMarkup(text.replace(/[<>&']/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`))
  })
]

const stripTags = (text: string): string => {
  let value = text
  for (let start = value.indexOf("<!--"); start >= 0; start = value.indexOf("<!--")) {
    const end = value.indexOf("-->", start)
    if (end < 0) break
    value = value.slice(0, start) + value.slice(end + 3)
    tick()
  }
  for (let start = value.indexOf("<"); start >= 0; start = value.indexOf("<")) {
    const end = value.indexOf(">", start)
    if (end < 0) break
    value = value.slice(0, start) + value.slice(end + 1)
    tick()
  }
  return unescape(Text.trim(value).split(/[\s]+/).join(" "))
}

const named: { readonly [name: string]: string } = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" }

const unescape = (text: string): string =>
  text.replace(/&(?:#(\d+)|#[xX]([0-9a-fA-F]+)|([a-z]+));/g, (whole, decimal?: string, hex?: string, name?: string) => {
    const code = decimal === undefined ? (hex === undefined ? undefined : Number.parseInt(hex, 16)) : Number(decimal)
    if (code !== undefined) return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : "\ufffd"
    return named[name ?? ""] ?? whole
  })
