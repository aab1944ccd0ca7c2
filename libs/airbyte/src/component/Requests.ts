import type { Authorizer } from "@tributary/connector"
import { truthy } from "../expression/Compare.ts"
import { dumps } from "../expression/Json.ts"
import { str } from "../expression/Repr.ts"
import { dictEntries, dictOf } from "../expression/Dict.ts"
import { type PlainDict, PyTuple, type Value } from "../expression/Value.ts"
import type { Component } from "./Component.ts"
import { type Expressions, keyText, requestContext, toData } from "./Expressions.ts"
import { preparedUrl, urlJoin } from "./pythonUrl.ts"
import { combine, type Extras, type Options } from "./RequestOption.ts"
import { failure } from "./RunError.ts"
import type { Slice } from "./Slice.ts"

/** Where a token goes that is put on when a request is sent. */
export interface TokenHeader {
  readonly name: string
  /** What stands before it, with a space between; empty: nothing. */
  readonly prefix: string
  /** Whose token it is; `undefined`: the connector's. */
  readonly authorizer?: Authorizer | undefined
}

/** What an authenticator adds to a request. */
export interface Credentials {
  readonly headers: PlainDict
  readonly params: PlainDict
  readonly data: Options
  readonly json: PlainDict
  /** The connector's own authorization is put on when the request is sent, and in which header. */
  readonly token?: TokenHeader
}

export const noCredentials: Credentials = { headers: {}, params: {}, data: {}, json: {} }

/** A request ready to be sent. */
export interface PreparedRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  /** Whoever sends it puts the connector's authorization on. */
  readonly token?: TokenHeader
}

const bodyMethods = new Set(["GET", "POST", "PUT", "PATCH"])

const quotePlus = (text: string): string =>
  encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+")

const pairs = (values: PlainDict): ReadonlyArray<string> =>
  Object.entries(values).flatMap(([name, value]) => {
    const dict = dictOf(value)
    // Of a mapping requests sends the keys.
    const items = Array.isArray(value)
      ? value
      : value instanceof PyTuple
        ? value.items
        : dict === undefined
          ? [value]
          : dictEntries(dict).map(([key]) => key)
    return items.flatMap((item) => (item === null ? [] : [`${quotePlus(name)}=${quotePlus(str(item))}`]))
  })

/** A base and a path, between which there is one slash. */
const joinUrl = (base: string, path: string): string =>
  path === "" ? base : urlJoin(base.endsWith("/") ? base : `${base}/`, path)

/** Parameters that the address has already, with the same value, are not sent twice. */
const withoutKnown = (url: string, params: PlainDict): PlainDict => {
  const query = url.indexOf("?")
  if (query === -1) return params
  const known = new URLSearchParams(url.slice(query + 1).replace(/#.*$/, ""))
  return Object.fromEntries(
    Object.entries(params).filter(([name, value]) => {
      const first = known.getAll(name).find((text) => text !== "")
      return first === undefined || first !== str(value)
    })
  )
}

const textHeaders = (headers: Options): Record<string, string> => {
  if (typeof headers === "string") throw failure("Request headers cannot be a string")
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, str(value)]))
}

const mappingOf = (component: Component, name: string): PlainDict | string | undefined => {
  const value = component.get(name)
  if (typeof value === "string") return value
  const dict = value === undefined ? undefined : dictOf(value)
  return dict === undefined ? undefined : Object.fromEntries(dictEntries(dict).map(([key, item]) => [str(key), item]))
}

const dropNull = (entries: ReadonlyArray<readonly [Value, Value]>): PlainDict =>
  Object.fromEntries(
    entries.filter(([, value]) => value !== null).map(([key, value]): [string, Value] => [str(key), toData(value)])
  )

/** Puts the requests of an `HttpRequester` together. Makes none. */
export class Requests {
  readonly component: Component
  readonly method: string
  private readonly expressions: Expressions
  private readonly parameters: PlainDict
  private readonly params: PlainDict | string | undefined
  private readonly headers: PlainDict | string | undefined
  private readonly data: PlainDict | string | undefined
  private readonly json: PlainDict | string | undefined
  /** Parameter that asks for the properties of a chunk. */
  private readonly propertiesKey: string | undefined

  constructor(component: Component, expressions: Expressions, propertiesKey?: string) {
    this.component = component
    this.expressions = expressions
    this.parameters = component.parameters
    this.method = component.optionalText("http_method") ?? "GET"
    this.propertiesKey = propertiesKey
    this.params = mappingOf(component, "request_parameters")
    this.headers = mappingOf(component, "request_headers")
    const body = component.child("request_body")
    const value = body?.get("value") ?? undefined
    const isJson = body?.type === "RequestBodyJsonObject" || body?.type === "RequestBodyGraphQL"
    this.data = body !== undefined && !isJson ? mappingOf(body, "value") : mappingOf(component, "request_body_data")
    this.json = body !== undefined && isJson ? mappingOf(body, "value") : mappingOf(component, "request_body_json")
    if (body !== undefined && value === undefined) body.fail("value", "the body is missing.")
    const isFull = (part: PlainDict | string | undefined) =>
      part !== undefined && (typeof part === "string" ? part !== "" : Object.keys(part).length > 0)
    if (isFull(this.data) && isFull(this.json)) {
      component.fail("", "give either request_body_data or request_body_json, not both.")
    }
  }

