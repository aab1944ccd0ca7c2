import { number } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"

const event = (row: Row) => ({ id: `event-${row.id}`, event: "delivered", timestamp: row.created / 1000 + 0.000_123 })

/** documentation.mailgun.com, Events: pages go on for ever, events come late */
export const mailgun: StandIn = {
  file: "mailgun-events",
  hosts: ["api.mailgun.net"],
  env: { MAILGUN_KEY: "mailgun-key", MAILGUN_DOMAIN: "mg.acme.example" },
  access: { header: ["authorization", `Basic ${Buffer.from("api:mailgun-key").toString("base64")}`] },
  errors: {
    broken: refused(500, { message: "Internal Server Error" }),
    throttled: refused(
      429,
      { message: "Too many requests" },
      { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1" }
    ),
    denied: refused(401, "Forbidden")
  },
  streams: { events: { table: { rows: 1300 }, record: event, brings: "additions", late: 20 * 60_000 } },
  open: ({ table }) => {
    const page = (question: URLSearchParams, from: number) => {
      const begin = number(question.get("begin"), 0)
      const found = table("events").made((row) => event(row).timestamp >= begin)
      const size = Math.min(number(question.get("limit"), 100), 300)
      const token = Buffer.from(JSON.stringify([question.toString(), Math.min(from + size, found.length)])).toString(
        "base64url"
      )
      const next = `https://api.mailgun.net/v3/mg.acme.example/events/${token}`
      return ok({ items: found.slice(from, from + size).map(event), paging: { previous: next, next } })
    }
    return ({ path, query }) => {
      const base = "/v3/mg.acme.example/events"
      if (path === base) return query.get("ascending") === "yes" ? page(query, 0) : undefined
      if (!path.startsWith(`${base}/`)) return undefined
      const [question, from]: [string, number] = JSON.parse(
        Buffer.from(path.slice(base.length + 1), "base64url").toString()
      )
      return page(new URLSearchParams(question), from)
    }
  }
}
