import { isoSeconds, millisOf, number } from "./forms.ts"
import { ok, refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const list = (row: Row) => ({ id: `list${row.id}`, name: `Audience ${row.id}` })

const member = (row: Row) => ({
  id: `m${row.id}`,
  list_id: `list${row.parent}`,
  status: row.version > 1 ? "unsubscribed" : "subscribed",
  last_changed: isoSeconds(row.updated).replace("Z", "+00:00")
})

/** mailchimp.com/developer/marketing/api/list-members, .../docs/errors */
export const mailchimp: StandIn = {
  file: "mailchimp-members",
  hosts: ["us6.api.mailchimp.com"],
  env: { MAILCHIMP_KEY: "key-us6", MAILCHIMP_CENTER: "us6" },
  access: { header: ["authorization", `Basic ${Buffer.from("any:key-us6").toString("base64")}`] },
  errors: {
    broken: refused(500, { title: "Internal Server Error", status: 500 }),
    throttled: refused(429, { title: "Too Many Requests", status: 429 }),
    denied: refused(401, { title: "API Key Invalid", status: 401 })
  },
  streams: {
    lists: { table: { rows: 3 }, record: list, brings: "everything" },
    members: { table: { rows: 3200, parents: 3 }, record: member, brings: "changes" }
  },
  open:
    ({ table }) =>
    ({ path, query }): Reply | undefined => {
      const [from, count] = [number(query.get("offset"), 0), number(query.get("count"), 10)]
      if (count > 1000) return refused(400, { title: "Invalid Resource" })
      if (path === "/3.0/lists") {
        const { rows } = table("lists")
        return ok({ lists: rows.slice(from, from + count).map(list), total_items: rows.length })
      }
      const parent = /^\/3\.0\/lists\/list(\d+)\/members$/u.exec(path)?.[1]
      if (parent === undefined) return undefined
      const found = table("members").since(millisOf(query.get("since_last_changed")), Number(parent))
      return ok({ members: found.slice(from, from + count).map(member), total_items: found.length })
    }
}
