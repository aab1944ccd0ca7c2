import { compileSelector, type JsonSelector, type Scan, scalarText } from "@tributary/codec"
import type { Pagination } from "@tributary/domain"
import type { Position } from "./Checkpoint.ts"
import { foundIn, shownUrl } from "./Found.ts"
import type { Answer } from "./Requester.ts"
import { header } from "./RetryAfter.ts"
import { ForeignUrl, NoNextPage, type SourceReason } from "./SourceError.ts"

/** The request that every page of a walk begins from: address and query without what the pagination adds. */
export interface WalkRequest {
  readonly address: URL
  /** Query parameters whose values are secrets: they are not kept in positions, and set anew in each request. */
  readonly secretParameters: ReadonlyMap<string, string>
}

/** Where a walk goes on after a page: a position, or nowhere. */
export type Next = Position | "end" | SourceReason

/** How to get from one page to the next. */
export interface Paging {
  /** What has to be found in each body. */
  readonly values: ReadonlyArray<JsonSelector>
  /** Query parameters that it sets. */
  readonly parameters: ReadonlyArray<string>
  /** Whether a position of a checkpoint is one of this kind. */
  readonly fits: (position: Position) => boolean
  /** The address of the page at a position; `undefined` is the first page. */
  readonly address: (request: WalkRequest, position: Position | undefined) => URL
  readonly next: (
    position: Position | undefined,
    answer: Answer,
    scan: Scan,
    count: number,
    request: WalkRequest
  ) => Next
}

const withParameters = (request: WalkRequest, parameters: Readonly<Record<string, string | undefined>>): URL => {
  const url = new URL(request.address)
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value)
  return url
}

const single: Paging = {
  values: [],
  parameters: [],
  fits: () => false,
  address: (request) => withParameters(request, {}),
  next: () => "end"
}

/** The text at a selector; `undefined` if there is none, null or nothing in it (also `false`, which some APIs send at the end). */
const valueText = (answer: Answer, scan: Scan, name: string): string | undefined | NoNextPage => {
  const [start = -1, end = -1] = scan.values
  if (start < 0) return undefined
  const text = scalarText(answer.body, { start, end })
  const first = answer.body[start]
  if (text === undefined || text === "true") {
    return new NoNextPage({
      url: answer.url,
      problem: `expected a text or a number at ${name}.`,
      found: foundIn(answer.body.subarray(start, end), [])
    })
  }
  return text === null || text === "" || (text === "false" && first !== 0x22) ? undefined : text
}

const cursorPaging = (selector: string, param: string): Paging => ({
  values: [compileSelector(selector)],
  parameters: [param],
  fits: (position) => "cursor" in position,
  address: (request, position) =>
    withParameters(request, { [param]: position !== undefined && "cursor" in position ? position.cursor : undefined }),
  next: (_position, answer, scan) => {
    const cursor = valueText(answer, scan, selector)
    return cursor === undefined ? "end" : typeof cursor === "string" ? { cursor } : cursor
  }
})

const pagePaging = (param: string, start: number, size: number | undefined, sizeParam: string | undefined): Paging => {
  const pageOf = (position: Position | undefined) =>
    position !== undefined && "page" in position ? position.page : start
  return {
    values: [],
    parameters: sizeParam === undefined ? [param] : [param, sizeParam],
    fits: (position) => "page" in position,
    address: (request, position) =>
      withParameters(request, {
        [param]: String(pageOf(position)),
        ...(sizeParam === undefined || size === undefined ? {} : { [sizeParam]: String(size) })
      }),
    next: (position, _answer, _scan, count) => (count < (size ?? 1) ? "end" : { page: pageOf(position) + 1 })
  }
}

const offsetPaging = (param: string, limit: number, limitParam: string): Paging => {
  const offsetOf = (position: Position | undefined) =>
    position !== undefined && "offset" in position ? position.offset : 0
  return {
    values: [],
    parameters: [param, limitParam],
    fits: (position) => "offset" in position,
    address: (request, position) =>
      withParameters(request, { [param]: String(offsetOf(position)), [limitParam]: String(limit) }),
    next: (position, _answer, _scan, count) => (count < limit ? "end" : { offset: offsetOf(position) + count })
  }
}

/** Follows an address that the API gave. It is refused when it leads to another origin. */
const linkTo = (text: string, answer: Answer, { address, secretParameters }: WalkRequest): Next => {
  if (!URL.canParse(text, answer.target.href)) {
    return new NoNextPage({
      url: answer.url,
      problem: "the next page's address is no address.",
      found: foundIn(Buffer.from(text), [...secretParameters.values()])
    })
  }
  const url = new URL(text, answer.target)
  url.hash = ""
  if (url.origin !== address.origin) {
    const next = shownUrl(url, new Set())
    return new ForeignUrl({ url: answer.url, next, expected: address.origin })
  }
  url.username = ""
  url.password = ""
  for (const name of secretParameters.keys()) url.searchParams.delete(name)
  return { url: `${url.pathname}${url.search}` }
}

const followed = (request: WalkRequest, position: Position | undefined): URL => {
  const url =
    position !== undefined && "url" in position
      ? new URL(position.url, request.address.origin)
      : new URL(request.address)
  for (const [name, value] of request.secretParameters) url.searchParams.set(name, value)
  return url
}

const urlPaging = (selector: string): Paging => ({
  values: [compileSelector(selector)],
  parameters: [],
  fits: (position) => "url" in position,
  address: followed,
  next: (_position, answer, scan, _count, request) => {
    const text = valueText(answer, scan, selector)
    return text === undefined ? "end" : typeof text === "string" ? linkTo(text, answer, request) : text
  }
})

/** The targets of a Link header with a relation (RFC 8288, section 3). */
export const linkTarget = (value: string, relation: string): string | undefined => {
  const link = /\s*,?\s*<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^\s",;]*))?)*)/uy
  const parameter = /;\s*([^\s=;,]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*)))?/gu
  for (let match = link.exec(value); match !== null; match = link.exec(value)) {
    for (const [, name = "", quoted, bare] of (match[2] ?? "").matchAll(parameter)) {
      const relations = (quoted ?? bare ?? "").toLowerCase().split(/\s+/u)
      // Only the first `rel` of a link counts.
      if (name.toLowerCase() === "rel") {
        if (relations.includes(relation.toLowerCase())) return match[1]
        break
      }
    }
  }
  return undefined
}

const linkPaging = (relation: string): Paging => ({
  values: [],
  parameters: [],
  fits: (position) => "url" in position,
  address: followed,
  next: (_position, answer, _scan, _count, request) => {
    const value = answer.headers["link"]
    const target = linkTarget(typeof value === "string" ? value : (value ?? []).join(", "), relation)
    return target === undefined || header(answer.headers, "link") === undefined
      ? "end"
      : linkTo(target, answer, request)
  }
})

/** The paging of a stream's `pagination`. Its selectors were checked with the file. */
export const pagingOf = (pagination: Pagination | undefined): Paging => {
  if (pagination === undefined) return single
  if ("cursor" in pagination) return cursorPaging(pagination.cursor, pagination.param)
  if ("page" in pagination) {
    return pagePaging(pagination.page, pagination.start, pagination.size, pagination.size_param)
  }
  if ("offset" in pagination) return offsetPaging(pagination.offset, pagination.limit, pagination.limit_param)
  return "next_url" in pagination ? urlPaging(pagination.next_url) : linkPaging(pagination.link)
}
