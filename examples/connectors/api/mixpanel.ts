import { isoDay, seconds } from "./forms.ts"
import { refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const event = (row: Row) => ({
  event: "Signed up",
  properties: { time: seconds(row.created), distinct_id: `d${row.id}`, $insert_id: `i${row.id}` }
})

/** developer.mixpanel.com/reference/raw-event-export: lines of JSON, both days with them */
export const mixpanel: StandIn = {
  file: "mixpanel-events",
  hosts: ["data.mixpanel.com"],
  env: { MIXPANEL_USER: "robot", MIXPANEL_SECRET: "mixpanel-secret", MIXPANEL_PROJECT: "7" },
  access: { header: ["authorization", `Basic ${Buffer.from("robot:mixpanel-secret").toString("base64")}`] },
  errors: {
    broken: refused(500, { status: "error", error: "Internal server error" }),
    throttled: refused(429, { error: "rate limit exceeded" }),
    denied: refused(401, { error: "Invalid service account credentials", status: "error" })
  },
  streams: { events: { table: { rows: 2400 }, record: event, brings: "additions" } },
  open:
    ({ table }) =>
    ({ path, query }): Reply | undefined => {
      if (path !== "/api/2.0/export" || query.get("project_id") !== "7") return undefined
      const [from = "", to = ""] = [query.get("from_date") ?? "", query.get("to_date") ?? ""]
      if (from === "" || to < from) return refused(400, { error: "to_date must not be before from_date" })
      const lines = table("events")
        .rows.filter(({ created }) => isoDay(created) >= from && isoDay(created) <= to)
        .map((row) => JSON.stringify(event(row)))
      return { status: 200, headers: { "content-type": "text/plain" }, body: lines.map((line) => `${line}\n`).join("") }
    }
}
