import { isoSeconds, number } from "./forms.ts"
import { refused, type Reply, type Row, type StandIn } from "./StandIn.ts"

const paper = (row: Row) => ({
  id: `http://arxiv.org/abs/2601.${String(row.id).padStart(5, "0")}v${row.version}`,
  updated: isoSeconds(row.updated),
  published: isoSeconds(row.created),
  title: `Planets & their stars, part ${row.id}`
})

const element = (name: string, text: string) => `<${name}>${text.replaceAll("&", "&amp;")}</${name}>`

/** info.arxiv.org/help/api/user-manual.html: Atom, newest first */
export const arxiv: StandIn = {
  file: "arxiv-papers",
  hosts: ["export.arxiv.org"],
  env: {},
  access: { open: true },
  errors: {
    broken: refused(503, "Rate exceeded."),
    throttled: refused(429, "Rate exceeded."),
    denied: refused(403, "Forbidden")
  },
  streams: { papers: { table: { rows: 1100 }, record: paper, brings: "changes" } },
  open:
    ({ table }) =>
    ({ path, query }): Reply | undefined => {
      if (path !== "/api/query" || query.get("sortBy") !== "lastUpdatedDate") return undefined
      const [start, most] = [number(query.get("start"), 0), number(query.get("max_results"), 10)]
      const found = table("papers").since(undefined).toReversed()
      const entries = found.slice(start, start + most).map((row) => {
        const members = Object.entries(paper(row)).map(([name, text]) => element(name, text))
        return `<entry>${members.join("")}</entry>`
      })
      const total = `<opensearch:totalResults>${found.length}</opensearch:totalResults>`
      return {
        status: 200,
        headers: { "content-type": "application/atom+xml" },
        body: `<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">${total}${entries.join("")}</feed>\n`
      }
    }
}
