import { at, iso, millisOf, number, textAt } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

/** Edits are told to the minute. */
const edited = (row: Row) => row.updated - (row.updated % 60_000)

const page = (row: Row) => ({
  object: "page",
  id: `59833787-2cf9-4fdf-8782-${String(row.id).padStart(12, "0")}`,
  last_edited_time: iso(edited(row)),
  properties: { Name: { title: [{ plain_text: `Page ${row.id}, ${row.version}` }] } }
})

/** developers.notion.com/reference/query-a-data-source, /reference/status-codes */
export const notion: StandIn = {
  file: "notion-pages",
  hosts: ["api.notion.com"],
  env: { NOTION_TOKEN: "ntn_a", NOTION_DATA_SOURCE: "248104cd" },
  access: { header: ["authorization", "Bearer ntn_a"] },
  errors: {
    broken: refused(502, "Bad gateway"),
    throttled: refused(429, { object: "error", status: 429, code: "rate_limited" }, { "retry-after": "1" }),
    denied: refused(401, { object: "error", status: 401, code: "unauthorized" })
  },
  streams: { pages: { table: { rows: 530 }, record: page, brings: "changes" } },
  open: ({ table }) => {
    const walks = new Walks<Row>("n")
    return ({ body, headers, method, path }) => {
      if (
        method !== "POST" ||
        path !== "/v1/data_sources/248104cd/query" ||
        headers["notion-version"] !== "2025-09-03"
      ) {
        return undefined
      }
      const since = millisOf(textAt(body, "filter.last_edited_time.on_or_after")) ?? 0
      const size = Math.min(number(at(body, "page_size"), 100), 100)
      const cursor = textAt(body, "start_cursor")
      const found = table("pages")
        .since(undefined)
        .filter((row) => edited(row) >= since)
      const part = cursor === undefined ? walks.begin(found, size) : walks.next(cursor, size)
      if (part === undefined) return refused(400, { object: "error", code: "validation_error" })
      const { items, next = null } = part
      return ok({ object: "list", results: items.map(page), next_cursor: next, has_more: next !== null })
    }
  }
}
