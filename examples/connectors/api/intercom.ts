import { at, number, seconds, textAt } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const contact = (row: Row) => ({
  type: "contact",
  id: `c${row.id}`,
  role: "user",
  name: `C ${row.version}`,
  updated_at: seconds(row.updated)
})

const day = 86_400

/** developers.intercom.com, Search contacts: times are compared by the day, and `>` begins with the day after. */
export const intercom: StandIn = {
  file: "intercom-contacts",
  hosts: ["api.intercom.io"],
  env: { INTERCOM_TOKEN: "intercom-token" },
  access: { header: ["authorization", "Bearer intercom-token"] },
  errors: {
    broken: refused(500, { type: "error.list", errors: [{ code: "server_error" }] }),
    throttled: refused(
      429,
      { type: "error.list", errors: [{ code: "rate_limit_exceeded" }] },
      { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1" }
    ),
    denied: refused(401, { type: "error.list", errors: [{ code: "unauthorized" }] })
  },
  streams: { contacts: { table: { rows: 800 }, record: contact, brings: "changes", late: 5 * 60_000 } },
  open: ({ table }) => {
    const walks = new Walks<Row>("W")
    return ({ body, headers, method, path }) => {
      if (method !== "POST" || path !== "/contacts/search" || headers["intercom-version"] !== "2.14") return undefined
      if (textAt(body, "query.field") !== "updated_at" || textAt(body, "query.operator") !== ">") return undefined
      const dayOf = Math.floor(number(at(body, "query.value"), 0) / day)
      const size = Math.min(number(at(body, "pagination.per_page"), 50), 150)
      const after = textAt(body, "pagination.starting_after")
      const found = table("contacts")
        .since(undefined)
        .filter((row) => Math.floor(seconds(row.updated) / day) > dayOf)
      const part = after === undefined ? walks.begin(found, size) : walks.next(after, size)
      if (part === undefined) return refused(400, { type: "error.list", errors: [{ code: "parameter_invalid" }] })
      const next = part.next === undefined ? {} : { next: { page: 2, starting_after: part.next } }
      return ok({
        type: "list",
        data: part.items.map(contact),
        total_count: part.total,
        pages: { type: "pages", ...next }
      })
    }
  }
}
