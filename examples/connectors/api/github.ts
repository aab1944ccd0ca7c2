import { isoSeconds, millisOf, number, textAt } from "./forms.ts"
import { ok, refused, type Reply, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const repos = ["shop", "site"]

const errors = {
  broken: refused(502, { message: "Server Error" }),
  // docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api: a used-up limit is a 403.
  throttled: refused(
    403,
    { message: "You have exceeded a secondary rate limit.", documentation_url: "https://docs.github.com/" },
    { "retry-after": "1", "x-ratelimit-remaining": "0" }
  ),
  denied: refused(401, { message: "Bad credentials" })
}
const access = { header: ["authorization", "Bearer github-token"] } as const
const env = { GITHUB_TOKEN: "github-token" }
const hosts = ["api.github.com"]

const issue = (row: Row) => ({
  id: 1_000_000 + row.id,
  number: row.id,
  title: `Issue ${row.id}, ${row.version}`,
  updated_at: isoSeconds(row.updated)
})

export const githubIssues: StandIn = {
  file: "github-issues",
  hosts,
  env,
  access,
  errors,
  streams: { issues: { table: { rows: 530, parents: 2 }, record: issue, brings: "changes" } },
  open:
    ({ table }) =>
    ({ headers, path, query }): Reply | undefined => {
      const repo = repos.indexOf(/^\/repos\/acme\/(\w+)\/issues$/u.exec(path)?.[1] ?? "")
      if (repo < 0 || headers["accept"] !== "application/vnd.github+json") return undefined
      if (query.get("state") !== "all" || query.get("sort") !== "updated") return undefined
      // Whole seconds.
      const since = millisOf(query.get("since"))
      const found = table("issues").since(since, repo)
      const [page, size] = [number(query.get("page"), 1), number(query.get("per_page"), 30)]
      const next = new URLSearchParams([...query].filter(([name]) => name !== "page"))
      next.set("page", String(page + 1))
      const isLast = page * size >= found.length
      const url = `https://api.github.com/repositories/${repo}/issues`
      const here = `https://api.github.com${path}`
      return ok(
        found.slice((page - 1) * size, page * size).map(issue),
        isLast ? {} : { link: `<${here}?${next}>; rel="next", <${url}?page=9>; rel="last"` }
      )
    }
}

const pull = (row: Row) => ({
  id: `PR_${row.id}`,
  number: row.id,
  title: `Pull request ${row.id}`,
  state: row.version > 1 ? "MERGED" : "OPEN",
  updatedAt: isoSeconds(row.updated)
})

export const githubPullRequests: StandIn = {
  file: "github-pull-requests",
  hosts,
  env,
  access,
  errors: {
    ...errors,
    // A used-up limit of GraphQL is an error in an answer with status 200.
    throttled: ok({ errors: [{ type: "RATE_LIMITED", message: "API rate limit exceeded" }] })
  },
  streams: { pull_requests: { table: { rows: 420 }, record: pull, brings: "changes" } },
  open: ({ table }) => {
    const walks = new Walks<Row>("Y3Vyc29y")
    return ({ body, method, path }) => {
      if (method !== "POST" || path !== "/graphql") return undefined
      if (textAt(body, "variables.owner") !== "acme" || textAt(body, "variables.name") !== "shop") return undefined
      const after = textAt(body, "variables.after")
      const part =
        after === undefined
          ? walks.begin(table("pull_requests").since(undefined).toReversed(), 100)
          : walks.next(after, 100)
      if (part === undefined) return ok({ data: { repository: null }, errors: [{ type: "INVALID_CURSOR_ARGUMENTS" }] })
      const pageInfo = { endCursor: part.next ?? "end", hasNextPage: part.next !== undefined }
      return ok({ data: { repository: { pullRequests: { nodes: part.items.map(pull), pageInfo } } } })
    }
  }
}
