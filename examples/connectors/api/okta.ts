import { iso, millisOf, number } from "./forms.ts"
import { ok, refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const log = (row: Row) => ({ uuid: `okta-${row.id}`, eventType: "user.session.start", published: iso(row.created) })

/** developer.okta.com/docs/reference/api/system-log: polling; a next link is always there */
export const okta: StandIn = {
  file: "okta-logs",
  hosts: ["acme.okta.com"],
  env: { OKTA_DOMAIN: "acme.okta.com", OKTA_TOKEN: "okta-token" },
  access: { header: ["authorization", "SSWS okta-token"] },
  errors: {
    broken: refused(500, { errorCode: "E0000009", errorSummary: "Internal Server Error" }),
    throttled: refused(
      429,
      { errorCode: "E0000047", errorSummary: "API call exceeded rate limit due to too many requests." },
      { "x-rate-limit-remaining": "0", "x-rate-limit-reset": "1" }
    ),
    denied: refused(401, { errorCode: "E0000011", errorSummary: "Invalid token provided" })
  },
  streams: { logs: { table: { rows: 3300 }, record: log, brings: "additions", late: 30_000 } },
  open:
    ({ table }) =>
    ({ path, query }): Reply | undefined => {
      if (path !== "/api/v1/logs" || query.get("sortOrder") !== "ASCENDING") return undefined
      const since = millisOf(query.get("since")) ?? 0
      const found = table("logs").made(({ created }) => created >= since)
      const from = number(query.get("after"), 0)
      const items = found.slice(from, from + number(query.get("limit"), 100))
      const next = new URLSearchParams(query)
      next.set("after", String(from + items.length))
      const here = `https://acme.okta.com${path}`
      return ok(items.map(log), { link: `<${here}?${query}>; rel="self", <${here}?${next}>; rel="next"` })
    }
}
