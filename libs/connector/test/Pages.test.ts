import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Checkpoint } from "@tributary/connector"
import { connector, failure, keysOf, millisOf, read, serve, services, source, timeOf } from "./harness.ts"

const start = millisOf("2026-01-01T00:00:00Z")

/** An API over records of one per minute that answers as `answer` says. */
const api = (
  count: number,
  answer: (query: URLSearchParams, all: ReadonlyArray<{ id: number; at: string }>) => unknown,
  headers: (query: URLSearchParams) => Record<string, string> = () => ({})
) =>
  Effect.gen(function* () {
    const asked: Array<URLSearchParams> = []
    const all = Array.from({ length: count }, (_, id) => ({ id, at: timeOf(start + id * 60_000) }))
    const url = yield* serve((request, response) => {
      const query = new URL(request.url ?? "", "http://x").searchParams
      asked.push(query)
      response.writeHead(200, { "content-type": "application/json", ...headers(query) })
      response.end(JSON.stringify(answer(query, all)))
    })
    return { all, asked, url }
  })

const ids = (count: number) => Array.from({ length: count }, (_, id) => String(id))
const readAll = (url: string, stream: Record<string, unknown>, from?: Checkpoint) =>
  Effect.flatMap(source(connector(url, { primary_key: "id", ...stream })), (ready) => read(ready, from))

/** Reads a stream, then the rest of it after each of its pages. */
const everywhere = Effect.fnUntraced(function* (url: string, stream: Record<string, unknown>, count: number) {
  const pages = yield* readAll(url, stream)
  assert.deepStrictEqual(keysOf(pages), ids(count))
  for (const [index, { checkpoint, last }] of pages.entries()) {
    if (last) continue
    const rest = yield* readAll(url, stream, checkpoint)
    assert.deepStrictEqual(keysOf(rest), keysOf(pages.slice(index + 1)), `after page ${index}`)
  }
})

