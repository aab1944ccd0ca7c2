import { millisOf, number } from "./forms.ts"
import { ok, refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const invoice = (row: Row) => ({
  InvoiceID: `243216c5-369e-4056-ac67-${String(row.id).padStart(12, "0")}`,
  Total: row.id * row.version,
  UpdatedDateUTC: `/Date(${row.updated}+0000)/`
})

/** developer.xero.com/documentation/api/accounting/requests-and-responses, /oauth2/limits */
export const xero: StandIn = {
  file: "xero-invoices",
  hosts: ["api.xero.com"],
  env: { XERO_ID: "client", XERO_SECRET: "client-secret" },
  access: { oauth: { token: "identity.xero.com/connect/token", client: "basic" } },
  errors: {
    broken: refused(503, { Title: "The Xero API is currently offline" }),
    throttled: refused(429, "", { "retry-after": "1", "x-rate-limit-problem": "minute" }),
    denied: refused(401, { Title: "Unauthorized", Detail: "TokenExpired" })
  },
  streams: { invoices: { table: { rows: 730 }, record: invoice, brings: "changes" } },
  open:
    ({ table }) =>
    ({ headers, path, query }): Reply | undefined => {
      if (path !== "/api.xro/2.0/Invoices" || query.get("order") !== "UpdatedDateUTC") return undefined
      const text = headers["if-modified-since"]
      const found = table("invoices").since(text === undefined ? undefined : millisOf(`${text}Z`))
      const [page, size] = [number(query.get("page"), 1), number(query.get("pageSize"), 100)]
      return ok({ Status: "OK", Invoices: found.slice((page - 1) * size, page * size).map(invoice) })
    }
}
