/** Pages of a synthetic API: how many, how they are told apart in requests, and what leads from one to the next. */
import { ExpressionError, parseJson, type PlainDict, type Value, writeJson } from "../../../src/index.ts"
import { truthy } from "../../../src/expression/Compare.ts"
import type { Expressions } from "../../../src/component/Expressions.ts"
import { dictIn, listIn, own } from "./config.ts"
import { mentionsIn, type Mention, textsIn } from "./mentions.ts"
import { put } from "./values.ts"

/** A request as the API sees it. */
export interface Seen {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Where requests carry the token of a page; `anywhere`: it is not said. */
type Place = (
  | { readonly kind: "parameter" | "header" | "body_data"; readonly name: string }
  | { readonly kind: "body_json"; readonly path: ReadonlyArray<string> }
  | { readonly kind: "anywhere" }
) & {
  /** The token stands in the midst of a text. */
  readonly within?: RegExp | undefined
}

/** What leads to the next page, to be put into a body, the last record, or the headers. */
interface Given {
  readonly at: "response" | "last_record" | "headers"
  readonly path: ReadonlyArray<string | number>
  readonly value: Value
}

export interface Paging {
  /** From 1 on; undefined where the request does not say. */
  readonly pageOf: (seen: Seen) => number | undefined
  readonly sizeOf: (page: number) => number
  /** `next` is the address of the next page. */
  readonly givenOf: (page: number, next: string) => ReadonlyArray<Given>
  /** Whether the body has to be a mapping, for what stands beside the records. */
  readonly needsMapping: boolean
}

const marker = "pgtok"
const numberBase = 9_000_000
/** Stands for the address of the next page until a request is there. */
const addressOfNext = "https://next.invalid/"
/** Pages above this size are not filled. */
const mostFull = 120
const lastPage = 3

export const onePage: Paging = { pageOf: () => undefined, sizeOf: () => 2, givenOf: () => [], needsMapping: false }

const textAt = (seen: Seen, place: Place): string => {
  const whole = wholeTextAt(seen, place)
  return place.within === undefined ? whole : (place.within.exec(whole)?.[1] ?? "")
}

const wholeTextAt = (seen: Seen, place: Place): string => {
  switch (place.kind) {
    case "parameter":
      return seen.url.searchParams.get(place.name) ?? ""
    case "header":
      return seen.headers[place.name.toLowerCase()] ?? ""
    case "body_data":
      return new URLSearchParams(seen.body).get(place.name) ?? ""
    case "body_json": {
      let node: Value
      try {
        node = parseJson(seen.body)
      } catch {
        return ""
      }
      for (const part of place.path) node = own(node, part) ?? null
      return node === null ? "" : typeof node === "string" ? node : writeJson(node)
    }
    case "anywhere":
      return `${seen.url.href} ${seen.body} ${JSON.stringify(seen.headers)}`
  }
}

const pageIn = (text: string): number | undefined => {
  const found = /pgtok(\d)/.exec(text)?.[1] ?? /900000(\d)(?!\d)/.exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

/** Finds the number that an expression with the token leaves in a longer text. */
const within = (template: string): RegExp | undefined => {
  const parts = template.trim().split(/(\{\{.*?\}\}|\{%.*?%\})/s)
  if (parts.filter((part) => part !== "").length < 2) return undefined
  let isFound = false
  const source = parts.map((part) => {
    if (!/^\{[{%]/.test(part)) {
      return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+")
    }
    if (isFound || !part.includes("next_page_token")) return ".*?"
    isFound = true
    return "(\\w*)"
  })
  return new RegExp(`^${source.join("")}$`, "s")
}

/** The place of a request's template that has the token. */
const placeInTemplates = (requester: PlainDict): Place => {
  const has = (value: Value): boolean => [...textsIn(value)].some((text) => text.includes("next_page_token"))
  for (const [setting, kind] of [
    ["request_parameters", "parameter"],
    ["request_headers", "header"],
    ["request_body_data", "body_data"]
  ] as const) {
    for (const [name, template] of Object.entries(dictIn(own(requester, setting)))) {
      if (has(template)) return { kind, name, within: typeof template === "string" ? within(template) : undefined }
    }
  }
  const find = (value: Value, path: ReadonlyArray<string>): Place | undefined => {
    for (const [name, inner] of Object.entries(dictIn(value))) {
      if (typeof inner === "string" && inner.includes("next_page_token")) {
        return { kind: "body_json", path: [...path, name], within: within(inner) }
      }
      const found = find(inner, [...path, name])
      if (found !== undefined) return found
    }
    return undefined
  }
  const body = own(requester, "request_body_json") ?? own(own(requester, "request_body"), "value") ?? null
  return find(body, []) ?? { kind: "anywhere" }
}

const placeOf = (option: PlainDict, requester: PlainDict, text: (template: Value) => string): Place => {
  if (own(option, "type") !== "RequestOption") return placeInTemplates(requester)
  const name = text(own(option, "field_name") ?? "")
  const path = listIn(own(option, "field_path")).map(text)
  switch (own(option, "inject_into")) {
    case "request_parameter":
      return { kind: "parameter", name }
    case "header":
      return { kind: "header", name }
    case "body_data":
      return { kind: "body_data", name: name === "" ? (path[0] ?? "") : name }
    default:
      return { kind: "body_json", path: path.length > 0 ? path : [name] }
  }
}

/** An address with the parameters that expressions cut the next page's number out of: `page=(\\d+)`. */
const addressWith = (templates: ReadonlyArray<string>, page: number): string => {
  const names = templates.flatMap((template) =>
    [...template.matchAll(/([\w.-]+)\\?=\(/g)].map((match) => match[1] ?? "")
  )
  return `${addressOfNext}?${[...new Set(names)].map((name) => `${name}=${numberBase + page}`).join("&")}`
}

/** Values to try at a place for a page that has a next one, the likely first. */
const continuing = (
  mention: Mention,
  page: number,
  isPath: boolean,
  templates: ReadonlyArray<string>
): ReadonlyArray<Value> => {
  const name = String(mention.path.at(-1) ?? "").toLowerCase()
  const token = `${marker}${page + 1}`
  const [here, next] = [numberBase + page, numberBase + page + 1]
  const all: ReadonlyArray<Value> = isPath
    ? [addressOfNext, true, next, here, token, false]
    : [token, next, here, addressOfNext, true, false, addressWith(templates, page + 1)]
  const likely: ReadonlyArray<Value> = /more|has|^is_|truncated/.test(name)
    ? [true]
    : /done|last_page|end|finished/.test(name)
      ? [false, numberBase + 9]
      : /total|count|pages|max/.test(name)
        ? [numberBase + 9]
        : /page|offset|skip|start|number/.test(name) && !isPath
          ? [here, next]
          : []
  return [...likely, ...all]
}

const ending = (mention: Mention, page: number): ReadonlyArray<Value> => {
  const name = String(mention.path.at(-1) ?? "").toLowerCase()
  const likely: ReadonlyArray<Value> = /done|last_page|end|finished/.test(name)
    ? [true, numberBase + page]
    : /total|count|pages|page|max|offset/.test(name)
      ? [numberBase + page]
      : []
  return [...likely, null, "", false, 0, {}, numberBase + page, true]
}

const mostTrials = 3000

/** A combination of one value for each place with which the test holds; undefined where there is none. */
const search = (
  places: ReadonlyArray<Mention>,
  choices: (mention: Mention) => ReadonlyArray<Value>,
  holds: (given: ReadonlyArray<Given>) => boolean
): ReadonlyArray<Given> | undefined => {
  let trials = 0
  const choose = (index: number, chosen: ReadonlyArray<Given>): ReadonlyArray<Given> | undefined => {
    const mention = places[index]
    if (mention === undefined) return ++trials <= mostTrials && holds(chosen) ? chosen : undefined
    for (const value of choices(mention)) {
      if (trials > mostTrials) return undefined
      const at = mention.root === "response" ? "response" : mention.root === "headers" ? "headers" : "last_record"
      const found = choose(index + 1, [...chosen, { at, path: mention.path, value }])
      if (found !== undefined) return found
    }
    return undefined
  }
  return choose(0, [])
}

const roots = new Set(["response", "last_record", "headers"])

const cursorPaging = (
  expressions: Expressions,
  strategy: PlainDict,
  place: Place,
  isPath: boolean,
  pageSize: number | undefined
): Paging => {
  const templates = [own(strategy, "cursor_value"), own(strategy, "stop_condition")].filter(
    (template) => typeof template === "string"
  )
  const unique = new Map(
    templates
      .flatMap((template) => mentionsIn(template, roots))
      .filter(({ path, root }) => path.length > 0 || root !== "response")
      .map((mention) => [`${mention.root} ${mention.path.join("/")}`, mention])
  )
  // What leads to another place is made with that one.
  const leadsTo = (one: Mention, other: Mention): boolean =>
    one.root === other.root &&
    other.path.length > one.path.length &&
    one.path.every((part, index) => part === other.path[index])
  const all = [...unique.values()].filter(({ path }) => path.length > 0)
  const places = all.filter((one) => !all.some((other) => leadsTo(one, other))).slice(0, 5)
  const parameters = dictIn(own(strategy, "$parameters"))
  const evaluated = (given: ReadonlyArray<Given>, size: number) => {
    const parts: { readonly [at: string]: PlainDict } = { response: {}, last_record: { id: 1 }, headers: {} }
    for (const { at, path, value } of given) put(parts[at] ?? {}, path, value, true)
    const context = {
      response: parseJson(writeJson(parts["response"] ?? {})),
      last_record: size === 0 ? null : (parts["last_record"] ?? {}),
      headers: parts["headers"] ?? {},
      last_page_size: size,
      page_size: pageSize ?? null,
      stream_slice: {}
    }
    const [cursor, stop] = [own(strategy, "cursor_value"), own(strategy, "stop_condition")]
    try {
      const isStopped = typeof stop === "string" && stop !== "" && expressions.condition(stop, parameters, context)
      return isStopped ? null : expressions.value(cursor ?? "", parameters, context)
    } catch (error) {
      if (error instanceof ExpressionError) return undefined
      throw error
    }
  }
  const leadsOn = (given: ReadonlyArray<Given>, page: number, size: number): boolean => {
    const token = evaluated(given, size)
    if (token === undefined || !truthy(token)) return false
    if (isPath) return typeof token === "string" && token.includes(addressOfNext)
    const text = typeof token === "string" ? token : writeJson(token)
    return pageIn(text) === page + 1 || (text.includes(addressOfNext) && !text.includes("900000"))
  }
  const sizes = [2, ...(pageSize !== undefined && pageSize <= mostFull ? [pageSize] : [])]
  for (const size of sizes) {
    const on = search(
      places,
      (mention) => continuing(mention, 1, isPath, templates),
      (given) => leadsOn(given, 1, size)
    )
    if (on === undefined) continue
    const again = search(
      places,
      (mention) => continuing(mention, 2, isPath, templates),
      (given) => leadsOn(given, 2, size)
    )
    for (const lastSize of [1, 0]) {
      const ends = (page: number) =>
        search(
          places,
          (mention) => ending(mention, page),
          (given) => {
            const token = evaluated(given, lastSize)
            return token !== undefined && !truthy(token)
          }
        )
      const [endOfTwo, endOfThree] = [ends(2), ends(3)]
      if (endOfTwo === undefined || endOfThree === undefined) continue
      const isThree = again !== undefined && size === 2
      const pages = isThree ? [on, again, endOfThree] : [on, endOfTwo]
      return {
        pageOf: (seen) => {
          const page = pageIn(textAt(seen, place))
          return page === undefined ? undefined : Math.min(page, pages.length)
        },
        sizeOf: (page) => (page < pages.length ? size : lastSize),
        givenOf: (page, next) =>
          (pages[page - 1] ?? []).map(({ at, path, value }) => ({
            at,
            path,
            value: value === addressOfNext ? next : value
          })),
        needsMapping: places.some(({ root }) => root === "response")
      }
    }
  }
  return { ...onePage, needsMapping: places.some(({ root }) => root === "response") }
}

const counted = (place: Place, pageSize: number | undefined, number: (value: number) => number): Paging => {
  const size = pageSize !== undefined && pageSize > 0 ? pageSize : undefined
  const sizeOf = (page: number): number => {
    // Where the number cannot be found, one page that is not full ends the walk.
    if (place.kind === "anywhere" && size !== undefined) return Math.min(2, size - 1)
    if (size === undefined) return page < lastPage ? 2 : 0
    if (size > mostFull) return page === 1 ? 2 : 0
    return page === 1 ? size : page === 2 ? Math.min(1, size - 1) : 0
  }
  return {
    sizeOf,
    givenOf: () => [],
    needsMapping: false,
    pageOf: (seen) => {
      const text = textAt(seen, place)
      const value = place.kind === "anywhere" ? Number.NaN : Number.parseInt(text, 10)
      return Number.isNaN(value) ? undefined : Math.max(1, Math.floor(number(value)))
    }
  }
}

/** The pages that a retriever's paginator goes through. */
export const pagingOf = (expressions: Expressions, paginator: PlainDict, requester: PlainDict): Paging => {
  const strategy = dictIn(own(paginator, "pagination_strategy"))
  if (Object.keys(strategy).length === 0) return onePage
  const option = dictIn(own(paginator, "page_token_option"))
  const parameters = dictIn(own(option, "$parameters"))
  const place = placeOf(option, requester, (template) => expressions.text(template, parameters))
  const evaluate = (name: string): number | undefined => {
    const given = own(strategy, name) ?? null
    if (given === null) return undefined
    try {
      const value = Number(expressions.text(given, dictIn(own(strategy, "$parameters"))))
      return Number.isFinite(value) ? value : undefined
    } catch (error) {
      if (error instanceof ExpressionError) return undefined
      throw error
    }
  }
  const size = evaluate("page_size")
  switch (own(strategy, "type")) {
    case "PageIncrement": {
      const start = evaluate("start_from_page") ?? 0
      return counted(place, size, (value) => value - start + 1)
    }
    case "OffsetIncrement":
      return counted(place, size, (value) => (value <= 0 ? 1 : size === undefined ? 1 + value / 2 : 1 + value / size))
    case "CursorPagination":
      return cursorPaging(expressions, strategy, place, own(option, "type") === "RequestPath", size)
    default:
      return onePage
  }
}
