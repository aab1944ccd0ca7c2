import { at, iso, millisOf, number, textAt } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const order = (row: Row) => ({
  id: `CAISE${row.id}`,
  location_id: "L1",
  version: row.version,
  updated_at: iso(row.updated)
})

/** developer.squareup.com/reference/square/orders-api/search-orders, /docs/build-basics/common-api-patterns/pagination */
export const square: StandIn = {
  file: "square-orders",
  hosts: ["connect.squareup.com"],
  env: { SQUARE_ID: "client", SQUARE_SECRET: "client-secret", SQUARE_LOCATION: "L1" },
  access: {
    oauth: {
      token: "connect.squareup.com/oauth2/token",
      refreshToken: "SQUARE_REFRESH_TOKEN",
      manner: { body: "json", answer: { expires: "expires_at" } }
    }
  },
  errors: {
    broken: refused(500, { errors: [{ category: "API_ERROR", code: "INTERNAL_SERVER_ERROR" }] }),
    throttled: refused(429, { errors: [{ category: "RATE_LIMIT_ERROR", code: "RATE_LIMITED" }] }),
    denied: refused(401, { errors: [{ category: "AUTHENTICATION_ERROR", code: "ACCESS_TOKEN_EXPIRED" }] })
  },
  streams: { orders: { table: { rows: 2100 }, record: order, brings: "changes" } },
  open: ({ table }) => {
    const walks = new Walks<Row>("q")
    return ({ body, method, path }) => {
      if (method !== "POST" || path !== "/v2/orders/search" || textAt(body, "location_ids.0") !== "L1") return undefined
      if (textAt(body, "query.sort.sort_field") !== "UPDATED_AT") return undefined
      const since = millisOf(textAt(body, "query.filter.date_time_filter.updated_at.start_at"))
      const cursor = textAt(body, "cursor")
      const size = Math.min(number(at(body, "limit"), 500), 1000)
      const part = cursor === undefined ? walks.begin(table("orders").since(since), size) : walks.next(cursor, size)
      if (part === undefined) return refused(400, { errors: [{ code: "INVALID_CURSOR" }] })
      const { items, next } = part
      // Nothing found is an empty object.
      return ok({
        ...(items.length === 0 ? {} : { orders: items.map(order) }),
        ...(next === undefined ? {} : { cursor: next })
      })
    }
  }
}
