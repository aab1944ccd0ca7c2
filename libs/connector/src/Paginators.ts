import { compileSelector, type JsonSelector, scalarText, selectOne } from "@tributary/codec"
import type { Pagination } from "@tributary/domain"
import type { Position } from "./Checkpoint.ts"
import { followUrl, linkTo } from "./Follow.ts"
import { foundIn } from "./Found.ts"
import { putValue } from "./RequestBody.ts"
import { header } from "./RetryAfter.ts"
import type { PageView, Paginator, Place, RequestDraft, SoughtPlace } from "./slots/index.ts"
import { NoNextPage } from "./SourceError.ts"

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

const nothingAt = (setting: string, selector: string, index: number): SoughtPlace => ({
  setting,
  missing: `nothing at ${selector}`,
  isIn: (page) => page.value(index) !== undefined
})

/** What says that a page is the last; `values` stand among the paginator's from `first` on. */
const endsOf = (
  settings: { readonly more?: string; readonly end?: string; readonly until_empty?: boolean },
  first: number
): {
  readonly values: ReadonlyArray<JsonSelector>
  /** The body has the say on it, so that a short page does not. */
  readonly isTold: boolean
  readonly sought: ReadonlyArray<SoughtPlace>
  readonly isOver: (page: PageView) => boolean
} => {
  const { end, more } = settings
  const endIndex = first + (more === undefined ? 0 : 1)
  return {
    values: [more, end].flatMap((selector) => (selector === undefined ? [] : [compileSelector(selector)])),
    isTold: more !== undefined || end !== undefined,
    sought: [
      ...(more === undefined
        ? []
        : [
            {
              ...nothingAt("more", more, first),
              saysEnd: (page: PageView) => page.value(first) !== undefined && !saysMore(page, first)
            }
          ]),
      // Where the body does not say that it is the last one, the walk goes on, so nothing is missed without it.
      ...(end === undefined
        ? []
        : [
            {
              ...nothingAt("end", end, endIndex),
              isIn: () => true,
              saysEnd: (page: PageView) => saysMore(page, endIndex)
            }
          ])
    ],
    isOver: (page) =>
      (more !== undefined && !saysMore(page, first)) ||
      (end !== undefined && saysMore(page, endIndex)) ||
      (settings.until_empty === true && page.count === 0)
  }
}

const putCursor = (draft: RequestDraft, place: In, name: string, position: Position | undefined): void => {
  if (position !== undefined && "cursor" in position) putValue(draft, { in: place, name }, position.cursor)
  // The first page has none, and the API is not to see the braces.
  else if (place === "placeholder") putValue(draft, { in: place, name }, "")
}

const cursorPaginator = (settings: Extract<Pagination, { cursor: string }>): Paginator => {
  const { cursor, in: place, param } = settings
  const ends = endsOf(settings, 1)
  return {
    values: [compileSelector(cursor), ...ends.values],
    parameters: shown(place, param),
    fits: (position) => "cursor" in position,
    apply: (draft, position) => putCursor(draft, place, param, position),
    sought: [nothingAt("cursor", cursor, 0), ...ends.sought],
    next: (page) => {
      if (ends.isOver(page)) return "end"
      const next = valueText(page, cursor)
      return next === undefined ? "end" : typeof next === "string" ? { cursor: next } : next
    }
  }
}

const headerCursorPaginator = ({
  header: name,
  in: place,
  param,
  until_empty: untilEmpty
}: Extract<Pagination, { header: string }>): Paginator => ({
  values: [],
  parameters: shown(place, param),
  fits: (position) => "cursor" in position,
  apply: (draft, position) => putCursor(draft, place, param, position),
  sought: [
    {
      setting: "header",
      missing: `no header ${name}`,
      isIn: ({ answer }) => header(answer.headers, name.toLowerCase()) !== undefined
    }
  ],
  next: ({ answer, count }) => {
    const cursor = header(answer.headers, name.toLowerCase())?.trim()
    // Salesforce writes null into the header of the last page.
    const isEnd = cursor === undefined || cursor === "" || cursor === "null"
    return isEnd || (untilEmpty && count === 0) ? "end" : { cursor }
  }
})

