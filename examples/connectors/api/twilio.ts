import { DateTime } from "effect"
import { isoDay, number } from "./forms.ts"
import { ok, refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const rfc2822 = (millis: number) =>
  DateTime.toDateUtc(DateTime.makeUnsafe(millis)).toUTCString().replace("GMT", "+0000")

const message = (row: Row) => ({
  sid: `SM${String(row.id).padStart(32, "0")}`,
  body: `Message ${row.id}`,
  date_sent: rfc2822(row.created)
})

const base = "/2010-04-01/Accounts/AC1/Messages.json"

/** twilio.com/docs/messaging/api/message-resource, /docs/usage/twilios-response (paging) */
export const twilio: StandIn = {
  file: "twilio-messages",
  hosts: ["api.twilio.com"],
  env: { TWILIO_ACCOUNT: "AC1", TWILIO_TOKEN: "twilio-token" },
  access: { header: ["authorization", `Basic ${Buffer.from("AC1:twilio-token").toString("base64")}`] },
  errors: {
    broken: refused(503, { code: 20_503, message: "Service unavailable" }),
    throttled: refused(429, { code: 20_429, message: "Too Many Requests", status: 429 }),
    denied: refused(401, { code: 20_003, message: "Authenticate", status: 401 })
  },
  streams: { messages: { table: { rows: 3100 }, record: message, brings: "additions" } },
  open:
    ({ table }) =>
    ({ path, query }): Reply | undefined => {
      if (path !== base) return undefined
      const from = query.get("DateSent>") ?? ""
      const found = table("messages")
        .made(({ created }) => isoDay(created) >= from)
        .toReversed()
      const [page, size] = [number(query.get("Page"), 0), Math.min(number(query.get("PageSize"), 50), 1000)]
      const end = (page + 1) * size
      const next = new URLSearchParams(query)
      next.set("Page", String(page + 1))
      next.set("PageToken", `PASM${end}`)
      return ok({
        messages: found.slice(page * size, end).map(message),
        next_page_uri: end < found.length ? `${base}?${next}` : null,
        page
      })
    }
}
