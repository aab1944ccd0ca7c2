import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import {
  type Checkpoint,
  defineConnector,
  defineStream,
  jsonExtractor,
  make,
  type Page,
  requesterOf
} from "@tributary/connector"
import { connector, decodeConnector, failure, keysOf, read, serve, services, source } from "./harness.ts"
import { jobApi, reports } from "./jobApi.ts"

const headers = { "x-key": "${env:SHOP_KEY}" }
const stream = reports
const withJob = (job: Record<string, unknown>) => ({ ...stream, job: { ...stream.job, ...job } })
/** A connector whose stream has no path. */
const reporting = (url: string, settings: Record<string, unknown> = stream, http: Record<string, unknown> = {}) =>
  decodeConnector({
    connector: "shop",
    http: { base_url: url, retries: 2, headers, ...http },
    streams: { items: { records: "$.data[*]", ...settings } }
  })

describe("jobs", () => {
  it.live("are made, asked for, downloaded without credentials, and deleted", () =>
    Effect.gen(function* () {
      const api = yield* jobApi({ polls: 2 })
      const pages = yield* read(yield* source(reporting(api.url)))
      assert.deepStrictEqual(keysOf(pages), ["a", "b", "c"])
      assert.deepStrictEqual(api.log, [
        "POST /reports",
        "GET /reports/j0",
        "GET /reports/j0",
        "GET /reports/j0",
        "GET storage/j0/0",
        "GET storage/j0/1",
        "DELETE /reports/j0"
      ])
      assert.deepStrictEqual(
        api.jobs.map(({ deleted }) => deleted),
        [true]
      )
      // Links may be secret: they are not kept.
      assert.notInclude(JSON.stringify(pages.map(({ checkpoint }) => checkpoint)), "sig=")
      assert.isTrue(pages.at(-1)?.last)
      assert.isUndefined(pages.at(-1)?.checkpoint.walk)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("are not written in the charset of their results", () =>
    Effect.gen(function* () {
      const api = yield* jobApi()
      const errors = [{ action: "fail", status: [401], body: "who", message: "the key is missing" }]
      const unknown = reporting(api.url, { ...stream, charset: "utf-16le", errors }, { headers: {} })
      assert.include((yield* failure(unknown)).message, "the key is missing")
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live(
    "go on after a stop at any step, with what was done before lost or not: no second job, no record lost or doubled",
    () =>
      Effect.gen(function* () {
        const incremental = {
          field: "id",
          param: "none",
          start: "2026-01-01T00:00:00Z",
          step: "200 days",
          in: "body"
        }
        const settings = { ...stream, incremental, partitions: { list: { shop: ["x", "y"] } } }
        /** Stops after `cut` committed pages, and after `lost` more that were not committed; then reads to the end. */
        const stopped = Effect.fnUntraced(function* (cut: number, lost: number) {
          const api = yield* jobApi({ files: ({ id }) => [[`${id}a`, `${id}b`], [], [`${id}c`]] })
          const kept: Array<Page> = []
          let from: Checkpoint | undefined
          let isOver = false
          for (let turn = 0; !isOver; turn++) {
            const ready = yield* source(reporting(api.url, settings))
            const most = turn === 0 ? cut : 1_000
            const pages = yield* Stream.runCollect(Stream.take(ready.pages("items", from), most + lost))
            const committed = pages.slice(0, most)
            kept.push(...committed)
            from = committed.at(-1)?.checkpoint ?? from
            isOver = committed.at(-1)?.last === true
          }
          return { keys: keysOf(kept), jobs: api.jobs, pages: kept.length }
        })
        const whole = yield* Effect.scoped(stopped(1_000, 0))
        assert.isAbove(whole.jobs.length, 2)
        assert.isTrue(whole.jobs.every(({ deleted }) => deleted))
        for (let cut = 1; cut < Math.min(whole.pages, 24); cut++) {
          for (const lost of [0, 1]) {
            const found = yield* Effect.scoped(stopped(cut, lost))
            assert.deepStrictEqual(found.keys, whole.keys, `${cut} ${lost}`)
            assert.strictEqual(found.jobs.length, whole.jobs.length, `${cut} ${lost}`)
          }
        }
      }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("go on inside of a large result, with the link of the day, and with another job that makes the same", () =>
    Effect.gen(function* () {
      // Three parts of four megabytes, each a page of its own.
      const names = Array.from({ length: 11_000 }, (_, index) => `${index}-${"x".repeat(1_000)}`)
      for (const isGone of [false, true]) {
        const api = yield* jobApi({ files: () => [names], linkUses: 1, isPlain: true })
        const kept: Array<Page> = []
        let from: Checkpoint | undefined
        for (let isOver = false; !isOver;) {
          const { unpack: _, ...plain } = stream
          const ready = yield* source(reporting(api.url, plain))
          // One page that has records is committed, the next one is lost.
          const pages = yield* ready.pages("items", from).pipe(
            Stream.takeUntil(({ records }) => records.length > 0),
            Stream.runCollect
          )
          kept.push(...pages)
          from = pages.at(-1)?.checkpoint
          isOver = pages.at(-1)?.last === true
          // The API loses the job while its result is read.
          if (isGone && kept.filter(({ records }) => records.length > 0).length === 1) api.jobs[0]!.deleted = true
        }
        assert.deepStrictEqual(keysOf(kept), names)
        assert.strictEqual(api.jobs.length, isGone ? 2 : 1)
        assert.isAbove(kept.filter(({ records }) => records.length > 0).length, 2)
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("a link that has ended is asked for again, also in the middle of a body", () =>
    Effect.gen(function* () {
      // Each link is good once, and the first download breaks off: going on needs a new one.
      const api = yield* jobApi({ linkUses: 1, breaks: 10 })
      const pages = yield* read(yield* source(reporting(api.url)))
      assert.deepStrictEqual(keysOf(pages), ["a", "b", "c"])
      assert.strictEqual(api.jobs.length, 1)
      const none = yield* jobApi({ linkUses: 0 })
      const error = yield* failure(reporting(none.url))
      assert.strictEqual(error.reason._tag, "ResultRefused")
      assert.match(
        error.message,
        /a result of the job j0 cannot be downloaded, with a new link neither\. .* answered 403: Request has expired\./u
      )
      assert.notInclude(error.message, "sig=s")
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("one that fails, expires or takes too long is made again, a few times", () =>
    Effect.gen(function* () {
      const cases = [
        [["failed", "expired", "done"], {}, undefined],
        [
          ["failed"],
          {},
          /the job j2 failed: \{"status":"failed","files":null\}\. It was made 3 times\. Look at what job\.create/u
        ],
        [["expired"], { retries: 0 }, /the result of the job j0 cannot be had any more/u],
        [
          ["running"],
          { timeout: "30 millis", retries: 1 },
          /the job j1 was not done within 0\.03 s \(job\.timeout\), and was given up\. It was made 2 times/u
        ],
        [
          ["what?"],
          {},
          /the job j0 has the status what\?, which is none of running, done, nothing, failed, expired\. Add it/u
        ]
      ] as const
      for (const [ends, job, said] of cases) {
        const api = yield* jobApi({ ends })
        const settings = reporting(api.url, withJob({ cancel: { path: "/reports/{job}/cancel" }, ...job }))
        if (said === undefined) {
          assert.deepStrictEqual(keysOf(yield* read(yield* source(settings))), ["a", "b", "c"])
          assert.strictEqual(api.jobs.length, 3)
          continue
        }
        const error = yield* failure(settings)
        assert.match(error.message, said)
        assert.strictEqual(
          api.jobs.every(({ cancelled }) => cancelled),
          ends[0] === "running"
        )
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live(
    "after the last failure the next try begins with a new job, and an unknown status goes on with the same",
    () =>
      Effect.gen(function* () {
        for (const [end, next] of [
          ["failed", undefined],
          ["what?", "j0"]
        ] as const) {
          const api = yield* jobApi({ ends: [end] })
          const pages: Array<Page> = []
          const ready = yield* source(reporting(api.url, withJob({ retries: 0 })))
          yield* Effect.flip(
            Stream.runForEach(ready.pages("items", undefined), (page) => Effect.sync(() => pages.push(page)))
          )
          assert.strictEqual(pages.at(-1)?.checkpoint.walk?.job?.names?.["job"], next)
        }
      }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("none at all, an empty list and a status of nothing are no records; no list is an error", () =>
    Effect.gen(function* () {
      const empty = yield* jobApi({ files: () => [] })
      assert.deepStrictEqual(keysOf(yield* read(yield* source(reporting(empty.url)))), [])
      const nothing = yield* jobApi({ ends: ["nothing"] })
      assert.deepStrictEqual(keysOf(yield* read(yield* source(reporting(nothing.url)))), [])
      assert.isTrue(nothing.jobs[0]?.deleted)
      const api = yield* jobApi({})
      const cases = [
        [withJob({ results: "$.urls[*]" }), /expected texts at \$\.urls\[\*\] \(streams\.items\.job\.results\)/u],
        [
          withJob({ id: "$.report" }),
          /expected the job's id at \$\.report \(streams\.items\.job\.id\)\. The answer about a job begins: \{"id":"j/u
        ],
        [withJob({ status: "$.state" }), /expected a status at \$\.state/u],
        [withJob({ poll: {} }), /job\.poll: there is no `path`, and the job's id, j\d, is no address/u]
      ] as const
      for (const [settings, said] of cases) {
        const error = yield* failure(reporting(api.url, settings))
        assert.match(error.message, said)
        assert.strictEqual(error.failureClass, "misconfigured")
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("never more at once than the limit of their key, over connectors", () =>
    Effect.gen(function* () {
      const api = yield* jobApi({ polls: 3 })
      let most = 0
      const look = Effect.sync(() => {
        most = Math.max(most, api.jobs.filter(({ deleted }) => !deleted).length)
      }).pipe(Effect.andThen(Effect.sleep("2 millis")), Effect.forever)
      const ready = yield* source(reporting(api.url, withJob({ at_once: { jobs: 2, key: "all" } })))
      const six = Effect.all(
        Array.from({ length: 6 }, () => read(ready)),
        { concurrency: "unbounded" }
      )
      yield* Effect.raceFirst(six, look)
      assert.strictEqual(api.jobs.length, 6)
      assert.strictEqual(most, 2)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("come to all who wait for the limit, also beside a stream that makes one after the other", () =>
    Effect.gen(function* () {
      const api = yield* jobApi({ polls: 1 })
      const ready = yield* source(reporting(api.url, withJob({ at_once: { jobs: 1, key: "all" } })))
      const greedy = Effect.forever(read(ready))
      const others = Effect.andThen(
        Effect.sleep("5 millis").pipe(Effect.repeat({ until: () => api.jobs.length > 0 })),
        Effect.all(
          Array.from({ length: 3 }, () => read(ready)),
          { concurrency: "unbounded" }
        )
      )
      const served = yield* Effect.raceFirst(greedy, others).pipe(Effect.timeoutOption("60 seconds"))
      assert.isTrue(
        served._tag === "Some",
        `Others had no job beside ${api.jobs.length} of one that makes them in turn.`
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("of which nobody reads the result are stopped: a preview", () =>
    Effect.gen(function* () {
      const api = yield* jobApi({})
      const ready = yield* source(reporting(api.url, withJob({ cancel: { path: "/reports/{job}/cancel" } })))
      const pages = yield* ready.preview("items", 1)
      assert.deepStrictEqual(keysOf(pages), ["a", "b"])
      assert.isTrue(api.jobs[0]?.cancelled)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live(
    "results by path and pages, ids in a header, the HTTP status for a status, links of their own, redirects to storage",
    () =>
      Effect.gen(function* () {
        const asked: Array<string> = []
        const storage = yield* serve((request, response) => {
          asked.push(`storage ${request.url} ${request.headers["x-key"] ?? "-"}`)
          response.end("id;n\ns1;1\n")
        })
        let polls = 0
        const url = yield* serve((request, response) => {
          asked.push(`${request.method} ${request.url} ${request.headers["x-key"] ?? "-"}`)
          const { pathname, searchParams } = new URL(request.url ?? "", "http://x")
          if (request.method === "POST") response.writeHead(202, { location: "/jobs/7" }).end()
          else if (pathname === "/jobs/7") response.writeHead(polls++ < 2 ? 202 : 200).end('{"docs":["d/1","d/2"]}')
          else if (pathname.startsWith("/docs/")) response.end(JSON.stringify({ url: `/files/${pathname.slice(6)}` }))
          else if (pathname.startsWith("/files/")) response.writeHead(302, { location: `${storage}${pathname}` }).end()
          else {
            const page = Number(searchParams.get("locator") ?? 0)
            response.writeHead(200, { "sforce-locator": page === 2 ? "null" : String(page + 1) })
            response.end(`id,n\np${page},1\n`)
          }
        })
        const job = { create: { path: "/jobs" }, id_header: "location", every: "2 millis" }
        const paged = reporting(url, {
          path: "/result",
          format: "csv",
          primary_key: "id",
          pagination: { header: "sforce-locator", param: "locator" },
          job
        })
        assert.deepStrictEqual(keysOf(yield* read(yield* source(paged))), ["p0", "p1", "p2"])
        asked.length = 0
        const linked = reporting(url, {
          format: "csv",
          csv: { delimiter: ";" },
          primary_key: "id",
          job: { ...job, results: "$.docs[*]", link: { path: "/docs/{result}", url: "$.url" } }
        })
        assert.deepStrictEqual(keysOf(yield* read(yield* source(linked))), ["s1", "s1"])
        const key = "key-of-the-shop-42"
        assert.deepStrictEqual(asked, [
          `POST /jobs ${key}`,
          `GET /jobs/7 ${key}`,
          `GET /docs/d%2F1 ${key}`,
          `GET /files/d%2F1 ${key}`,
          "storage /files/d%2F1 -",
          `GET /docs/d%2F2 ${key}`,
          `GET /files/d%2F2 ${key}`,
          "storage /files/d%2F2 -"
        ])
      }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("are a slot in code too", () =>
    Effect.gen(function* () {
      const url = yield* serve((request, response) => {
        const { pathname } = new URL(request.url ?? "", "http://x")
        if (request.method === "POST") response.end("42")
        else if (pathname === "/state/42") response.end("ok")
        else response.end(`[{"id":"${pathname}"}]`)
      })
      const draft = (path: string, method: string) =>
        Effect.sync(() => ({ method, url: new URL(path, url), headers: {}, body: undefined }))
      const definition = defineConnector({
        streams: {
          items: defineStream({
            requester: requesterOf(({ job }) => ({ url: `${url}/rows/${job?.["job"]}/${job?.["result"]}` })),
            extractor: jsonExtractor("$[*]"),
            job: {
              create: () => draft("/new", "POST"),
              created: ({ body }) => ({ job: body.toString() }),
              poll: ({ job }) => draft(`/state/${job?.["job"]}`, "GET"),
              status: ({ body }) =>
                body.toString() === "ok" ? { state: "done", results: ["1", "2"] } : { state: "running" },
              areAddresses: false,
              every: 1,
              atMost: 10,
              timeout: 10_000,
              retries: 0
            }
          })
        }
      })
      const ready = yield* make(connector(url, { primary_key: "id" }), { base: import.meta.dirname, definition })
      assert.deepStrictEqual(keysOf(yield* read(ready)), ["/rows/42/1", "/rows/42/2"])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