const lastRecordPaginator = (settings: Extract<Pagination, { last_record: string }>): Paginator => {
  const { in: place, last_record: field, param, size, size_param: sizeParam } = settings
  const ends = endsOf(settings, 0)
  const key = compileSelector(
    `$${field
      .split(".")
      .map((name) => `['${name}']`)
      .join("")}`
  )
  return {
    values: ends.values,
    parameters: shown(place, param, sizeParam),
    fits: (position) => "cursor" in position,
    sought: ends.sought,
    apply: (draft, position) => {
      if (sizeParam !== undefined && size !== undefined) putValue(draft, { in: place, name: sizeParam }, size)
      putCursor(draft, place, param, position)
    },
    next: (page) => {
      const { count, last } = page
      if (last === undefined || count < (ends.isTold ? 1 : (size ?? 1)) || ends.isOver(page)) return "end"
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

const pagePaginator = (settings: Extract<Pagination, { page: string }>): Paginator => {
  const { in: place, page: param, restart_after: most, size, size_param: sizeParam, start } = settings
  const ends = endsOf(settings, 0)
  const pageOf = (position: Position | undefined) =>
    position !== undefined && "page" in position ? position.page : start
  return {
    values: ends.values,
    parameters: shown(place, param, sizeParam),
    fits: (position) => "page" in position,
    sought: ends.sought,
    apply: (draft, position) => {
      putValue(draft, { in: place, name: param }, pageOf(position))
      if (sizeParam !== undefined && size !== undefined) putValue(draft, { in: place, name: sizeParam }, size)
    },
    next: (page) => {
      const { count, position } = page
      const number = pageOf(position)
      if (count < (ends.isTold ? 1 : (size ?? 1)) || ends.isOver(page)) return "end"
      return most !== undefined && (number - start + 1) * (size ?? count) >= most ? "restart" : { page: number + 1 }
    }
  }
}

const offsetPaginator = (settings: Extract<Pagination, { offset: string }>): Paginator => {
  const { in: place, limit, limit_param: limitParam, offset: param, restart_after: most, start } = settings
  const ends = endsOf(settings, 0)
  const offsetOf = (position: Position | undefined) =>
    position !== undefined && "offset" in position ? position.offset : start
  return {
    values: ends.values,
    parameters: shown(place, param, limitParam),
    fits: (position) => "offset" in position,
    sought: ends.sought,
    apply: (draft, position) => {
      putValue(draft, { in: place, name: param }, offsetOf(position))
      putValue(draft, { in: place, name: limitParam }, limit)
    },
    next: (page) => {
      const { count, position } = page
      const next = offsetOf(position) + count
      if (count < (ends.isTold ? 1 : limit) || ends.isOver(page)) return "end"
      return most !== undefined && next - start >= most ? "restart" : { offset: next }
    }
  }
}

const follow: Paginator["apply"] = (draft, position, requester) => {
  if (position !== undefined && "url" in position) followUrl(draft, position.url, requester)
}

const urlPaginator = (settings: Extract<Pagination, { next_url: string }>): Paginator => {
  const { next_url: selector } = settings
  const ends = endsOf(settings, 1)
  return {
    values: [compileSelector(selector), ...ends.values],
    parameters: [],
    fits: (position) => "url" in position,
    apply: follow,
    sought: [nothingAt("next_url", selector, 0), ...ends.sought],
    next: (page, draft, requester) => {
      if (ends.isOver(page)) return "end"
      const text = valueText(page, selector)
      return text === undefined ? "end" : typeof text === "string" ? linkTo(text, page.answer, draft, requester) : text
    }
  }
}

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

const linkPaginator = ({
  link: relation,
  until_empty: untilEmpty
}: Extract<Pagination, { link: string }>): Paginator => ({
  values: [],
  parameters: [],
  fits: (position) => "url" in position,
  apply: follow,
  sought: [
    {
      setting: "link",
      missing: `no Link header with rel="${relation}"`,
      // A header without it is that of a last page.
      isIn: ({ answer }) => header(answer.headers, "link") !== undefined
    }
  ],
  next: ({ answer, count }, draft, requester) => {
    if (untilEmpty && count === 0) return "end"
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
  return "next_url" in pagination ? urlPaginator(pagination) : linkPaginator(pagination)
}
