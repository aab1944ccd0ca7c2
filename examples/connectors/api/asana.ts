import { iso, millisOf, number } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const project = (row: Row) => ({ gid: `12${row.id}`, name: `Project ${row.id}`, resource_type: "project" })

const task = (row: Row) => ({
  gid: `34${row.id}`,
  name: `Task ${row.id}`,
  completed: row.version > 1,
  modified_at: iso(row.updated)
})

/** developers.asana.com/docs/pagination, /docs/errors, /docs/rate-limits */
export const asana: StandIn = {
  file: "asana-tasks",
  hosts: ["app.asana.com"],
  env: { ASANA_ID: "client", ASANA_SECRET: "client-secret", ASANA_WORKSPACE: "99" },
  access: { oauth: { token: "app.asana.com/-/oauth_token", refreshToken: "ASANA_REFRESH_TOKEN" } },
  errors: {
    broken: refused(500, { errors: [{ message: "Server Error", phrase: "6 sad squid snuggle softly" }] }),
    throttled: refused(
      429,
      { errors: [{ message: "You have made too many requests recently." }] },
      { "retry-after": "2" }
    ),
    denied: refused(401, { errors: [{ message: "Not Authorized" }] })
  },
  streams: {
    projects: { table: { rows: 4 }, record: project, brings: "everything" },
    tasks: { table: { rows: 1500, parents: 4 }, record: task, brings: "changes" }
  },
  open: ({ table }) => {
    const walks = new Walks<Row>("yJ0")
    const answer = (found: ReadonlyArray<Row>, path: string, query: URLSearchParams, show: (row: Row) => unknown) => {
      const offset = query.get("offset")
      const limit = number(query.get("limit"), 20)
      const part = offset === null ? walks.begin(found, limit) : walks.next(offset, limit)
      if (part === undefined)
        return refused(400, { errors: [{ message: "offset: Your pagination token is invalid." }] })
      const { items, next } = part
      const next_page = next === undefined ? null : { offset: next, path: `${path}?offset=${next}`, uri: "" }
      return ok({ data: items.map(show), next_page })
    }
    return ({ path, query }) => {
      if (path === "/api/1.0/projects") {
        return query.get("workspace") === "99" ? answer(table("projects").rows, path, query, project) : undefined
      }
      if (path !== "/api/1.0/tasks") return undefined
      const parent = Number((query.get("project") ?? "").replace(/^12/u, ""))
      return answer(table("tasks").since(millisOf(query.get("modified_since")), parent), path, query, task)
    }
  }
}
