import { iso, millisOf, number } from "./forms.ts"
import { ok, refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const project = (row: Row) => ({ id: row.id + 1, path_with_namespace: `acme/p${row.id}` })

const issue = (row: Row) => ({
  id: 7000 + row.id,
  project_id: row.parent + 1,
  title: `Issue ${row.id}, ${row.version}`,
  updated_at: iso(row.updated)
})

/** docs.gitlab.com/api/rest/#pagination: keyset by Link, else pages whose number a header names */
export const gitlab: StandIn = {
  file: "gitlab-issues",
  hosts: ["gitlab.com"],
  env: { GITLAB_TOKEN: "glpat-a" },
  access: { header: ["private-token", "glpat-a"] },
  errors: {
    broken: refused(502, "<html><head><title>GitLab is not responding (502)</title></head></html>"),
    throttled: refused(429, "Retry later", { "retry-after": "1", "ratelimit-remaining": "0" }),
    denied: refused(401, { message: "401 Unauthorized" })
  },
  streams: {
    projects: { table: { rows: 115 }, record: project, brings: "everything" },
    issues: { table: { rows: 1500, parents: 115 }, record: issue, brings: "changes" }
  },
  open:
    ({ table }) =>
    ({ path, query }): Reply | undefined => {
      const size = number(query.get("per_page"), 20)
      if (path === "/api/v4/projects") {
        if (query.get("pagination") !== "keyset" || query.get("order_by") !== "id") return undefined
        const found = table("projects").rows.filter(({ id }) => id + 1 > number(query.get("id_after"), 0))
        const items = found.slice(0, size)
        const next = new URLSearchParams(query)
        next.set("id_after", String((items.at(-1)?.id ?? 0) + 1))
        return ok(
          items.map(project),
          found.length > size ? { link: `<https://gitlab.com${path}?${next}>; rel="next"` } : {}
        )
      }
      const parent = /^\/api\/v4\/projects\/(\d+)\/issues$/u.exec(path)?.[1]
      if (parent === undefined) return undefined
      const found = table("issues").since(millisOf(query.get("updated_after")), Number(parent) - 1)
      const page = number(query.get("page"), 1)
      const next = page * size < found.length ? String(page + 1) : ""
      return ok(found.slice((page - 1) * size, page * size).map(issue), { "x-page": String(page), "x-next-page": next })
    }
}
