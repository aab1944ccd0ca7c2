import { iso, millisOf, number } from "./forms.ts"
import { ok, refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const action = (row: Row) => ({
  id: `5abbe4b7${String(row.id).padStart(16, "0")}`,
  type: "updateCard",
  date: iso(row.created)
})

/** developer.atlassian.com/cloud/trello/guides/rest-api/api-introduction (paging), /rate-limits */
export const trello: StandIn = {
  file: "trello-actions",
  hosts: ["api.trello.com"],
  env: { TRELLO_KEY: "trello-key", TRELLO_TOKEN: "trello-token", TRELLO_BOARD: "b1" },
  access: { query: { key: "trello-key", token: "trello-token" } },
  errors: {
    broken: refused(500, "Internal Server Error"),
    throttled: refused(429, { error: "API_TOKEN_LIMIT_EXCEEDED", message: "Rate limit exceeded" }),
    denied: refused(401, "invalid key")
  },
  streams: { actions: { table: { rows: 3300 }, record: action, brings: "additions", late: 30_000 } },
  open:
    ({ table }) =>
    ({ path, query }): Reply | undefined => {
      if (path !== "/1/boards/b1/actions") return undefined
      const since = millisOf(query.get("since")) ?? 0
      const found = table("actions")
        .made(({ created }) => created > since)
        .toReversed()
        .map(action)
      const before = query.get("before")
      const from = before === null ? 0 : found.findIndex(({ id }) => id === before) + 1
      return ok(found.slice(from, from + Math.min(number(query.get("limit"), 50), 1000)))
    }
}
