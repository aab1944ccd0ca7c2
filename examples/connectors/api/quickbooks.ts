import { isoSeconds, millisOf } from "./forms.ts"
import { ok, refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const invoice = (row: Row) => ({
  Id: String(row.id),
  DocNumber: `INV-${row.id}`,
  TotalAmt: row.id * row.version,
  MetaData: { LastUpdatedTime: isoSeconds(row.updated - 8 * 3_600_000).replace("Z", "-08:00") }
})

const question =
  /^select \* from Invoice where MetaData\.LastUpdatedTime >= '([^']+)' orderby MetaData\.LastUpdatedTime startposition (\d+) maxresults (\d+)$/u

/** developer.intuit.com: Data queries */
export const quickbooks: StandIn = {
  file: "quickbooks-invoices",
  hosts: ["quickbooks.api.intuit.com"],
  env: { QUICKBOOKS_ID: "client", QUICKBOOKS_SECRET: "client-secret", QUICKBOOKS_COMPANY: "9130" },
  access: {
    oauth: {
      token: "oauth.platform.intuit.com/oauth2/v1/tokens/bearer",
      client: "basic",
      refreshToken: "QUICKBOOKS_REFRESH_TOKEN",
      rotate: true
    }
  },
  errors: {
    broken: refused(500, { Fault: { type: "SystemFault", Error: [{ code: "10000" }] } }),
    throttled: refused(429, { Fault: { type: "THROTTLED", Error: [{ code: "003001", Message: "ThrottleExceeded" }] } }),
    denied: refused(401, { fault: { type: "AUTHENTICATION", error: [{ code: "3200" }] } })
  },
  streams: { invoices: { table: { rows: 2600 }, record: invoice, brings: "changes" } },
  open:
    ({ table }) =>
    ({ path, query }): Reply | undefined => {
      if (path !== "/v3/company/9130/query") return undefined
      const [, since, start, most] = question.exec(query.get("query") ?? "") ?? []
      if (since === undefined || Number(start) < 1) {
        return refused(400, { Fault: { type: "ValidationFault", Error: [{ Message: "Error parsing query" }] } })
      }
      const from = Number(start) - 1
      const items = table("invoices")
        .since(millisOf(since))
        .slice(from, from + Math.min(Number(most), 1000))
      // Nothing found is an answer without a list.
      return ok({
        QueryResponse:
          items.length === 0 ? {} : { Invoice: items.map(invoice), startPosition: from + 1, maxResults: items.length },
        time: "2026-03-01T00:00:00Z"
      })
    }
}
