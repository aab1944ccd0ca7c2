import { at, iso, number, textAt } from "./forms.ts"
import { ok, refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const contact = (row: Row) => ({
  id: String(row.id),
  properties: { lastmodifieddate: iso(row.updated), email: `${row.id}@example.com` },
  createdAt: iso(row.created),
  updatedAt: iso(row.updated),
  archived: false
})

/** developers.hubspot.com, CRM search: 10,000 results of a question, changes are shown some seconds late. */
export const hubspot: StandIn = {
  file: "hubspot-contacts",
  hosts: ["api.hubapi.com"],
  env: { HUBSPOT_ID: "client", HUBSPOT_SECRET: "client-secret" },
  access: { oauth: { token: "api.hubapi.com/oauth/v1/token", client: "post", refreshToken: "HUBSPOT_REFRESH_TOKEN" } },
  errors: {
    broken: refused(502, { status: "error", message: "internal error" }),
    throttled: refused(429, { status: "error", errorType: "RATE_LIMIT", policyName: "SECONDLY" }),
    denied: refused(401, { status: "error", category: "EXPIRED_AUTHENTICATION" })
  },
  streams: { contacts: { table: { rows: 10_900 }, record: contact, brings: "changes", late: 60_000 } },
  open:
    ({ table }) =>
    ({ body, method, path }): Reply | undefined => {
      if (method !== "POST" || path !== "/crm/v3/objects/contacts/search") return undefined
      if (textAt(body, "filterGroups.0.filters.0.operator") !== "GTE") return undefined
      if (textAt(body, "sorts.0.propertyName") !== "lastmodifieddate") return undefined
      const since = number(textAt(body, "filterGroups.0.filters.0.value"), 0)
      const found = table("contacts").since(since)
      const [after, limit] = [number(at(body, "after"), 0), number(at(body, "limit"), 10)]
      if (limit > 200) return refused(400, { status: "error", message: "limit must be less than or equal to 200" })
      if (after + limit > 10_000) {
        return refused(400, {
          status: "error",
          message: "The requested offset exceeds 10000, the most that a search shows"
        })
      }
      const end = after + limit
      const paging = end < found.length ? { paging: { next: { after: String(end) } } } : {}
      return ok({ total: found.length, results: found.slice(after, end).map(contact), ...paging })
    }
}
