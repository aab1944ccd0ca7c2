import { iso, millisOf, number } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const order = (row: Row) => ({
  id: `rec${String(row.id).padStart(14, "0")}`,
  createdTime: iso(row.created),
  fields: { Name: `Order ${row.id}, ${row.version}`, Modified: iso(row.updated) }
})

const formula = /^NOT\(IS_BEFORE\(\{Modified\}, '([^']+)'\)\)$/u

/** airtable.com/developers/web/api/list-records, /errors */
export const airtable: StandIn = {
  file: "airtable-orders",
  hosts: ["api.airtable.com"],
  env: { AIRTABLE_ID: "client", AIRTABLE_SECRET: "client-secret", AIRTABLE_BASE: "appA" },
  access: {
    oauth: {
      token: "airtable.com/oauth2/v1/token",
      client: "basic",
      refreshToken: "AIRTABLE_REFRESH_TOKEN",
      rotate: true
    }
  },
  errors: {
    broken: refused(503, { error: "SERVICE_UNAVAILABLE" }),
    throttled: refused(429, { errors: [{ error: "RATE_LIMIT_REACHED" }] }, { "retry-after": "3" }),
    denied: refused(401, { error: { type: "AUTHENTICATION_REQUIRED" } })
  },
  streams: { orders: { table: { rows: 640 }, record: order, brings: "changes" } },
  open: ({ table }) => {
    const walks = new Walks<Row>("itr")
    return ({ path, query }) => {
      if (path !== "/v0/appA/Orders" || query.get("sort[0][field]") !== "Modified") return undefined
      const since = formula.exec(query.get("filterByFormula") ?? "")?.[1]
      if (since === undefined) return refused(422, { error: { type: "INVALID_FILTER_BY_FORMULA" } })
      const offset = query.get("offset")
      const size = number(query.get("pageSize"), 100)
      const part =
        offset === null ? walks.begin(table("orders").since(millisOf(since)), size) : walks.next(offset, size)
      if (part === undefined || part.offset >= 300) {
        return refused(422, { error: { type: "LIST_RECORDS_ITERATOR_NOT_AVAILABLE" } })
      }
      return ok({ records: part.items.map(order), ...(part.next === undefined ? {} : { offset: part.next }) })
    }
  }
}
