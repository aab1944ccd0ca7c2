import { iso, millisOf, number } from "./forms.ts"
import { refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const quake = (row: Row) => ({
  time: iso(row.created),
  latitude: `${row.id % 90}.5`,
  longitude: `${row.id % 180}`,
  mag: `${4.5 + (row.version - 1) / 10}`,
  id: `us${row.id}`,
  updated: iso(row.updated),
  place: `${row.id} km N of Sand Point, Alaska`
})

const quoted = (text: string) => (/[",\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

/** earthquake.usgs.gov/fdsnws/event/1: CSV; offsets count from 1 */
export const usgs: StandIn = {
  file: "usgs-earthquakes",
  hosts: ["earthquake.usgs.gov"],
  env: {},
  access: { open: true },
  errors: {
    broken: refused(503, "Service Unavailable"),
    throttled: refused(429, "Too Many Requests", { "retry-after": "1" }),
    denied: refused(403, "Forbidden")
  },
  streams: { earthquakes: { table: { rows: 2300 }, record: quake, brings: "changes" } },
  open:
    ({ table }) =>
    ({ path, query }): Reply | undefined => {
      if (path !== "/fdsnws/event/1/query" || query.get("format") !== "csv") return undefined
      const [offset, limit] = [number(query.get("offset"), 1), number(query.get("limit"), 20_000)]
      if (offset < 1) return refused(400, "Error 400: Bad Request\n\noffset must be at least 1")
      const after = millisOf(query.get("updatedafter"))
      const found = table("earthquakes")
        .since(after)
        .toSorted((a, b) => a.created - b.created || a.id - b.id)
        .slice(offset - 1, offset - 1 + limit)
        .map(quake)
      const names = ["time", "latitude", "longitude", "mag", "id", "updated", "place"]
      const lines = found.map((row) => Object.values(row).map(quoted).join(","))
      return {
        status: 200,
        headers: { "content-type": "text/csv" },
        body: `${[names.join(","), ...lines].join("\n")}\n`
      }
    }
}
