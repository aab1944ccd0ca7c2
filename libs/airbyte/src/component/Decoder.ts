import { gunzipSync } from "node:zlib"
import { dictGet, dictOf } from "../expression/Dict.ts"
import type { PlainDict, Value } from "../expression/Value.ts"
import { ManifestError } from "../manifest/ManifestError.ts"
import type { Component } from "./Component.ts"
import { csvRows } from "./Csv.ts"
import type { Expressions } from "./Expressions.ts"
import { called, hookContext, hookOf } from "./Hooks.ts"
import { parseJson } from "./jsonText.ts"
import type { Response } from "./Response.ts"
import { failure, RunError } from "./RunError.ts"
import { parseXml } from "./Xml.ts"
import { unzip } from "./Zip.ts"

/** Largest body that a compressed one may become. */
const mostBytes = 268_435_456

/** Reads the elements of a body. */
type Parser = (body: Buffer) => Iterable<Value>

/** Makes elements of an answer. */
export interface Decoder {
  readonly decode: (response: Response) => Iterable<Value>
  /** The body as expressions of a paginator see it. */
  readonly forPagination: (response: Response) => Value
}

/** Python's names of encodings that the platform knows under other ones; latin-1 is not Windows' code page here. */
const latin1 = /^(?:latin[-_ ]?1|l1|iso[-_]?8859[-_]1(?:[-_]1)?|8859|cp819)$/i
const otherNames: { readonly [name: string]: string } = {
  utf: "utf-8",
  u8: "utf-8",
  utf8sig: "utf-8",
  ascii: "utf-8",
  usascii: "utf-8",
  utf16: "utf-16le",
  cp1252: "windows-1252",
  cp1251: "windows-1251",
  cp1250: "windows-1250",
  cp932: "shift_jis",
  sjis: "shift_jis"
}

const textOf = (body: Buffer, encoding: string | undefined): string => {
  const name = encoding ?? "utf-8"
  if (latin1.test(name)) return body.toString("latin1")
  const plain = name.toLowerCase().replace(/[-_ ]/g, "")
  try {
    return new TextDecoder(otherNames[plain] ?? name.replaceAll("_", "-")).decode(body)
  } catch {
    throw failure(`unknown encoding: ${name}`, "config_error")
  }
}

const elements = (value: Value): ReadonlyArray<Value> => (Array.isArray(value) ? value : [value])

const json: Parser = (body) => {
  try {
    return elements(parseJson(body.toString("utf8")))
  } catch {
    throw failure("Response JSON data failed to be parsed. See logs for more information.")
  }
}

const jsonLines: Parser = function* (body) {
  for (const line of body.toString("utf8").split("\n")) {
    let value: Value
    try {
      value = parseJson(line)
    } catch {
      continue
    }
    yield value
  }
}

const jsonItems = (component: Component): Parser => {
  const path = component.text("items_path").split(".")
  return (body) => {
    let value: Value | undefined = parseJson(textOf(body, component.optionalText("encoding")))
    for (const name of path) {
      const dict = dictOf(value)
      value = dict === undefined ? undefined : dictGet(dict, name)
    }
    return Array.isArray(value) ? value : []
  }
}

const unescaped = (delimiter: string): string =>
  delimiter.startsWith("\\") ? delimiter.replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\") : delimiter

const csv = (component: Component): Parser => {
  const delimiter = unescaped(component.optionalText("delimiter") ?? ",")
  const nothing = new Set(component.texts("set_values_to_none"))
  return function* (body) {
    let names: ReadonlyArray<string> | undefined
    for (const row of csvRows(textOf(body, component.optionalText("encoding")), delimiter)) {
      if (names === undefined) {
        names = row
        continue
      }
      if (row.length === 0) continue
      const record: PlainDict = {}
      names.forEach((name, index) => {
        const value = row[index]
        record[name] = value === undefined || nothing.has(value) ? null : value
      })
      if (row.length > names.length) record["null"] = row.slice(names.length)
      yield record
    }
  }
}

