import { PyDict } from "../expression/Dict.ts"
import { truthy } from "../expression/Compare.ts"
import { intOf, type Context, type PlainDict, type Value } from "../expression/Value.ts"
import type { Component } from "./Component.ts"
import { type Decoder, requirePageable } from "./Decoder.ts"
import type { Expressions } from "./Expressions.ts"
import { called, hookContext, hookOf } from "./Hooks.ts"
import { combine, type InjectInto, injected, RequestOption } from "./RequestOption.ts"
import type { Response } from "./Response.ts"
import { failure } from "./RunError.ts"
import type { Slice } from "./Slice.ts"
import { readsVariable } from "./StopCondition.ts"

/** What a page was, for the paginator. */
export interface PageSeen {
  readonly response: Response
  /** Records on the page, after the filter. */
  readonly size: number
  readonly lastRecord: PlainDict | undefined
  /** The token that the page was asked for with. */
  readonly token: Value | undefined
  readonly slice: Slice
  /** The size that was asked for in place of the strategy's. */
  readonly asked?: number | undefined
}

/** How to get from one page to the next. Keeps nothing between pages. */
export interface Paginator {
  readonly initialToken: Value | undefined
  readonly next: (page: PageSeen) => Value | undefined
  /** `asked` takes the place of the strategy's page size. */
  readonly options: (into: InjectInto, token: Value | undefined, asked?: number) => PlainDict
  /** Records of a page, where the strategy says so. */
  readonly pageSize: () => Value | undefined
  /** A path that replaces the requester's. */
  readonly path: (token: Value | undefined) => string | undefined
}

export const noPagination: Paginator = {
  initialToken: undefined,
  next: () => undefined,
  options: () => ({}),
  pageSize: () => undefined,
  path: () => undefined
}

/** One of the ways to find the next token. */
interface Strategy {
  readonly initialToken: Value | undefined
  readonly pageSize: () => Value | undefined
  readonly next: (page: PageSeen) => Value | undefined
}

/** Headers of a paginator's expressions: names as they were sent, and the links. */
const sentHeaders = (response: Response): Value => {
  const headers = new PyDict()
  const names = new Map<string, string>()
  for (const [name, value] of response.rawHeaders) {
    const known = names.get(name.toLowerCase())
    names.set(name.toLowerCase(), known === undefined ? value : `${known}, ${value}`)
  }
  const seen = new Set<string>()
  for (const [name] of response.rawHeaders) {
    const lower = name.toLowerCase()
    if (seen.has(lower)) continue
    seen.add(lower)
    headers.set(name, names.get(lower) ?? "")
  }
  headers.set("link", response.links)
  return headers
}

const digits = (value: Value | undefined): Value | undefined =>
  typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value

/** The size of a page where it must be known before the first: an int. */
const fixedPageSize = (component: Component, expressions: Expressions): number | undefined => {
  const given = digits(component.get("page_size"))
  const size = given === undefined ? undefined : expressions.value(given, component.parameters)
  if (size === undefined) return undefined
  const whole = intOf(size)
  return whole === undefined ? component.fail("page_size", "it does not come out as a whole number.") : Number(whole)
}

const lastRecordOf = (page: PageSeen): Value => page.lastRecord ?? null

const cursorPagination = (component: Component, expressions: Expressions, decoder: Decoder): Strategy => {
  const size = fixedPageSize(component, expressions)
  const cursor = component.text("cursor_value")
  const stop = component.get("stop_condition")
  const { parameters } = component
  for (const name of size === undefined ? ["stop_condition", "cursor_value"] : []) {
    // An unbound name would make the condition true, and the walk end with its first page.
    if (readsVariable(component.optionalText(name) ?? "", "page_size")) {
      component.fail(name, "it reads page_size, which is not given; add page_size to the strategy.")
    }
  }
  return {
    initialToken: undefined,
    pageSize: () => size,
    next: (page) => {
      const context: Context = {
        response: decoder.forPagination(page.response),
        headers: sentHeaders(page.response),
        last_record: lastRecordOf(page),
        last_page_size: page.size,
        page_size: page.asked ?? size ?? null,
        stream_slice: page.slice.value
      }
      if (typeof stop === "string" && stop !== "" && expressions.condition(stop, parameters, context)) return undefined
      const token = expressions.value(cursor, parameters, context)
      return truthy(token) ? token : undefined
    }
  }
}

const countedSize = (page: PageSeen): number => page.response.extracted ?? page.size

