import { compileSelector, scalarText, selectOne } from "@tributary/codec"
import type { Pagination } from "@tributary/domain"
import type { Position } from "./Checkpoint.ts"
import { foundIn, shownUrl } from "./Found.ts"
import { putValue } from "./RequestBody.ts"
import { header } from "./RetryAfter.ts"
import type { Next, PageView, Paginator, Place, RequestDraft, Requester } from "./slots/index.ts"
import { ForeignUrl, NoNextPage } from "./SourceError.ts"
import type { Answer } from "./Transport.ts"

type In = Place["in"]

/** Names of parameters as they may be shown: those of the query. */
const shown = (place: In, ...names: ReadonlyArray<string | undefined>): ReadonlyArray<string> =>
  place === "query" ? names.filter((name) => name !== undefined) : []

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

/** Whether a body says that there is more: `true`, or the text of it, or a number other than 0. */
const saysMore = (page: PageView, index: number): boolean => {
  const text = page.valueText(index)
  return text !== undefined && text !== null && text !== "" && text !== "false" && text !== "0"
}

const putCursor = (draft: RequestDraft, place: In, name: string, position: Position | undefined): void => {
  if (position !== undefined && "cursor" in position) putValue(draft, { in: place, name }, position.cursor)
}

const cursorPaginator = ({ cursor, in: place, more, param }: Extract<Pagination, { cursor: string }>): Paginator => ({
  values: [compileSelector(cursor), ...(more === undefined ? [] : [compileSelector(more)])],
  parameters: shown(place, param),
  fits: (position) => "cursor" in position,
  apply: (draft, position) => putCursor(draft, place, param, position),
  next: (page) => {
    if (more !== undefined && !saysMore(page, 1)) return "end"
    const next = valueText(page, cursor)
    return next === undefined ? "end" : typeof next === "string" ? { cursor: next } : next
  }
})

const headerCursorPaginator = ({
  header: name,
  in: place,
  param
}: Extract<Pagination, { header: string }>): Paginator => ({
  values: [],
  parameters: shown(place, param),
  fits: (position) => "cursor" in position,
  apply: (draft, position) => putCursor(draft, place, param, position),
  next: ({ answer }) => {
    const cursor = header(answer.headers, name.toLowerCase())?.trim()
    return cursor === undefined || cursor === "" ? "end" : { cursor }
  }
})

const lastRecordPaginator = ({
  in: place,
  last_record: field,
  more,
  param,
  size,
  size_param: sizeParam
}: Extract<Pagination, { last_record: string }>): Paginator => {
  const key = compileSelector(
    `$${field
      .split(".")
      .map((name) => `['${name}']`)
      .join("")}`
  )
  return {
    values: more === undefined ? [] : [compileSelector(more)],
    parameters: shown(place, param, sizeParam),
    fits: (position) => "cursor" in position,
    apply: (draft, position) => {
      if (sizeParam !== undefined && size !== undefined) putValue(draft, { in: place, name: sizeParam }, size)
      putCursor(draft, place, param, position)
    },
    next: (page) => {
      const { count } = page
      if (count < (size ?? 1) || (more !== undefined && !saysMore(page, 0))) return "end"
      const { rows, stride } = page.extracted.scan
      const last = page.record(rows.length / stride - 1) ?? Buffer.alloc(0)
      const span = selectOne(last, key)
      const text = span === undefined ? undefined : scalarText(last, span)
      if (text !== undefined && text !== null && text !== "") return { cursor: text }
      return new NoNextPage({
        url: page.answer.url,
        problem: `expected a text or a number in ${field} of the page's last record.`,
        found: foundIn(last, page.answer.secrets)
      })
    }
  }
}

const pagePaginator = ({
  in: place,
  page: param,
  restart_after: most,
  size,
  size_param: sizeParam,
  start
}: Extract<Pagination, { page: string }>): Paginator => {
  const pageOf = (position: Position | undefined) =>
    position !== undefined && "page" in position ? position.page : start
  return {
    values: [],
    parameters: shown(place, param, sizeParam),
    fits: (position) => "page" in position,
    apply: (draft, position) => {
      putValue(draft, { in: place, name: param }, pageOf(position))
      if (sizeParam !== undefined && size !== undefined) putValue(draft, { in: place, name: sizeParam }, size)
    },
    next: ({ count, position }) => {
      const number = pageOf(position)
      if (count < (size ?? 1)) return "end"
      return most !== undefined && (number - start + 1) * (size ?? count) >= most ? "restart" : { page: number + 1 }
    }
  }
}

const offsetPaginator = ({
  in: place,
  limit,
  limit_param: limitParam,
  offset: param,
  restart_after: most
}: Extract<Pagination, { offset: string }>): Paginator => {
  const offsetOf = (position: Position | undefined) =>
    position !== undefined && "offset" in position ? position.offset : 0
  return {
    values: [],
    parameters: shown(place, param, limitParam),
    fits: (position) => "offset" in position,
    apply: (draft, position) => {
      putValue(draft, { in: place, name: param }, offsetOf(position))
      putValue(draft, { in: place, name: limitParam }, limit)
    },
    next: ({ count, position }) => {
      const next = offsetOf(position) + count
      if (count < limit) return "end"
      return most !== undefined && next >= most ? "restart" : { offset: next }
    }
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
  if ("cursor" in pagination) return cursorPaginator(pagination)
  if ("header" in pagination) return headerCursorPaginator(pagination)
  if ("last_record" in pagination) return lastRecordPaginator(pagination)
  if ("page" in pagination) return pagePaginator(pagination)
  if ("offset" in pagination) return offsetPaginator(pagination)
  return "next_url" in pagination ? urlPaginator(pagination.next_url) : linkPaginator(pagination.link)
}
