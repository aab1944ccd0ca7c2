import type { LosslessJson } from "@tributary/codec"
import { linkTarget } from "../Paginators.ts"
import { type AnswerHeaders, header } from "../RetryAfter.ts"
import { guessKey } from "./FieldGuess.ts"
import type { FoundRecords } from "./FoundRecords.ts"
import { type Placed, placesOf, plain, selectorOf } from "./Places.ts"

/** The first answer of an API, and what was asked for. */
export interface FirstAnswer {
  readonly url: URL
  readonly headers: AnswerHeaders
  readonly document: LosslessJson.Json
  /** Where a parameter of the next request goes: into the body of an API that is asked with one. */
  readonly place: "query" | "body"
  /** The query of a GraphQL request. */
  readonly graphql?: string | undefined
}

/** A way from one page to the next. */
export interface PagingGuess {
  /** What stands under `pagination`, defaults left out. */
  readonly pagination: Readonly<Record<string, string | number>>
  /** What was seen that speaks for it. */
  readonly saw: string
  /** The answer itself says how to go on; without it the parameter was only guessed from habit. */
  readonly isSaid: boolean
}

/** Names of values that are the next page's address, with a rank among them. */
const addressNames = [
  "odatanextlink",
  "nextlink",
  "nextrecordsurl",
  "nextpageurl",
  "nexturl",
  "nextpagelink",
  "nexthref",
  "nextpage",
  "next"
]

/** Names of values that are cursors, with the parameters that usually take them. */
const cursorNames: Readonly<Record<string, ReadonlyArray<string>>> = {
  nextpagetoken: ["pageToken", "page_token", "pagination_token"],
  nextcursor: ["cursor", "start_cursor", "next_cursor"],
  nextcursormark: ["cursorMark"],
  nexttoken: ["nextToken", "pagination_token", "next_token", "NextToken", "token"],
  continuationtoken: ["continuationToken", "continuation_token"],
  continuation: ["continuation"],
  nextmarker: ["marker", "Marker"],
  nextpagecursor: ["page_cursor", "cursor"],
  nextpageid: ["page_id", "pageId"],
  nextoffset: ["offset"],
  nextpagestart: ["start"],
  nextstart: ["start"],
  nextpage: ["page"],
  nextpagenumber: ["page"],
  nextid: ["after", "next_id"],
  startingafter: ["starting_after"],
  endcursor: ["after", "cursor"],
  aftercursor: ["page[after]", "after", "cursor"],
  aftertoken: ["after"],
  after: ["after"],
  pagetoken: ["page_token", "pageToken"],
  scrollid: ["scroll_id"],
  bookmark: ["bookmark"],
  cursor: ["cursor"],
  offset: ["offset"],
  next: ["cursor", "next", "page", "after", "starting_after"]
}

const moreNames = ["hasmore", "hasnextpage", "hasnext", "moreitemsincollection", "moreresults", "more"]
const headerCursors = ["x-next-cursor", "x-next-token", "x-continuation-token", "x-ms-continuation", "x-next-page"]

const isText = (value: LosslessJson.Json): value is string => typeof value === "string" && value !== ""
const isWhole = (value: LosslessJson.Json): value is number => typeof value === "number" && Number.isInteger(value)
const leads = (text: string): boolean => /^(https?:\/\/|\/|\?)/u.test(text)

/** A member next to a place, or in an object above it. */
const sibling = (places: ReadonlyArray<Placed>, names: ReadonlyArray<string>): Placed | undefined =>
  places.find(({ path }) => names.includes(plain(path.at(-1) ?? "")))

/** The name without a leading `_` or `@odata.`, or that of the object around a `href`, `url`, `link`. */
const nameOf = (path: ReadonlyArray<string>): string => {
  const last = plain(path.at(-1) ?? "")
  return ["href", "url", "uri", "link"].includes(last) && path.length > 1 ? plain(path.at(-2) ?? "") : last
}

const addresses = (places: ReadonlyArray<Placed>): ReadonlyArray<PagingGuess> =>
  places
    .flatMap(({ path, value }) => {
      const rank = addressNames.indexOf(nameOf(path))
      if (rank < 0 || !isText(value) || !leads(value)) return []
      const at = selectorOf(path)
      return [{ rank, guess: { pagination: { next_url: at }, saw: `the next page's address at ${at}`, isSaid: true } }]
    })
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ guess }) => guess)

