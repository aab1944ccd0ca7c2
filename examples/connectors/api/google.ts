import { forgottenAfter, iso, number } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const calendars = ["primary", "team@acme.example"]

const event = (row: Row) => ({
  kind: "calendar#event",
  id: `e${row.id}`,
  status: row.version > 2 ? "cancelled" : "confirmed",
  updated: iso(row.updated),
  summary: `Event ${row.id}, ${row.version}`
})

const googleError = (code: number, reason: string) =>
  refused(code, { error: { code, errors: [{ domain: "calendar", reason }], message: reason } })

/** developers.google.com/workspace/calendar/api/guides/sync and .../errors */
export const googleCalendar: StandIn = {
  file: "google-calendar",
  hosts: ["www.googleapis.com"],
  env: { GOOGLE_ID: "client", GOOGLE_SECRET: "client-secret" },
  access: { oauth: { token: "oauth2.googleapis.com/token", client: "post", refreshToken: "GOOGLE_REFRESH_TOKEN" } },
  errors: {
    broken: googleError(500, "backendError"),
    throttled: googleError(429, "rateLimitExceeded"),
    denied: googleError(401, "authError")
  },
  streams: {
    events: {
      table: { rows: 1300, parents: 2 },
      record: (row) => ({ ...event(row), calendar: calendars[row.parent] }),
      brings: "changes",
      second: "everything"
    }
  },
  open: ({ now, table }) => {
    const walks = new Walks<Row>("p")
    const forgets = now() + forgottenAfter
    return ({ path, query }) => {
      const calendar = calendars.indexOf(/^\/calendar\/v3\/calendars\/([^/]+)\/events$/u.exec(path)?.[1] ?? "")
      if (calendar < 0) return undefined
      const token = query.get("syncToken")
      // Sync tokens do not go with parameters that select.
      if (token !== null && ["timeMin", "updatedMin", "orderBy", "q"].some((name) => query.has(name))) {
        return googleError(400, "badRequest")
      }
      const size = number(query.get("maxResults"), 250)
      const next = query.get("pageToken")
      const since = token === null ? undefined : number(token, 0)
      // Once all tokens are forgotten, as after a change of who may see the calendar.
      if (since !== undefined && since < forgets && now() >= forgets) return googleError(410, "fullSyncRequired")
      const part = next === null ? walks.begin(table("events").since(since, calendar), size) : walks.next(next, size)
      if (part === undefined) return googleError(400, "invalid")
      const rest = part.next === undefined ? { nextSyncToken: String(now()) } : { nextPageToken: part.next }
      return ok({ kind: "calendar#events", items: part.items.map(event), ...rest })
    }
  }
}
