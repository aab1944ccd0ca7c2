import { compileSelector } from "@tributary/codec"
import type { Pagination } from "@tributary/domain"
import type { Position } from "./Checkpoint.ts"
import { foundIn, shownUrl } from "./Found.ts"
import { header } from "./RetryAfter.ts"
import type { Next, PageView, Paginator, RequestDraft, Requester } from "./slots/index.ts"
import { ForeignUrl, NoNextPage } from "./SourceError.ts"
import type { Answer } from "./Transport.ts"

const setParameters = ({ url }: RequestDraft, parameters: Readonly<Record<string, string | undefined>>): void => {
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value)
}

/** One page is all. */
export const singlePage: Paginator = {
  values: [],
  parameters: [],
  fits: () => false,
  apply: () => {},
  next: () => "end"
}

/** The text at a selector; `undefined` if there is none, null or nothing in it (also `false`, which some APIs send at the end). */
const valueText = (page: PageView, name: string): string | undefined | NoNextPage => {
  const bytes = page.value(0)
  if (bytes === undefined) return undefined
  const text = page.valueText(0)
  if (text === undefined || (text === "true" && bytes[0] !== 0x22)) {
    return new NoNextPage({
      url: page.answer.url,
      problem: `expected a text or a number at ${name}.`,
      found: foundIn(bytes, [])
    })
  }
  return text === null || text === "" || (text === "false" && bytes[0] !== 0x22) ? undefined : text
}

const cursorPaginator = (selector: string, param: string): Paginator => ({
  values: [compileSelector(selector)],
  parameters: [param],
  fits: (position) => "cursor" in position,
  apply: (draft, position) =>
    setParameters(draft, { [param]: position !== undefined && "cursor" in position ? position.cursor : undefined }),
  next: (page) => {
    const cursor = valueText(page, selector)
    return cursor === undefined ? "end" : typeof cursor === "string" ? { cursor } : cursor
  }
})

const pagePaginator = (
  param: string,
  start: number,
  size: number | undefined,
  sizeParam: string | undefined
): Paginator => {
  const pageOf = (position: Position | undefined) =>
    position !== undefined && "page" in position ? position.page : start
  return {
    values: [],
    parameters: sizeParam === undefined ? [param] : [param, sizeParam],
    fits: (position) => "page" in position,
    apply: (draft, position) =>
      setParameters(draft, {
        [param]: String(pageOf(position)),
        ...(sizeParam === undefined || size === undefined ? {} : { [sizeParam]: String(size) })
      }),
    next: ({ count, position }) => (count < (size ?? 1) ? "end" : { page: pageOf(position) + 1 })
  }
}

const offsetPaginator = (param: string, limit: number, limitParam: string): Paginator => {
  const offsetOf = (position: Position | undefined) =>
    position !== undefined && "offset" in position ? position.offset : 0
  return {
    values: [],
    parameters: [param, limitParam],
    fits: (position) => "offset" in position,
    apply: (draft, position) =>
      setParameters(draft, { [param]: String(offsetOf(position)), [limitParam]: String(limit) }),
    next: ({ count, position }) => (count < limit ? "end" : { offset: offsetOf(position) + count })
  }
}

/** Follows an address that the API gave. It is refused when it leads to another origin. */
const linkTo = (
  text: string,
  answer: Answer,
  { url: { origin } }: RequestDraft,
  { secretParameters }: Requester
): Next => {
  if (!URL.canParse(text, answer.target.href)) {
    return new NoNextPage({
      url: answer.url,
      problem: "the next page's address is no address.",
      found: foundIn(Buffer.from(text), [...secretParameters.values()])
    })
  }
  const url = new URL(text, answer.target)
  url.hash = ""
  if (url.origin !== origin) {
    const next = shownUrl(url, new Set())
    return new ForeignUrl({ url: answer.url, next, expected: origin })
  }
  url.username = ""
  url.password = ""
  for (const name of secretParameters.keys()) url.searchParams.delete(name)
  return { url: `${url.pathname}${url.search}` }
}

const follow = (draft: RequestDraft, position: Position | undefined, { secretParameters }: Requester): void => {
  if (position === undefined || !("url" in position)) return
  draft.url = new URL(position.url, draft.url.origin)
  for (const [name, value] of secretParameters) draft.url.searchParams.set(name, value)
}

const urlPaginator = (selector: string): Paginator => ({
  values: [compileSelector(selector)],
  parameters: [],
  fits: (position) => "url" in position,
  apply: follow,
  next: (page, draft, requester) => {
    const text = valueText(page, selector)
    return text === undefined ? "end" : typeof text === "string" ? linkTo(text, page.answer, draft, requester) : text
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

const linkPaginator = (relation: string): Paginator => ({
  values: [],
  parameters: [],
  fits: (position) => "url" in position,
  apply: follow,
  next: ({ answer }, draft, requester) => {
    const value = answer.headers["link"]
    const target = linkTarget(typeof value === "string" ? value : (value ?? []).join(", "), relation)
    return target === undefined || header(answer.headers, "link") === undefined
      ? "end"
      : linkTo(target, answer, draft, requester)
  }
})

/** The paginator of a stream's `pagination`. Its selectors were checked with the file. */
export const paginatorOf = (pagination: Pagination | undefined): Paginator => {
  if (pagination === undefined) return singlePage
  if ("cursor" in pagination) return cursorPaginator(pagination.cursor, pagination.param)
  if ("page" in pagination) {
    return pagePaginator(pagination.page, pagination.start, pagination.size, pagination.size_param)
  }
  if ("offset" in pagination) return offsetPaginator(pagination.offset, pagination.limit, pagination.limit_param)
  return "next_url" in pagination ? urlPaginator(pagination.next_url) : linkPaginator(pagination.link)
}
