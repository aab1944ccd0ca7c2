import { Schema } from "effect"
import { Headers, Method, Parameters, RequestBody } from "./RequestFile.ts"
import { fallback, optional, required } from "./Setting.ts"
import { BaseAddress, HeaderName, Natural, PositiveDuration, RequestPath, Selector, Text, upTo } from "./SettingType.ts"

const Statuses = Schema.Array(Text)
  .check(Schema.isUnique())
  .annotate({ title: "list of texts", expected: "a list of texts, none twice" })

const requestSettings = {
  path: RequestPath.pipe(
    optional(
      "Path of the request; {job} stands for the job's id. Default, but for `create`: the id itself, if it is an address.",
      "/reports/{job}"
    )
  ),
  address: BaseAddress.pipe(
    optional("Address in place of http.base_url. It gets the same credentials.", "https://reports.shop.example")
  ),
  query: Parameters.pipe(fallback({}, "Query parameters.", { fields: "state" })),
  headers: Headers.pipe(
    fallback(
      {},
      "Headers, beside http.headers; {job_key} is a text that stays the same when the same job is asked for again.",
      {
        "idempotency-key": "{job_key}"
      }
    )
  ),
  body: RequestBody.pipe(optional("Body of the request. Default: none.", { json: { type: "orders" } }))
}

/** One of the requests around a job. */
const JobRequest = Schema.Struct({
  ...requestSettings,
  method: Schema.Literals(["GET", "POST", "PUT", "PATCH", "DELETE"]).pipe(
    optional("Method. Default: POST for `create` and `cancel`, DELETE for `delete`, GET for others.", "POST")
  )
}).annotate({ identifier: "JobRequest" })
export type JobRequest = typeof JobRequest.Type

const JobLink = Schema.Struct({
  url: Selector.pipe(required("Where the answer has the address of the result.", "$.url")),
  ...requestSettings,
  method: Method.pipe(optional("Method. Default: GET.", "POST"))
}).annotate({ identifier: "JobLink" })

const JobLimit = Schema.Struct({
  jobs: upTo(64).pipe(required("Most jobs at once.", 2)),
  key: Text.pipe(
    optional("Name of the limit; streams and connectors with the same key share it. Default: the host.", "shop")
  )
}).annotate({ identifier: "JobLimit" })

/** Reads what a job at the API makes: created, asked for until it is done, downloaded, deleted. */
export const Job = Schema.Struct({
  create: JobRequest.pipe(
    required(
      "Request that makes a job for each partition and window; {since}, {until} and a partition's {name} stand in it.",
      {
        path: "/reports",
        body: { json: { type: "orders" } }
      }
    )
  ),
  id: Selector.pipe(
    fallback("$.id", "Where the answer names the job: {job} in other requests stands for it.", "$.data.id")
  ),
  id_header: HeaderName.pipe(optional("Header of the answer that names the job, in place of `id`.", "location")),
  poll: JobRequest.pipe(fallback({}, "Request that asks how the job is.", { path: "/reports/{job}" })),
  every: PositiveDuration.pipe(fallback("5 seconds", "How long to wait before asking; half as long again each time.")),
  at_most: PositiveDuration.pipe(
    fallback("1 minute", "Longest wait between two questions. A Retry-After counts in any case.")
  ),
  status: Selector.pipe(
    optional(
      "Where the answer has the job's status. Default: the HTTP status, 202 while it runs and 200 when it is done.",
      "$.status"
    )
  ),
  running: Statuses.pipe(fallback([], "Statuses of a job that waits or runs.", ["queued", "running"])),
  done: Statuses.pipe(fallback([], "Statuses of a job whose result is there.", ["done"])),
  empty: Statuses.pipe(fallback([], "Statuses of a job that found no records.", ["no_data"])),
  failed: Statuses.pipe(fallback([], "Statuses of a job that failed; it is made again.", ["failed"])),
  expired: Statuses.pipe(
    fallback([], "Statuses of a job whose result is no longer kept; it is made again.", ["expired"])
  ),
  results: Selector.pipe(
    optional(
      "Where the last answer names the results: addresses to download, or texts that {result} in `path` or `link` stands for. Default: the stream's `path` is the result.",
      "$.files[*].url"
    )
  ),
  link: JobLink.pipe(
    optional("Request for the address of a result, sent before each download; {result} stands in it.", {
      path: "/documents/{result}",
      url: "$.url"
    })
  ),
  delete: JobRequest.pipe(
    optional("Request that removes a job when all of it is read. Default: none.", { path: "/reports/{job}" })
  ),
  cancel: JobRequest.pipe(
    optional("Request that stops a job which is given up. Default: that of `delete`.", {
      path: "/reports/{job}/cancel"
    })
  ),
  timeout: PositiveDuration.pipe(
    fallback("2 hours", "Longest life of a job until its result is there; then it is cancelled and made again.")
  ),
  retries: Natural.pipe(fallback(2, "How often a job that failed, expired or took too long is made again.")),
  at_once: JobLimit.pipe(
    optional("Most jobs at once. Each stream has one at a time in any case.", { jobs: 2, key: "shop" })
  )
}).annotate({ identifier: "Job" })
export type Job = typeof Job.Type
