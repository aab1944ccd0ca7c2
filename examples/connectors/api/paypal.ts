import { isoSeconds, millisOf, number } from "./forms.ts"
import { ok, refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const transaction = (row: Row) => ({
  transaction_info: {
    transaction_id: `5TY${row.id}`,
    transaction_initiation_date: isoSeconds(row.created).replace("Z", "+0000"),
    transaction_amount: { currency_code: "EUR", value: `${row.id}.00` }
  }
})

/** developer.paypal.com/docs/api/transaction-search/v1: 31 days at most, shown up to three hours late */
export const paypal: StandIn = {
  file: "paypal-transactions",
  hosts: ["api-m.paypal.com"],
  env: { PAYPAL_ID: "client", PAYPAL_SECRET: "client-secret" },
  access: { oauth: { token: "api-m.paypal.com/v1/oauth2/token", client: "basic" } },
  errors: {
    broken: refused(500, { name: "INTERNAL_SERVER_ERROR" }),
    throttled: refused(429, { name: "RATE_LIMIT_REACHED" }),
    denied: refused(401, { error: "invalid_token", error_description: "Token signature verification failed" })
  },
  streams: { transactions: { table: { rows: 1700 }, record: transaction, brings: "additions", late: 2 * 3_600_000 } },
  open:
    ({ table }) =>
    ({ path, query }): Reply | undefined => {
      if (path !== "/v1/reporting/transactions") return undefined
      const [start, end] = [millisOf(query.get("start_date")), millisOf(query.get("end_date"))]
      if (start === undefined || end === undefined || end - start > 31 * 86_400_000) {
        return refused(400, { name: "INVALID_REQUEST", message: "Date range is greater than 31 days" })
      }
      // Both ends are in it.
      const found = table("transactions").made(({ created }) => created >= start && created <= end)
      const [page, size] = [number(query.get("page"), 1), number(query.get("page_size"), 100)]
      const items = found.slice((page - 1) * size, page * size)
      return ok({
        transaction_details: items.map(transaction),
        page,
        total_items: found.length,
        total_pages: Math.ceil(found.length / size)
      })
    }
}