/** The variable that a GraphQL query hands to `after`. */
const variableOf = (query: string | undefined): string | undefined =>
  query === undefined ? undefined : /\bafter\s*:\s*\$(\w+)/u.exec(query)?.[1]

const cursors = (places: ReadonlyArray<Placed>, answer: FirstAnswer): ReadonlyArray<PagingGuess> => {
  const found: Array<PagingGuess & { readonly rank: number }> = []
  const ranks = Object.keys(cursorNames)
  for (const { path, value } of places) {
    const name = plain(path.at(-1) ?? "")
    const known = Object.hasOwn(cursorNames, name) ? cursorNames[name] : undefined
    if (known === undefined) continue
    // An `offset` in numbers is where this page begins, and `next` as an address was seen to.
    const isCursor = isText(value) ? !leads(value) : isWhole(value) && name !== "offset" && name !== "cursor"
    if (!isCursor) continue
    const at = selectorOf(path)
    const near = places.filter((other) => other.path.slice(0, -1).join("\0") === path.slice(0, -1).join("\0"))
    const more = sibling(near, moreNames)
    const variable = variableOf(answer.graphql)
    // Some take it by the name that they give it.
    const parameters = variable === undefined ? new Set([...known, path.at(-1) ?? ""]) : [variable]
    for (const param of parameters) {
      found.push({
        rank: ranks.indexOf(name),
        isSaid: true,
        saw: `a cursor for the next page at ${at}`,
        pagination: {
          cursor: at,
          param,
          ...(answer.place === "body" ? { in: "body" } : {}),
          ...(more === undefined ? {} : { more: selectorOf(more.path) })
        }
      })
    }
  }
  return found.toSorted((a, b) => a.rank - b.rank).map(({ isSaid, pagination, saw }) => ({ isSaid, pagination, saw }))
}

const inHeaders = ({ headers }: FirstAnswer): ReadonlyArray<PagingGuess> => {
  const link = headers["link"]
  const value = typeof link === "string" ? link : (link ?? []).join(", ")
  const guesses: Array<PagingGuess> = []
  if (linkTarget(value, "next") !== undefined) {
    guesses.push({ pagination: { link: "next" }, saw: "a Link header with rel=next", isSaid: true })
  }
  for (const name of headerCursors) {
    const cursor = header(headers, name)?.trim() ?? ""
    if (cursor === "") continue
    const params = name === "x-next-page" ? ["page"] : ["cursor", "token", "continuation"]
    for (const param of params) {
      guesses.push({ pagination: { header: name, param }, saw: `a cursor in the header ${name}`, isSaid: true })
    }
  }
  return guesses
}

/** The parameter that the request has already by one of these names, else the first of them. */
const parameterOf = ({ url }: FirstAnswer, names: ReadonlyArray<string>): string =>
  names.find((name) => url.searchParams.has(name)) ?? names[0] ?? ""

const pageNames = ["page", "currentpage", "pagenumber", "pageno", "pageindex", "number"]
const pageCountNames = ["totalpages", "pagecount", "lastpage", "pages", "numpages", "pagestotal", "pagetotal"]
const pageSizeNames = ["perpage", "pagesize", "size", "limit", "itemsperpage", "maxresults", "count"]
const offsetNames: Readonly<Record<string, ReadonlyArray<string>>> = {
  offset: ["offset"],
  startat: ["startAt"],
  start: ["start"],
  skip: ["skip"],
  from: ["from"],
  pageoffset: ["offset"],
  sysparmoffset: ["sysparm_offset"]
}
const limitNames = ["limit", "maxResults", "max_results", "pageSize", "page_size", "per_page", "size", "count", "rows"]
const totalNames = ["total", "totalcount", "totalresults", "totalitems", "totalrecords", "totalsize", "recordcount"]

const whole = (places: ReadonlyArray<Placed>, names: ReadonlyArray<string>): Placed | undefined => {
  const found = places
    .filter(({ path, value }) => names.includes(plain(path.at(-1) ?? "")) && isWhole(value))
    .toSorted((a, b) => names.indexOf(plain(a.path.at(-1) ?? "")) - names.indexOf(plain(b.path.at(-1) ?? "")))
  return found[0]
}

