import { gunzipSync } from "node:zlib"
import { dictGet, dictOf } from "../expression/Dict.ts"
import type { PlainDict, Value } from "../expression/Value.ts"
import type { Component } from "./Component.ts"
import { csvRows } from "./Csv.ts"
import { parseJson } from "./jsonText.ts"
import type { Response } from "./Response.ts"
import { failure, RunError } from "./RunError.ts"
import { parseXml } from "./Xml.ts"
import { unzip } from "./Zip.ts"

/** Largest body that a compressed one may become. */
const mostBytes = 1_073_741_824

/** Reads the elements of a body. */
type Parser = (body: Buffer) => Iterable<Value>

/** Makes elements of an answer. */
export interface Decoder {
  readonly decode: (response: Response) => Iterable<Value>
  /** The body as expressions of a paginator see it. */
  readonly forPagination: (response: Response) => Value
}

const textOf = (body: Buffer, encoding: string | undefined): string => new TextDecoder(encoding ?? "utf-8").decode(body)

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

const streamed = (parser: Parser): Decoder => ({
  decode: (response) => parser(response.body),
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
export const decoderOf = (component: Component | undefined): Decoder => {
  switch (component?.type) {
    case undefined:
    case "JsonDecoder":
      return jsonDecoder
    case "XmlDecoder":
      return xml
    case "IterableDecoder":
      return lines
    case "ZipfileDecoder":
      return zip(parserOf(component.needed("decoder")))
    default:
      return component === undefined ? jsonDecoder : streamed(parserOf(component))
  }
}

const pageable = (component: Component | undefined): boolean => {
  switch (component?.type) {
    case undefined:
    case "JsonDecoder":
    case "XmlDecoder":
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
      `${paginator.type} cannot be used with ${decoder?.type ?? "this decoder"}; use JSON, XML or gzipped JSON.`
    )
  }
}
