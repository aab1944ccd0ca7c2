import type { IncomingMessage, ServerResponse } from "node:http"
import { gzipSync } from "node:zlib"
import { Effect } from "effect"
import { serve } from "./harness.ts"

/** A job as the stand-in keeps it. */
interface Made {
  readonly id: string
  readonly key: string
  readonly from: string | null
  polls: number
  deleted: boolean
  cancelled: boolean
}

export interface JobApiSettings {
  /** Questions until a job is done. */
  readonly polls?: number
  /** Status that a job has in the end; of the first jobs those that are listed. */
  readonly ends?: ReadonlyArray<string>
  /** Names of the records of each file of a job. */
  readonly files?: (job: Made) => ReadonlyArray<ReadonlyArray<string>>
  /** How often a link is good for. */
  readonly linkUses?: number
  /** Bytes after which the first downloads break off. */
  readonly breaks?: number
  readonly retryAfter?: number
  /** Files are not packed. */
  readonly isPlain?: boolean
}

const bodyOf = (request: IncomingMessage): Promise<string> =>
  new Promise((resolve) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => resolve(Buffer.concat(chunks).toString()))
  })

const isAsking = (value: unknown): value is { readonly from?: string } => typeof value === "object" && value !== null

/**
 * An API of reports: made once per idempotency key, done after some questions, with files at a storage of its own, which refuses
 * credentials and links that were used up.
 */
export const jobApi = (settings: JobApiSettings = {}) =>
  Effect.gen(function* () {
    const jobs: Array<Made> = []
    const links = new Map<string, number>()
    const log: Array<string> = []
    let breaks = settings.breaks === undefined ? 0 : 1
    const filesOf = (job: Made) => settings.files?.(job) ?? [["a", "b"], ["c"]]
    const storage = yield* serve((request, response) => {
      const url = new URL(request.url ?? "", "http://x")
      log.push(`${request.method} storage${url.pathname}`)
      if (request.headers.authorization !== undefined || request.headers["x-key"] !== undefined) {
        response.writeHead(400).end("Only one way of authorization is allowed.")
        return
      }
      const left = links.get(url.searchParams.get("sig") ?? "") ?? 0
      if (left <= 0) {
        response.writeHead(403).end("Request has expired")
        return
      }
      links.set(url.searchParams.get("sig") ?? "", left - 1)
      const [, id, file] = url.pathname.split("/")
      const job = jobs.find((known) => known.id === id)
      const names = job === undefined ? [] : (filesOf(job)[Number(file)] ?? [])
      const lines = names.map((name) => `{"id":"${name}"}\n`).join("")
      const body = settings.isPlain === true ? Buffer.from(lines) : gzipSync(lines)
      if (breaks-- > 0) {
        response.writeHead(200, { "content-length": body.length })
        response.write(body.subarray(0, Math.min(settings.breaks ?? 0, body.length - 1)), () => response.destroy())
        return
      }
      response.end(body)
    })
    let signature = 0
    const answer = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) => {
      response.writeHead(status, { "content-type": "application/json", ...headers })
      response.end(JSON.stringify(body))
    }
    const url = yield* serve((request, response) => {
      void bodyOf(request).then((body) => {
        const path = new URL(request.url ?? "", "http://x").pathname
        log.push(`${request.method} ${path}`)
        if (request.headers["x-key"] !== "key-of-the-shop-42") return answer(response, 401, { error: "who?" })
        if (request.method === "POST" && path === "/reports") {
          const asked: unknown = JSON.parse(body)
          const key = String(request.headers["idempotency-key"] ?? jobs.length)
          let job = jobs.find((known) => known.key === key)
          if (job === undefined) {
            const from = isAsking(asked) ? (asked.from ?? null) : null
            job = { id: `j${jobs.length}`, key, from, polls: 0, deleted: false, cancelled: false }
            jobs.push(job)
          }
          return answer(response, 201, { id: job.id })
        }
        const [, , id = "", what] = path.split("/")
        const job = jobs.find((known) => known.id === id && !known.deleted)
        if (job === undefined) return answer(response, 404, { error: "no such report" })
        if (request.method === "DELETE") {
          job.deleted = true
          response.writeHead(204).end()
          return
        }
        if (what === "cancel") {
          job.cancelled = true
          return answer(response, 200, {})
        }
        const ends = settings.ends ?? ["done"]
        const end = ends[Math.min(jobs.indexOf(job), ends.length - 1)]
        const status = job.polls++ < (settings.polls ?? 1) ? "running" : end
        const files = filesOf(job).map((_, index) => {
          links.set(`s${signature}`, settings.linkUses ?? 1000)
          return { url: `${storage}/${id}/${index}?sig=s${signature++}` }
        })
        const headers = settings.retryAfter === undefined ? {} : { "retry-after": String(settings.retryAfter) }
        return answer(response, 200, { status, files: status === "done" ? files : null }, headers)
      })
    })
    return { jobs, links, log, url }
  })

/** A stream of such reports. */
export const reports = {
  records: "$[*]",
  format: "ndjson",
  unpack: "gzip",
  primary_key: "id",
  job: {
    create: {
      path: "/reports",
      headers: { "idempotency-key": "{job_key}" },
      body: { json: { from: "{since}", to: "{until}" } }
    },
    poll: { path: "/reports/{job}" },
    every: "5 millis",
    at_most: "20 millis",
    status: "$.status",
    running: ["running"],
    done: ["done"],
    failed: ["failed"],
    expired: ["expired"],
    empty: ["nothing"],
    results: "$.files[*].url",
    delete: { path: "/reports/{job}" }
  }
}
