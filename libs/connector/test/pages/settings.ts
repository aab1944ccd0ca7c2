import type { Connector } from "@tributary/domain"
import { decodeConnector, timeOf } from "../harness.ts"
import type { Cell, CursorKind, PaginatorKind } from "./cells.ts"

/** What differs between runs of one cell. */
export interface Variant {
  readonly size: number
  /** Where the position goes. */
  readonly place: "query" | "header" | "body"
  /** Whether the API says that there is more, or a page's size tells. */
  readonly saysMore: boolean
  /** Whether addresses of next pages are relative. */
  readonly isRelative: boolean
  /** Whether an interval holds what stands at its end. */
  readonly endIsIn: boolean
  readonly retries: number
  readonly concurrency: number
}

/** Most records that the API shows of one question, where it caps. */
export const capOf = ({ size }: Variant): number => 3 * size

const paginationOf = (kind: PaginatorKind, variant: Variant, sortedBy = "k"): object | undefined => {
  const { place, saysMore, size } = variant
  const at = { in: place }
  const restart = { restart_after: capOf(variant) }
  switch (kind) {
    case "cursor":
      return { cursor: "$.next", param: "after", ...at, ...(saysMore ? { more: "$.more" } : {}) }
    case "header":
      return { header: "x-next", param: "after", ...at }
    case "last record":
      return { last_record: sortedBy, param: "after_key", ...at, ...(saysMore ? { more: "$.more" } : {}) }
    case "next url":
      return { next_url: "$.links.next" }
    case "link":
      return { link: "next" }
    case "page":
      return { page: "page", ...at, ...(saysMore ? {} : { size, size_param: "size" }) }
    case "page, capped":
      return { page: "page", ...at, size, size_param: "size", ...restart }
    case "offset":
      return { offset: "skip", limit: size, ...at }
    case "offset, capped":
      return { offset: "skip", limit: size, ...at, ...restart }
    case "none":
      return undefined
  }
}

/** Longer than all that a run covers. */
const lookback = "6 hours"

const incrementalOf = (kind: CursorKind, start: number, hasParam: boolean): object | undefined => {
  const time = { field: "at", param: "since" }
  // For an API that sends all of it all the same.
  const ownFilter = { field: "at", filter: true }
  const windows = { ...time, until_param: "until", start: timeOf(start), step: "50 minutes" }
  switch (kind) {
    case "everything":
      return undefined
    case "time":
      return time
    case "time, lookback":
      return { ...time, lookback }
    case "number":
      return { field: "seq", param: "since", type: "number" }
    case "windows":
      return windows
    case "windows, lookback":
      return { ...windows, lookback }
    case "descending":
      return { ...(hasParam ? time : ownFilter), order: "descending" }
    case "descending, lookback":
      return { ...(hasParam ? time : ownFilter), order: "descending", lookback }
    case "filter":
      return ownFilter
  }
}

const defined = (settings: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))

/** How parents are paged: as the stream itself, but that they are not capped, and that those that move are not counted. */
export const parentPaginator = ({ paginator, parting }: Cell): PaginatorKind => {
  if (!/^(page|offset)/u.test(paginator)) return paginator
  if (parting === "parent, incremental") return "cursor"
  return paginator.startsWith("page") ? "page" : "offset"
}

/** The connector of a cell. Records begin at `start`. */
export const settingsOf = (
  url: string,
  cell: Cell,
  variant: Variant,
  start: number,
  http: Readonly<Record<string, unknown>>
): Connector => {
  const { cursor, paginator, parting } = cell
  const isNested = parting.startsWith("parent")
  const isIncremental = parting === "parent, incremental"
  const pagination = paginationOf(paginator, variant)
  const parents = paginationOf(parentPaginator(cell), variant, isIncremental ? "k" : "id")
  const hasBody =
    variant.place === "body" && pagination !== undefined && !("next_url" in pagination || "link" in pagination)
  const common = { records: "$.data[*]", primary_key: "id", ...(hasBody ? { method: "POST" } : {}) }
  const partitions =
    parting === "list"
      ? { list: { part: ["p0", "p1", "p2"] } }
      : isNested
        ? { parent: "parents", values: { part: "id" }, incremental: isIncremental }
        : undefined
  return decodeConnector({
    connector: "shop",
    http: { base_url: url, retries: variant.retries, ...http },
    streams: {
      items: defined({
        path: parting === "whole" ? "/items" : "/parts/{part}/items",
        ...common,
        pagination,
        partitions,
        concurrency: variant.concurrency,
        incremental: incrementalOf(cursor, start, variant.saysMore)
      }),
      ...(isNested
        ? {
            parents: defined({
              path: "/parents",
              ...common,
              pagination: parents,
              incremental: isIncremental ? { field: "at", param: "since" } : undefined
            })
          }
        : {})
    }
  })
}
