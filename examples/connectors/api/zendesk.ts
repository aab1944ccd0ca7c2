import { isoSeconds, number, seconds } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"

const ticket = (row: Row) => ({
  id: row.id,
  subject: `Ticket ${row.id}, ${row.version}`,
  updated_at: isoSeconds(row.updated)
})

/** developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports */
export const zendesk: StandIn = {
  file: "zendesk-tickets",
  hosts: ["acme.zendesk.com"],
  env: { ZENDESK_SUBDOMAIN: "acme", ZENDESK_ID: "client", ZENDESK_SECRET: "client-secret" },
  access: {
    oauth: { token: "acme.zendesk.com/oauth/tokens", refreshToken: "ZENDESK_REFRESH_TOKEN", rotate: true }
  },
  errors: {
    broken: refused(500, { error: "InternalServerError" }),
    throttled: refused(429, { error: "APIRateLimitExceeded" }, { "retry-after": "6" }),
    denied: refused(401, { error: "invalid_token", error_description: "The access token provided is expired" })
  },
  streams: { tickets: { table: { rows: 4700 }, record: ticket, brings: "changes" } },
  open:
    ({ now, table }) =>
    ({ path, query }) => {
      if (path !== "/api/v2/incremental/tickets/cursor.json") return undefined
      const cursor = query.get("cursor")
      if (cursor === null && !query.has("start_time")) return refused(422, { error: "start_time is missing" })
      if (cursor === null && number(query.get("start_time"), 0) > seconds(now()) - 60) {
        return refused(422, { error: "StartTimeTooRecent" })
      }
      // The cursor is the place of the last change that was sent: time and number.
      const [time, id] =
        cursor === null
          ? [number(query.get("start_time"), 0) * 1000, -1]
          : Buffer.from(cursor, "base64").toString().split("|").map(Number)
      const found = table("tickets")
        .since(undefined)
        .filter((row: Row) => row.updated > (time ?? 0) || (row.updated === time && row.id > (id ?? -1)))
      const items = found.slice(0, 1000)
      const last = items.at(-1)
      const after = last === undefined ? (cursor ?? "") : Buffer.from(`${last.updated}|${last.id}`).toString("base64")
      return ok({
        tickets: items.map(ticket),
        after_url: `https://acme.zendesk.com${path}?cursor=${encodeURIComponent(after)}`,
        after_cursor: after,
        end_of_stream: found.length <= 1000
      })
    }
}