  private evaluate(
    input: PlainDict | string | undefined,
    slice: Slice | undefined,
    token: PlainDict | undefined,
    isLimited: boolean
  ): Value {
    if (input === undefined || input === "") return {}
    const context = requestContext(slice, token)
    if (typeof input === "string") return this.expressions.body(input, this.parameters, context)
    return dropNull(this.expressions.mapping(input, this.parameters, context, isLimited ? ["str", "list"] : undefined))
  }

  /** A whole part that is one template gives a mapping or, for a body, a text. */
  private options(value: Value): Options {
    if (typeof value === "string") return value
    const dict = dictOf(value)
    return dict === undefined
      ? str(value)
      : Object.fromEntries(dictEntries(dict).map(([key, item]) => [keyText(key), toData(item)]))
  }

  /** The address without its query. */
  url(slice: Slice | undefined, token: PlainDict | undefined, path: string | undefined): string {
    const context = requestContext(slice, token)
    const read = (name: string) => {
      const template = this.component.optionalText(name)
      return template === undefined || template === "" ? "" : this.expressions.text(template, this.parameters, context)
    }
    const url = read("url")
    const base = read("url_base")
    const rest = path !== undefined && path !== "" ? path : read("path").replace(/^\/+/, "")
    if (base !== "") return joinUrl(base, rest)
    return rest === "" ? url : joinUrl(url, rest)
  }

  /** The request for a page. `path` replaces that of the requester; `extras` come from the paginator and the slicer. */
  prepare(
    slice: Slice | undefined,
    token: PlainDict | undefined,
    credentials: Credentials,
    extras: Extras | undefined,
    path?: string
  ): PreparedRequest {
    const limited = this.evaluate(this.params, slice, token, true)
    let params: Options = typeof limited === "string" ? {} : this.options(limited)
    if (this.propertiesKey !== undefined && typeof params !== "string") {
      const properties = slice?.extra["query_properties"]
      if (!Array.isArray(properties)) throw failure("QueryProperties is defined but there are no properties to ask for")
      params = { ...params, [this.propertiesKey]: properties.map(str).join(",") }
    }
    const allParams = combine([params, credentials.params, extras?.request_parameter])
    if (typeof allParams === "string") throw failure("Request params cannot be a string")
    for (const [name, value] of Object.entries(allParams)) {
      if (dictOf(value) !== undefined) {
        throw failure(`Invalid value for \`${name}\` parameter. The values of request params cannot be an object.`)
      }
    }
    const headers = textHeaders(
      combine([this.options(this.evaluate(this.headers, slice, token, false)), credentials.headers, extras?.header])
    )
    const data = combine([
      this.options(this.evaluate(this.data, slice, token, true)),
      credentials.data,
      extras?.body_data
    ])
    const context = requestContext(slice, token)
    const nested =
      this.json === undefined || this.json === ""
        ? {}
        : typeof this.json === "string"
          ? this.expressions.body(this.json, this.parameters, context)
          : this.expressions.nested(this.json, this.parameters, context)
    const json = combine([this.options(nested), credentials.json, extras?.body_json], true)
    if (typeof json === "string") throw failure("Request body json cannot be a string")
    const request = prepare(this.method, this.url(slice, token, path), headers, allParams, data, json)
    return credentials.token === undefined ? request : { ...request, token: credentials.token }
  }
}

/** A request as Python's requests would send it. */
export const prepare = (
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  params: PlainDict,
  data: Options,
  json: PlainDict
): PreparedRequest => {
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  const typed = (type: string) => (names.has("content-type") ? headers : { ...headers, "Content-Type": type })
  const request = { method, url: preparedUrl(url, pairs(withoutKnown(url, params)).join("&")) }
  if (!bodyMethods.has(method)) return { ...request, headers, body: undefined }
  const hasJson = truthy(json)
  const hasData = typeof data === "string" ? data !== "" : Object.keys(data).length > 0
  if (hasJson && hasData) {
    throw failure(
      "At the same time only one of the 'request_body_data' and 'request_body_json' functions can return data"
    )
  }
  if (hasJson) {
    return { ...request, headers: typed("application/json"), body: dumps(json, { sortKeys: false, indent: null }) }
  }
  if (!hasData) return { ...request, headers, body: undefined }
  if (typeof data === "string") return { ...request, headers, body: data }
  return { ...request, headers: typed("application/x-www-form-urlencoded"), body: pairs(data).join("&") }
}