describe("pages", () => {
  it.live("follow a cursor in a header", () =>
    Effect.gen(function* () {
      const at = (query: URLSearchParams) => Number(query.get("c") ?? 0)
      const { url } = yield* api(
        7,
        (query, all) => ({ data: all.slice(at(query), at(query) + 2) }),
        (query): Record<string, string> => (at(query) + 2 < 7 ? { "X-Next": String(at(query) + 2) } : {})
      )
      yield* everywhere(url, { pagination: { header: "x-next", param: "c" } }, 7)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("follow the last record's key", () =>
    Effect.gen(function* () {
      const { url } = yield* api(7, (query, all) => {
        const after = Number(query.get("after") ?? -1)
        const data = all.filter(({ id }) => id > after).slice(0, 2)
        return { data, has_more: after + 2 < 6 }
      })
      yield* everywhere(url, { pagination: { last_record: "id", param: "after" } }, 7)
      yield* everywhere(url, { pagination: { last_record: "id", param: "after", size: 2, more: "$.has_more" } }, 7)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("end where the body says that it is the last page, however short it is", () =>
    Effect.gen(function* () {
      const at = (query: URLSearchParams, name: string) => Number(query.get(name) ?? 0)
      // The last page names a cursor too, and pages are shorter than was asked for.
      const cursor = yield* api(7, (query, all) => {
        const from = at(query, "c")
        return { data: all.slice(from, from + 2), next: String(from + 2), done: from + 2 >= 7 }
      })
      yield* everywhere(cursor.url, { pagination: { cursor: "$.next", param: "c", end: "$.done" } }, 7)
      const offset = yield* api(7, (query, all) => {
        const from = at(query, "offset") - 1
        return { data: all.slice(from, from + 2), last: from + 2 >= 7 }
      })
      yield* everywhere(offset.url, { pagination: { offset: "offset", start: 1, limit: 5, end: "$.last" } }, 7)
      const page = yield* api(7, (query, all) => {
        const from = at(query, "page") * 2
        return { data: all.slice(from, from + 2), more: from + 2 < 7 }
      })
      yield* everywhere(page.url, { pagination: { page: "page", start: 0, size: 5, more: "$.more" } }, 7)
      assert.lengthOf(new Set(page.asked.map((query) => query.get("page"))), 4)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("end at the first empty page where the API always names a next one", () =>
    Effect.gen(function* () {
      const from = (query: URLSearchParams) => Number(query.get("c") ?? 0)
      const { asked, url } = yield* api(
        5,
        (query, all) => ({
          data: all.slice(from(query), from(query) + 2),
          next: String(from(query) + 2),
          url: `/records?c=${from(query) + 2}`
        }),
        (query) => ({
          link: `</records?c=${from(query) + 2}>; rel="next"`,
          "x-next": String(from(query) + 2)
        })
      )
      for (const pagination of [
        { cursor: "$.next", param: "c" },
        { next_url: "$.url" },
        { link: "next" },
        { header: "x-next", param: "c" }
      ]) {
        asked.length = 0
        const pages = yield* readAll(url, { pagination: { ...pagination, until_empty: true } })
        assert.deepStrictEqual([keysOf(pages), asked.length], [ids(5), 4])
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("put their parameter wherever its placeholder stands", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const url = yield* serve((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          const body = Buffer.concat(chunks).toString()
          const { pathname, searchParams } = new URL(request.url ?? "", "http://x")
          asked.push(`${pathname} ${searchParams.get("q")} ${request.headers["x-at"]} ${body}`)
          const from = Number(/from (\d*)/u.exec(searchParams.get("q") ?? "")?.[1] ?? 0)
          response.writeHead(200, { "content-type": "application/json" })
          response.end(
            JSON.stringify({ data: [{ id: from }, { id: from + 1 }].slice(0, Math.max(0, 5 - from)), next: from + 2 })
          )
        })
      })
      const request = {
        path: "/at/{from}",
        query: { q: "select * from {from} most {limit}" },
        headers: { "x-at": "{from}" }
      }
      const body = { json: { a: { b: ["{from}"] }, other: "{x}" } }
      const pagination = { offset: "from", limit: 2, in: "placeholder" }
      assert.deepStrictEqual(keysOf(yield* readAll(url, { ...request, body, pagination })), ids(5))
      assert.deepStrictEqual(
        asked,
        ["0", "2", "4"].map((at) => `/at/${at} select * from ${at} most 2 ${at} {"a":{"b":["${at}"]},"other":"{x}"}`)
      )
      asked.length = 0
      const cursor = { cursor: "$.next", param: "from", in: "placeholder", until_empty: true }
      yield* readAll(url, { path: "/at", query: { q: "from {from}" }, body: { text: "{from}!" }, pagination: cursor })
      // The first page has no cursor: an empty text stands for it.
      assert.deepStrictEqual(
        asked,
        ["", "2", "4", "6"].map((at) => `/at from ${at} undefined ${at}!`)
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("end where a last page names its own cursor and nothing new comes", () =>
    Effect.gen(function* () {
      for (const tail of [0, 2]) {
        const { asked, url } = yield* api(5, (query, all) => {
          const at = Number(query.get("cursor") ?? 0)
          // The last page names itself; it is empty, or has its records again.
          const next = tail === 0 ? Math.min(at + 2, 5) : Math.min(at + 2, 4)
          return { data: all.slice(at, at + 2), next: String(next) }
        })
        const pages = yield* readAll(url, { pagination: { cursor: "$.next", param: "cursor" } })
        assert.deepStrictEqual(keysOf(pages), ids(5))
        assert.isAtMost(asked.length, 4)
        // A restart between that page and the one that shows the end does not publish it again.
        yield* everywhere(url, { pagination: { cursor: "$.next", param: "cursor" } }, 5)
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("do not go round in circles", () =>
    Effect.gen(function* () {
      const { url } = yield* api(4, (query, all) => {
        const at = Number(query.get("cursor") ?? 0)
        return { data: [all[at]], next: String((at + 1) % 3) }
      })
      const error = yield* failure(connector(url, { pagination: { cursor: "$.next", param: "cursor" } }))
      assert.strictEqual(error.reason._tag, "CursorRepeated")
      const same = yield* api(4, (_query, all) => ({ data: all.slice(0, 2), next: "x" }))
      const stuck = yield* failure(connector(same.url, { pagination: { cursor: "$.next", param: "cursor" } }))
      assert.include(stuck.message, "it may not know the cursor")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("of an API that does not know the cursor are not taken for the last by the next walk", () =>
    Effect.gen(function* () {
      const { url } = yield* api(4, (_query, all) => ({ data: all.slice(0, 2), next: "x" }))
      const settings = connector(url, { primary_key: "id", pagination: { cursor: "$.next", param: "cursor" } })
      const published: Array<string> = []
      let checkpoint: Checkpoint | undefined
      for (let run = 0; run < 3; run++) {
        const ready = yield* source(settings)
        const error = yield* ready.pages("items", checkpoint).pipe(
          Stream.runForEach((page) =>
            Effect.sync(() => {
              published.push(...keysOf([page]))
              checkpoint = page.checkpoint
            })
          ),
          Effect.flip
        )
        assert.include(error.message, "it may not know the cursor", `run ${run}`)
      }
      assert.deepStrictEqual(published, ["0", "1"])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("begin again where the API shows no more of a question", () =>
    Effect.gen(function* () {
      const incremental = { field: "at", param: "since" }
      const answer = (query: URLSearchParams, all: ReadonlyArray<{ id: number; at: string }>) => {
        const since = query.get("since")
        const found = all.filter(({ at }) => since === null || at >= since).slice(0, 6)
        const at = Number(query.get("offset") ?? (Number(query.get("page") ?? 1) - 1) * 2)
        return { data: found.slice(at, at + 2) }
      }
      for (const pagination of [
        { offset: "offset", limit: 2, restart_after: 6 },
        { page: "page", size: 2, restart_after: 6 }
      ]) {
        const { url } = yield* api(20, answer)
        yield* everywhere(url, { pagination, incremental }, 20)
      }
      // All that is shown has one value: there is no way on.
      const { url } = yield* api(20, (query, all) =>
        answer(
          query,
          all.map(({ id }) => ({ id, at: timeOf(start) }))
        )
      )
      const stuck = connector(url, { pagination: { offset: "offset", limit: 2, restart_after: 6 }, incremental })
      assert.include((yield* failure(stuck)).message, "the rest cannot be asked for")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("windows", () => {
  it.live("are asked for one after the other, each to its end, in the API's form", () =>
    Effect.gen(function* () {
      for (const [format, step, clamp] of [
        [undefined, "4 minutes", undefined],
        ["%s", "7 minutes", undefined],
        ["%ms", "1 hour", undefined],
        ["%Y-%m-%d %H:%M:%S", "10 minutes", undefined],
        ["%Y-%m-%d", "1 day", "day"]
      ] as const) {
        const millis = (text: string) => {
          if (format === "%s") return Number(text) * 1000
          return format === "%ms" ? Number(text) : millisOf(text.includes(" ") ? `${text.replace(" ", "T")}Z` : text)
        }
        const { asked, url } = yield* api(30, (query, all) => {
          const [since, until] = [millis(query.get("since") ?? ""), millis(query.get("until") ?? "")]
          const found = all.filter(({ at }) => millisOf(at) >= since && millisOf(at) < until)
          const page = Number(query.get("page"))
          return { data: found.slice(page * 3 - 3, page * 3) }
        })
        // The walk's end is the clock's; some windows before it are enough, so the start is late.
        const stream = {
          pagination: { page: "page", size: 3 },
          incremental: {
            field: "at",
            param: "since",
            until_param: "until",
            start: timeOf(start),
            step: format === "%Y-%m-%d" ? "7 days" : "30 days",
            ...(format === undefined ? {} : { param_format: format }),
            ...(clamp === undefined ? {} : { clamp })
          }
        }
        assert.isDefined(step)
        const pages = yield* readAll(url, stream)
        assert.deepStrictEqual(keysOf(pages), ids(30), format)
        // Several are asked for at a time.
        const windows = [...new Set(asked.map((query) => [query.get("since"), query.get("until")].join()))].toSorted()
        assert.isAbove(windows.length, 8)
        for (let i = 1; i < windows.length; i++) {
          const [before, after] = [windows[i - 1]!.split(","), windows[i]!.split(",")]
          assert.isTrue(before[1] === after[0], `${windows[i - 1]} then ${windows[i]}`)
        }
        // The next walk asks from the last window on, not from the last record.
        asked.length = 0
        assert.deepStrictEqual(keysOf(yield* readAll(url, stream, pages.at(-1)?.checkpoint)), [])
        assert.isAtMost(asked.length, 2)
        // On from the middle.
        const middle = pages.find(({ checkpoint }) => checkpoint.walk?.position !== undefined)
        const rest = yield* readAll(url, stream, middle?.checkpoint)
        assert.deepStrictEqual(keysOf(rest), keysOf(pages.slice((middle?.number ?? 0) + 1)))
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("descending feeds stop at what is known, and an API without a parameter is filtered", () =>
    Effect.gen(function* () {
      let count = 20
      const { asked, url } = yield* api(40, (query, all) => {
        const page = Number(query.get("page"))
        return {
          data: all
            .slice(0, count)
            .toReversed()
            .slice(page * 4 - 4, page * 4)
        }
      })
      const stream = {
        pagination: { page: "page", size: 4 },
        incremental: { field: "at", order: "descending", lookback: "2 minutes", filter: true }
      }
      const first = yield* readAll(url, stream)
      assert.deepStrictEqual(keysOf(first), ids(20).toReversed())
      count = 25
      asked.length = 0
      const second = yield* readAll(url, stream, first.at(-1)?.checkpoint)
      assert.deepStrictEqual(keysOf(second), ["24", "23", "22", "21", "20"])
      assert.isAtMost(asked.length, 4)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