const numbered = (
  places: ReadonlyArray<Placed>,
  answer: FirstAnswer,
  { records }: FoundRecords
): ReadonlyArray<PagingGuess> => {
  const guesses: Array<PagingGuess> = []
  const body = answer.place === "body" ? { in: "body" } : {}
  const page = whole(places, pageNames)
  const pages = whole(places, pageCountNames)
  if (page !== undefined && pages !== undefined) {
    const start = Number(page.value)
    const size = whole(places, pageSizeNames)
    const names = page.path.at(-1) === "number" ? ["page"] : ["page", page.path.at(-1) ?? "page"]
    for (const name of new Set([parameterOf(answer, names), ...names])) {
      guesses.push({
        isSaid: true,
        saw: `page ${start} of ${Number(pages.value)} at ${selectorOf(page.path)} and ${selectorOf(pages.path)}`,
        pagination: {
          page: name,
          ...body,
          ...(start === 1 ? {} : { start }),
          ...(size === undefined || Number(size.value) !== records.length ? {} : { size: records.length })
        }
      })
    }
  }
  const offset = places.find(
    ({ path, value }) => Object.hasOwn(offsetNames, plain(path.at(-1) ?? "")) && isWhole(value)
  )
  const total = whole(places, totalNames)
  if (offset !== undefined && (total !== undefined || Number(offset.value) === 0)) {
    const limit = places.find(
      ({ path, value }) => limitNames.some((name) => plain(name) === plain(path.at(-1) ?? "")) && isWhole(value)
    )
    const [param = "offset"] = offsetNames[plain(offset.path.at(-1) ?? "")] ?? []
    const size = Math.max(1, limit === undefined ? records.length : Number(limit.value))
    const limitParam = limit?.path.at(-1) ?? parameterOf(answer, limitNames)
    guesses.push({
      isSaid: true,
      saw: `this page's beginning at ${selectorOf(offset.path)}${total === undefined ? "" : ` and the total at ${selectorOf(total.path)}`}`,
      pagination: {
        offset: param,
        ...body,
        limit: size,
        ...(limitParam === "limit" ? {} : { limit_param: limitParam })
      }
    })
  }
  return guesses
}

const byLastRecord = (
  places: ReadonlyArray<Placed>,
  answer: FirstAnswer,
  { name, records }: FoundRecords
): ReadonlyArray<PagingGuess> => {
  const more = sibling(
    places.filter(({ value }) => typeof value === "boolean"),
    moreNames
  )
  const key = guessKey(records, name)
  if (more === undefined || key === undefined) return []
  return ["starting_after", "after", "since_id", "after_id"].map((param) => ({
    isSaid: param === "starting_after",
    saw: `${selectorOf(more.path)}, and no cursor: the last record's ${key} may be one`,
    pagination: {
      last_record: key,
      param,
      ...(answer.place === "body" ? { in: "body" } : {}),
      more: selectorOf(more.path)
    }
  }))
}

/** Sizes of pages that nobody chose by chance: a list of so many is likely not all there is. */
const isRound = (count: number): boolean =>
  count >= 10 && [10, 15, 20, 24, 25, 30, 50].some((size) => count % size === 0)

const byHabit = (answer: FirstAnswer, { records }: FoundRecords): ReadonlyArray<PagingGuess> => {
  if (!isRound(records.length)) return []
  const saw = `a list of ${records.length}, as of a page, and nothing that says how to go on`
  const body = answer.place === "body" ? { in: "body" } : {}
  return [
    { pagination: { page: "page", ...body, size: records.length }, saw, isSaid: false },
    { pagination: { offset: "offset", ...body, limit: records.length }, saw, isSaid: false }
  ]
}

/** Ways to the next page that an answer speaks for, the surest first. */
export const guessPaging = (answer: FirstAnswer, found: FoundRecords | undefined): ReadonlyArray<PagingGuess> => {
  const places = placesOf(answer.document)
  const guesses = [...inHeaders(answer), ...addresses(places), ...cursors(places, answer)]
  if (found === undefined) return guesses
  guesses.push(...numbered(places, answer, found))
  // A cursor that is there, and null, is the end of the feed; then has_more is about the same.
  if (guesses.length === 0) guesses.push(...byLastRecord(places, answer, found))
  return guesses.length === 0 ? byHabit(answer, found) : guesses
}