const gzip = (inner: Parser): Parser => {
  return (body) => inner(body[0] === 0x1f && body[1] === 0x8b ? gunzipSync(body, { maxOutputLength: mostBytes }) : body)
}

const parserOf = (component: Component): Parser => {
  switch (component.type) {
    case "JsonDecoder":
      return json
    case "JsonlDecoder":
      return jsonLines
    case "JsonItemsDecoder":
      return jsonItems(component)
    case "CsvDecoder":
      return csv(component)
    case "GzipDecoder":
      return gzip(parserOf(component.needed("decoder")))
    default:
      return component.fail("type", `${component.type} cannot stand inside another decoder.`)
  }
}

const first = (values: Iterable<Value>): Value => {
  for (const value of values) return value
  return {}
}

/** JSON; a body that is none is an empty mapping. */
export const jsonDecoder: Decoder = {
  decode: (response) => {
    const value = response.json
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return [{}]
    return elements(value)
  },
  forPagination: (response) => first(jsonDecoder.decode(response))
}

/** A body that is not what its decoder reads fails the stream, whatever the library says of it. */
const guarded = function* (what: string, read: () => Iterable<Value>): Generator<Value> {
  try {
    yield* read()
  } catch (error) {
    if (error instanceof RunError || error instanceof ManifestError) throw error
    throw failure(`The response cannot be read by ${what}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const streamed = (parser: Parser, what: string): Decoder => ({
  decode: (response) => guarded(what, () => parser(response.body)),
  forPagination: () => ({})
})

const xml: Decoder = {
  decode: (response) => {
    try {
      return [parseXml(response.text)]
    } catch (error) {
      if (error instanceof RunError) return [{}]
      throw error
    }
  },
  forPagination: (response) => first(xml.decode(response))
}

const zip = (parser: Parser): Decoder => ({
  decode: function* (response) {
    for (const { bytes, name } of unzip(response.body)) {
      try {
        yield* parser(bytes)
      } catch (error) {
        if (error instanceof RunError) throw failure(`Failed to parse file: ${name} from zip file.`)
        throw error
      }
    }
  },
  forPagination: () => ({})
})

const lines: Decoder = {
  decode: function* (response) {
    const all = response.text.split(/\r\n|\r|\n/)
    if (all.at(-1) === "") all.pop()
    for (const line of all) yield { record: line }
  },
  forPagination: () => ({})
}

/** The decoder of a component; JSON when there is none. */
export const decoderOf = (component: Component | undefined, expressions: Expressions): Decoder => {
  switch (component?.type) {
    case undefined:
    case "JsonDecoder":
      return jsonDecoder
    case "XmlDecoder":
      return xml
    case "IterableDecoder":
      return lines
    case "CustomDecoder": {
      if (component === undefined) return jsonDecoder
      const hook = hookOf(component, expressions, "decoders")
      const context = hookContext(component, expressions)
      const decode = (response: Response) => called(component, () => [...hook(response, context)])
      return { decode, forPagination: (response) => first(decode(response)) }
    }
    case "ZipfileDecoder": {
      const unpacked = zip(parserOf(component.needed("decoder")))
      return { ...unpacked, decode: (response) => guarded("ZipfileDecoder", () => unpacked.decode(response)) }
    }
    default:
      return component === undefined ? jsonDecoder : streamed(parserOf(component), component.type)
  }
}

const pageable = (component: Component | undefined): boolean => {
  switch (component?.type) {
    case undefined:
    case "JsonDecoder":
    case "XmlDecoder":
    case "CustomDecoder":
      return true
    case "GzipDecoder":
      return component.child("decoder")?.type === "JsonDecoder"
    default:
      return false
  }
}

/** Throws where a paginator needs to read bodies that this decoder does not keep. */
export const requirePageable = (paginator: Component, decoder: Component | undefined): void => {
  if (!pageable(decoder)) {
    paginator.fail(
      "",
      `a paginator cannot be used with ${decoder?.type ?? "this decoder"}; use JSON, XML or gzipped JSON.`
    )
  }
}
