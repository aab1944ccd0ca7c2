import { at, iso, isoZone, millisOf, textAt } from "./forms.ts"
import { ok, refused, type Row, type StandIn } from "./StandIn.ts"
import { Walks } from "./Walks.ts"

const account = (row: Row) => ({
  attributes: { type: "Account", url: `/services/data/v64.0/sobjects/Account/001${row.id}` },
  Id: `001${String(row.id).padStart(15, "0")}`,
  Name: `Account ${row.id}, ${row.version}`,
  SystemModstamp: isoZone(row.updated)
})

const soql =
  /^SELECT Id, Name, SystemModstamp FROM Account WHERE SystemModstamp >= (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ORDER BY SystemModstamp$/u

const common = {
  hosts: ["acme.my.salesforce.com"],
  env: { SALESFORCE_HOST: "acme.my.salesforce.com", SALESFORCE_ID: "client", SALESFORCE_SECRET: "client-secret" },
  access: {
    oauth: {
      token: "acme.my.salesforce.com/services/oauth2/token",
      client: "post",
      manner: { answer: { isSilent: true } }
    }
  },
  errors: {
    broken: refused(503, [{ errorCode: "SERVER_UNAVAILABLE", message: "Server unavailable" }]),
    throttled: refused(503, [{ errorCode: "SERVER_UNAVAILABLE", message: "Too many requests" }], {
      "retry-after": "1"
    }),
    denied: refused(401, [{ errorCode: "INVALID_SESSION_ID", message: "Session expired or invalid" }])
  }
} satisfies Partial<StandIn>

/** developer.salesforce.com, REST API Developer Guide: Query, Status Codes and Error Responses */
export const salesforce: StandIn = {
  file: "salesforce-accounts",
  ...common,
  streams: { accounts: { table: { rows: 5300 }, record: account, brings: "changes" } },
  open: ({ table }) => {
    const walks = new Walks<Row>("01g")
    const base = "/services/data/v64.0/query"
    return ({ path, query }) => {
      const isFirst = path === base
      if (!isFirst && !path.startsWith(`${base}/`)) return undefined
      const since = soql.exec(query.get("q") ?? "")?.[1]
      if (isFirst && since === undefined) return refused(400, [{ errorCode: "MALFORMED_QUERY" }])
      const part = isFirst
        ? walks.begin(table("accounts").since(millisOf(since)), 2000)
        : walks.next(path.slice(base.length + 1), 2000)
      // A locator that has lived too long.
      if (part === undefined || part.offset >= 4000) {
        return refused(400, [{ errorCode: "INVALID_QUERY_LOCATOR", message: "invalid query locator" }])
      }
      const { items, next, total } = part
      const more = next === undefined ? { done: true } : { done: false, nextRecordsUrl: `${base}/${next}` }
      return ok({ totalSize: total, ...more, records: items.map(account) })
    }
  }
}

const lead = (row: Row) => ({
  Id: `00Q${String(row.id).padStart(15, "0")}`,
  Email: `"${row.id}, ${row.version}"@example.com`,
  CreatedDate: iso(row.created)
})

const bulkSoql = /^SELECT Id, Email, CreatedDate FROM Lead WHERE CreatedDate >= (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/u

const csv = (rows: ReadonlyArray<Row>): string =>
  [
    '"Id","Email","CreatedDate"',
    ...rows.map((row) =>
      Object.values(lead(row))
        .map((text) => `"${text.replaceAll('"', '""')}"`)
        .join(",")
    )
  ]
    .map((line) => `${line}\n`)
    .join("")

/** developer.salesforce.com, Bulk API 2.0 and Bulk API Developer Guide: query jobs, locators */
export const salesforceBulk: StandIn = {
  file: "salesforce-bulk-leads",
  ...common,
  streams: { leads: { table: { rows: 1700 }, record: lead, brings: "additions" } },
  open: ({ table }) => {
    const jobs = new Map<string, { readonly found: ReadonlyArray<Row>; asked: number }>()
    const base = "/services/data/v64.0/jobs/query"
    return ({ body, method, path, query }) => {
      if (path === base && method === "POST") {
        const since = bulkSoql.exec(textAt(body, "query") ?? "")?.[1]
        if (since === undefined || at(body, "operation") !== "query") return refused(400, [{ errorCode: "API_ERROR" }])
        const id = `750${String(jobs.size).padStart(15, "0")}`
        jobs.set(id, { found: table("leads").made(({ created }) => created >= (millisOf(since) ?? 0)), asked: 0 })
        return ok({ id, operation: "query", object: "Lead", state: "UploadComplete" })
      }
      const [, id = "", results] = /^\/(\w+)(\/results)?$/u.exec(path.slice(base.length)) ?? []
      const job = path.startsWith(base) ? jobs.get(id) : undefined
      if (job === undefined)
        return refused(404, [{ errorCode: "NOT_FOUND", message: "The requested resource does not exist" }])
      if (method === "DELETE") {
        jobs.delete(id)
        return { status: 204, body: "" }
      }
      if (results === undefined) return ok({ id, state: ++job.asked > 1 ? "JobComplete" : "InProgress" })
      // Fewer than were asked for when it likes; the last part has the text null.
      const from = Number(query.get("locator") ?? 0)
      const end = from + 600
      const locator = end < job.found.length ? String(end) : "null"
      const headers = { "content-type": "text/csv", "sforce-locator": locator }
      return { status: 200, headers, body: csv(job.found.slice(from, end)) }
    }
  }
}