const offsetIncrement = (component: Component, expressions: Expressions, decoder: Decoder): Strategy => {
  const given = digits(component.get("page_size"))
  const evaluate = (context?: Context): Value | undefined =>
    given === undefined ? undefined : expressions.value(given, component.parameters, context)
  return {
    initialToken: component.isSet("inject_on_first_request") ? 0 : undefined,
    pageSize: () => {
      const size = evaluate()
      if (size !== undefined && intOf(size) === undefined) {
        component.fail("page_size", "it does not come out as a whole number.")
      }
      return size
    },
    next: (page) => {
      const size = countedSize(page)
      const wanted =
        page.asked ?? (typeof given === "number" ? given : evaluate({ response: decoder.forPagination(page.response) }))
      const limit = wanted === undefined ? undefined : intOf(wanted)
      if (size === 0 || (limit !== undefined && size < Number(limit))) return undefined
      if (page.token === undefined) return size
      const offset = intOf(page.token)
      if (offset === undefined) throw failure("Last page token value for OffsetIncrement was not an integer")
      return Number(offset) + size
    }
  }
}

const pageIncrement = (component: Component, expressions: Expressions): Strategy => {
  const limit = fixedPageSize(component, expressions)
  const start = component.number("start_from_page", 0)
  return {
    initialToken: component.isSet("inject_on_first_request") ? start : undefined,
    pageSize: () => limit,
    next: (page) => {
      const size = countedSize(page)
      if (size === 0 || (limit !== undefined && limit !== 0 && size < limit)) return undefined
      if (page.token === undefined) return start + 1
      const number = intOf(page.token)
      if (number === undefined) throw failure("Last page token value for PageIncrement was not an integer")
      return Number(number) + 1
    }
  }
}

const strategyOf = (component: Component, expressions: Expressions, decoder: Decoder) => {
  switch (component.type) {
    case "CursorPagination":
      return cursorPagination(component, expressions, decoder)
    case "OffsetIncrement":
      return offsetIncrement(component, expressions, decoder)
    case "PageIncrement":
      return pageIncrement(component, expressions)
    case "CustomPaginationStrategy": {
      const hook = hookOf(component, expressions, "paginationStrategies")
      const context = hookContext(component, expressions)
      const size = fixedPageSize(component, expressions)
      return {
        initialToken: undefined,
        pageSize: () => size,
        next: (page: PageSeen) => called(component, () => hook(page, context))
      }
    }
    default:
      return component.fail("type", `${component.type} is not a pagination strategy.`, "unsupported")
  }
}

/** The paginator of a component. `decoder` is that of the stream, `given` the component it was made of. */
export const paginatorOf = (
  component: Component | undefined,
  expressions: Expressions,
  decoder: Decoder,
  given: Component | undefined
): Paginator => {
  if (component === undefined || component.type === "NoPagination") return noPagination
  if (component.type !== "DefaultPaginator") {
    return component.fail("type", `${component.type} is not a paginator.`, "unsupported")
  }
  requirePageable(component, given)
  const strategy = strategyOf(component.needed("pagination_strategy"), expressions, decoder)
  const sizeComponent = component.child("page_size_option")
  const sizeOption = sizeComponent === undefined ? undefined : new RequestOption(sizeComponent, expressions)
  const tokenComponent = component.child("page_token_option")
  const isPath = tokenComponent?.type === "RequestPath"
  const tokenOption =
    tokenComponent === undefined || isPath ? undefined : new RequestOption(tokenComponent, expressions)
  if (sizeOption !== undefined && !truthy(strategy.pageSize() ?? null)) {
    component.fail("page_size_option", "it needs a pagination strategy with a page_size.")
  }
  if (tokenOption !== undefined && sizeOption !== undefined && tokenOption.into === sizeOption.into) {
    const into: InjectInto = tokenOption.into === "body_json" ? "body_json" : "request_parameter"
    const dummy = (option: RequestOption, value: string) => {
      const target: PlainDict = {}
      option.inject(target, value)
      return target
    }
    combine([dummy(sizeOption, "a"), dummy(tokenOption, "b")], into === "body_json")
  }
  return {
    initialToken: strategy.initialToken,
    next: strategy.next,
    pageSize: strategy.pageSize,
    path: (token) => (isPath && token !== undefined && truthy(token) ? String(token) : undefined),
    options: (into, token, asked) => {
      const options = token === undefined ? {} : injected(tokenOption, into, token)
      const size = sizeOption?.into === into ? (asked ?? strategy.pageSize()) : undefined
      if (size !== undefined && truthy(size)) sizeOption?.inject(options, size)
      return options
    }
  }
}
