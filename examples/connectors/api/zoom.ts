import { isoDay, isoSeconds, number } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const user = (row: Row) => ({ id: `u${row.id}`, email: `${row.id}@acme.example`, status: "active" })

const recording = (row: Row) => ({
  uuid: `rec${row.id}==`,
  host_id: `u${row.parent}`,
  start_time: isoSeconds(row.created),
  duration: 30
})

/** developers.zoom.us/docs/api/meetings: recordings of a user, a month at most; Server-to-Server OAuth */
export const zoom: StandIn = {
  file: "zoom-recordings",
  hosts: ["api.zoom.us"],
  env: { ZOOM_ACCOUNT: "gYz8", ZOOM_ID: "client", ZOOM_SECRET: "client-secret" },
  access: {
    oauth: {
      token: "zoom.us/oauth/token",
      client: "basic",
      manner: { ownGrants: { account_credentials: { account_id: "gYz8" } } }
    }
  },
  errors: {
    broken: refused(500, { code: 500, message: "Internal server error" }),
    throttled: refused(429, { code: 429, message: "You have reached the maximum per-second rate limit." }),
    denied: refused(401, { code: 124, message: "Invalid access token." })
  },
  streams: {
    users: { table: { rows: 3 }, record: user, brings: "everything" },
    recordings: { table: { rows: 1100, parents: 3 }, record: recording, brings: "additions" }
  },
  open: ({ table }) => {
    const walks = new Walks<Row>("z")
    const answer = (found: ReadonlyArray<Row>, query: URLSearchParams, name: string, show: (row: Row) => unknown) => {
      const token = query.get("next_page_token") ?? ""
      const size = Math.min(number(query.get("page_size"), 30), 300)
      const part = token === "" ? walks.begin(found, size) : walks.next(token, size)
      if (part === undefined) return refused(400, { code: 300, message: "The next page token is invalid or expired." })
      return ok({ page_size: size, next_page_token: part.next ?? "", [name]: part.items.map(show) })
    }
    return ({ path, query }) => {
      if (path === "/v2/users") return answer(table("users").rows, query, "users", user)
      const parent = /^\/v2\/users\/u(\d+)\/recordings$/u.exec(path)?.[1]
      if (parent === undefined) return undefined
      const [from = "", to = ""] = [query.get("from") ?? "", query.get("to") ?? ""]
      if (!/^\d{4}-\d\d-\d\d$/u.test(from) || !/^\d{4}-\d\d-\d\d$/u.test(to)) return refused(400, { code: 300 })
      // Both days are in it.
      const found = table("recordings").rows.filter(
        (row) => row.parent === Number(parent) && isoDay(row.created) >= from && isoDay(row.created) <= to
      )
      return answer(
        found.toSorted((a, b) => b.created - a.created),
        query,
        "meetings",
        recording
      )
    }
  }
}
