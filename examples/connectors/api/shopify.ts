import { isoSeconds, millisOf, number } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const order = (row: Row) => ({
  id: 5_000_000_000_000 + row.id,
  name: `#${row.id}`,
  total_price: `${row.id}.50`,
  updated_at: isoSeconds(row.updated).replace("Z", "+00:00")
})

/** shopify.dev/docs/api/admin-rest: pagination by page_info, call limit */
export const shopify: StandIn = {
  file: "shopify-orders",
  hosts: ["acme.myshopify.com"],
  env: { SHOPIFY_SHOP: "acme", SHOPIFY_TOKEN: "shpat_a" },
  access: { header: ["x-shopify-access-token", "shpat_a"] },
  errors: {
    broken: refused(502, "<html><title>502 Bad Gateway</title></html>", { "content-type": "text/html" }),
    throttled: refused(429, { errors: "Exceeded 2 calls per second for api client." }, { "retry-after": "2.0" }),
    denied: refused(401, { errors: "[API] Invalid API key or access token" })
  },
  streams: { orders: { table: { rows: 1100 }, record: order, brings: "changes" } },
  open: ({ table }) => {
    const walks = new Walks<Row>("eyJ")
    const base = "/admin/api/2026-01/orders.json"
    return ({ path, query }) => {
      if (path !== base) return undefined
      const info = query.get("page_info")
      // A page's address may not have anything but limit and fields beside it.
      if (info !== null && [...query.keys()].some((name) => name !== "page_info" && name !== "limit")) {
        return refused(400, { errors: { page_info: "Invalid value." } })
      }
      if (info === null && query.get("status") !== "any") return undefined
      const limit = number(query.get("limit"), 50)
      const found = table("orders").since(millisOf(query.get("updated_at_min")))
      const part = info === null ? walks.begin(found, limit) : walks.next(info, limit)
      if (part === undefined) return refused(400, { errors: { page_info: "Invalid value." } })
      const to = (rel: string, cursor: string) =>
        `<https://acme.myshopify.com${base}?limit=${limit}&page_info=${cursor}>; rel="${rel}"`
      const links = [
        ...(part.offset > 0 ? [to("previous", "x")] : []),
        ...(part.next === undefined ? [] : [to("next", part.next)])
      ]
      return ok(
        { orders: part.items.map(order) },
        { "x-shopify-shop-api-call-limit": "1/40", ...(links.length === 0 ? {} : { link: links.join(", ") }) }
      )
    }
  }
}
