import { forgottenAfter, number } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const user = (row: Row) => ({
  id: `00000000-0000-4000-8000-${String(row.id).padStart(12, "0")}`,
  displayName: `User ${row.id}, ${row.version}`,
  mail: `${row.id}@contoso.example`
})

/** learn.microsoft.com/graph/delta-query-overview, .../throttling */
export const microsoftGraph: StandIn = {
  file: "microsoft-graph-users",
  hosts: ["graph.microsoft.com"],
  env: { ENTRA_TENANT: "contoso.onmicrosoft.com", ENTRA_ID: "client", ENTRA_SECRET: "client-secret" },
  access: {
    oauth: { token: "login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token", client: "post" }
  },
  errors: {
    broken: refused(503, { error: { code: "serviceNotAvailable" } }),
    throttled: refused(429, { error: { code: "TooManyRequests" } }, { "retry-after": "2" }),
    denied: refused(401, { error: { code: "InvalidAuthenticationToken" } })
  },
  streams: { users: { table: { rows: 730 }, record: user, brings: "changes", second: "everything" } },
  open: ({ now, table }) => {
    const walks = new Walks<Row>("s")
    const base = "https://graph.microsoft.com/v1.0/users/delta"
    const forgets = now() + forgottenAfter
    return ({ path, query }) => {
      if (path !== "/v1.0/users/delta") return undefined
      const delta = query.get("$deltatoken")
      const skip = query.get("$skiptoken")
      if (delta === null && skip === null && query.get("$select") !== "id,displayName,mail") return undefined
      const since = delta === null ? undefined : number(delta, 0)
      // Those of users live for seven days.
      if (since !== undefined && since < forgets && now() >= forgets) {
        return refused(400, {
          error: { code: "syncStateNotFound", message: "The sync state generation is not found." }
        })
      }
      const part = skip === null ? walks.begin(table("users").since(since), 200) : walks.next(skip, 200)
      if (part === undefined) return refused(400, { error: { code: "badRequest" } })
      const rest =
        part.next === undefined
          ? { "@odata.deltaLink": `${base}?$deltatoken=${now()}` }
          : { "@odata.nextLink": `${base}?$skiptoken=${part.next}` }
      return ok({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users",
        value: part.items.map(user),
        ...rest
      })
    }
  }
}
