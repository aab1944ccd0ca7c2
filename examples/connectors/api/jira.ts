import { isoZone, millisOf, number } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const project = (row: Row) => ({ id: String(10_000 + row.id), key: `P${row.id}`, name: `Project ${row.id}` })

const issue = (row: Row) => ({
  id: String(20_000 + row.id),
  key: `P${row.parent}-${row.id}`,
  fields: { summary: `Issue ${row.id}, ${row.version}`, status: { name: "Open" }, updated: isoZone(row.updated) }
})

const jql = /^project = "P(\d+)" AND updated >= "(\d{4}-\d\d-\d\d) (\d\d:\d\d)" ORDER BY updated ASC$/u

/** developer.atlassian.com/cloud/jira/platform/rest/v3: Issue search (/search/jql), Projects */
export const jira: StandIn = {
  file: "jira-issues",
  hosts: ["acme.atlassian.net"],
  env: { JIRA_SITE: "acme", JIRA_EMAIL: "a@acme.example", JIRA_TOKEN: "jira-token" },
  access: { header: ["authorization", `Basic ${Buffer.from("a@acme.example:jira-token").toString("base64")}`] },
  errors: {
    broken: refused(500, { errorMessages: ["Internal server error"] }),
    throttled: refused(429, { errorMessages: ["Rate limit exceeded."] }, { "retry-after": "1" }),
    denied: refused(401, "Client must be authenticated to access this resource.")
  },
  streams: {
    projects: { table: { rows: 7 }, record: project, brings: "everything" },
    issues: { table: { rows: 900, parents: 7 }, record: issue, brings: "changes" }
  },
  open: ({ table }) => {
    const walks = new Walks<Row>("j")
    return ({ path, query }) => {
      if (path === "/rest/api/3/project/search") {
        const rows = table("projects").rows
        const from = number(query.get("startAt"), 0)
        // Fewer than were asked for.
        const values = rows.slice(from, from + 3)
        return ok({
          startAt: from,
          maxResults: 3,
          total: rows.length,
          isLast: from + 3 >= rows.length,
          values: values.map(project)
        })
      }
      if (path !== "/rest/api/3/search/jql") return undefined
      const [, parent, day, minute] = jql.exec(query.get("jql") ?? "") ?? []
      if (parent === undefined) return refused(400, { errorMessages: ["Error in the JQL Query"] })
      // Times are those of the user, who lives where it is eight hours earlier.
      const since = (millisOf(`${day}T${minute}Z`) ?? 0) + 8 * 3_600_000
      const token = query.get("nextPageToken")
      const size = Math.min(number(query.get("maxResults"), 50), 100)
      const part =
        token === null ? walks.begin(table("issues").since(since, Number(parent)), size) : walks.next(token, size)
      if (part === undefined) return refused(400, { errorMessages: ["The nextPageToken is invalid"] })
      const rest = part.next === undefined ? { isLast: true } : { nextPageToken: part.next, isLast: false }
      return ok({ issues: part.items.map(issue), ...rest })
    }
  }
}
