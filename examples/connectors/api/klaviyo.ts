import { iso, isoZone, millisOf } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const event = (row: Row) => ({
  type: "event",
  id: `k${row.id}`,
  attributes: {
    datetime: isoZone(row.created).replace(".000+0000", "+00:00"),
    event_properties: { at: iso(row.created) }
  }
})

const filter = /^greater-or-equal\(datetime,([^)]+)\)$/u

/** developers.klaviyo.com/en/reference/get_events, /en/docs/rate_limits_and_error_handling */
export const klaviyo: StandIn = {
  file: "klaviyo-events",
  hosts: ["a.klaviyo.com"],
  env: { KLAVIYO_KEY: "pk_a" },
  access: { header: ["authorization", "Klaviyo-API-Key pk_a"] },
  errors: {
    broken: refused(503, { errors: [{ status: 503, code: "service_unavailable" }] }),
    throttled: refused(429, { errors: [{ status: 429, code: "throttled" }] }, { "retry-after": "1" }),
    denied: refused(401, { errors: [{ status: 401, code: "not_authenticated" }] })
  },
  streams: { events: { table: { rows: 900 }, record: event, brings: "additions" } },
  open: ({ table }) => {
    const walks = new Walks<Row>("bmV4d")
    return ({ headers, path, query }) => {
      if (path !== "/api/events" || headers["revision"] !== "2025-10-15" || query.get("sort") !== "datetime")
        return undefined
      const since = millisOf(filter.exec(query.get("filter") ?? "")?.[1])
      if (since === undefined) return refused(400, { errors: [{ status: 400, code: "invalid" }] })
      const cursor = query.get("page[cursor]")
      const found = table("events").made(({ created }) => created >= since)
      const part = cursor === null ? walks.begin(found, 200) : walks.next(cursor, 200)
      if (part === undefined) return refused(400, { errors: [{ status: 400, code: "invalid" }] })
      const { items, next } = part
      const to = new URLSearchParams(query)
      to.set("page[cursor]", next ?? "")
      const self = `https://a.klaviyo.com${path}`
      return ok({
        data: items.map(event),
        links: { self, next: next === undefined ? null : `${self}?${to}`, prev: null }
      })
    }
  }
}
