import { number, seconds } from "./forms.ts"
import { ok, refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const charge = (row: Row) => ({
  id: `ch_${String(row.id).padStart(6, "0")}`,
  object: "charge",
  amount: 100 * row.id,
  created: seconds(row.created)
})

/** docs.stripe.com/api/pagination, docs.stripe.com/error-handling */
export const stripe: StandIn = {
  file: "stripe-charges",
  hosts: ["api.stripe.com"],
  env: { STRIPE_KEY: "sk_test_a" },
  access: { header: ["authorization", "Bearer sk_test_a"] },
  errors: {
    broken: refused(500, { error: { type: "api_error", message: "Something went wrong on Stripe's end." } }),
    throttled: refused(429, { error: { type: "invalid_request_error", code: "rate_limit" } }),
    denied: refused(401, { error: { type: "invalid_request_error", message: "Invalid API Key provided" } })
  },
  // A charge that changes keeps its time.
  streams: { charges: { table: { rows: 450 }, record: charge, brings: "additions" } },
  open:
    ({ table }) =>
    ({ path, query }): Reply | undefined => {
      if (path !== "/v1/charges") return undefined
      const from = number(query.get("created[gte]"), 0)
      const found = table("charges")
        .made(({ created }) => seconds(created) >= from)
        .toReversed()
        .map(charge)
      const after = query.get("starting_after")
      const place = after === null ? 0 : found.findIndex(({ id }) => id === after) + 1
      if (after !== null && place === 0) return refused(400, { error: { code: "resource_missing" } })
      const end = place + number(query.get("limit"), 10)
      return ok({ object: "list", data: found.slice(place, end), has_more: end < found.length, url: "/v1/charges" })
    }
}
