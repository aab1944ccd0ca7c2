import { number } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const channel = (row: Row) => ({ id: `C${row.id}`, name: `channel-${row.id}`, is_channel: true })

/** Seconds with six decimals. */
const stamp = (row: Row) =>
  `${Math.floor(row.created / 1000)}.${String((row.created % 1000) * 1000 + row.id).padStart(6, "0")}`

const message = (row: Row) => ({ type: "message", user: "U1", text: `Message ${row.id}`, ts: stamp(row) })

/** docs.slack.dev/reference/methods/conversations.history, docs.slack.dev/apis/web-api/rate-limits: errors have status 200. */
export const slack: StandIn = {
  file: "slack-messages",
  hosts: ["slack.com"],
  env: { SLACK_ID: "client", SLACK_SECRET: "client-secret" },
  access: {
    oauth: {
      token: "slack.com/api/oauth.v2.access",
      client: "post",
      refreshToken: "SLACK_REFRESH_TOKEN",
      rotate: true,
      manner: { scopeSeparator: "," }
    }
  },
  errors: {
    broken: refused(500, "upstream error"),
    throttled: refused(429, { ok: false, error: "ratelimited" }, { "retry-after": "1" }),
    denied: ok({ ok: false, error: "token_expired" })
  },
  streams: {
    channels: { table: { rows: 5 }, record: channel, brings: "everything" },
    messages: {
      table: { rows: 1900, parents: 5 },
      record: (row) => ({ ...message(row), channel: `C${row.parent}` }),
      // Messages that were edited keep their ts.
      brings: "additions"
    }
  },
  open: ({ table }) => {
    const walks = new Walks<Row>("dXN")
    const answer = (found: ReadonlyArray<Row>, query: URLSearchParams, name: string, show: (row: Row) => unknown) => {
      const cursor = query.get("cursor") ?? ""
      const limit = Math.min(number(query.get("limit"), 100), 999)
      const part = cursor === "" ? walks.begin(found, limit) : walks.next(cursor, limit)
      if (part === undefined) return ok({ ok: false, error: "invalid_cursor" })
      const has_more = part.next !== undefined
      return ok({
        ok: true,
        [name]: part.items.map(show),
        has_more,
        response_metadata: { next_cursor: part.next ?? "" }
      })
    }
    return ({ path, query }) => {
      if (path === "/api/conversations.list") return answer(table("channels").rows, query, "channels", channel)
      if (path !== "/api/conversations.history") return undefined
      const id = query.get("channel") ?? ""
      // Only messages after `oldest`, the newest first.
      const oldest = number(query.get("oldest"), 0)
      const found = table("messages").made((row) => `C${row.parent}` === id && Number(stamp(row)) > oldest)
      return answer(found.toReversed(), query, "messages", message)
    }
  }
}
