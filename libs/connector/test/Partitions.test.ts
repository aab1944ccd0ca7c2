import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Checkpoint, Page } from "@tributary/connector"
import { decodeConnector, keysOf, serve, services, source, timeOf, valuesOf } from "./harness.ts"

interface Child {
  readonly id: string
  at: number
}

/** Projects with issues, each with comments; `?since` on issues and on projects. */
const tracker = (projects: number, issues: number) =>
  Effect.gen(function* () {
    const data = new Map<string, { at: number; issues: Array<Child> }>()
    for (let p = 0; p < projects; p++) {
      const list = Array.from({ length: issues }, (_, i): Child => ({ id: `${p}-${i}`, at: 1000 * (p + 1) + i }))
      data.set(`p${p}`, { at: 1000 * p, issues: list })
    }
    const asked: Array<string> = []
    let refused = ""
    const url = yield* serve((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://x")
      asked.push(request.url ?? "")
      if (refused !== "" && pathname.includes(refused)) return response.writeHead(500).end("away")
      const since = searchParams.get("since")
      const [, kind, project, , issue] = pathname.split("/")
      const after = (at: number) => since === null || timeOf(at) >= since
      const all =
        kind === "projects" && project === undefined
          ? [...data].flatMap(([id, { at }]) => (after(at) ? [{ id, at: timeOf(at) }] : []))
          : issue === undefined
            ? (data.get(project ?? "")?.issues ?? []).flatMap(({ at, id }) =>
                after(at) ? [{ id, at: timeOf(at) }] : []
              )
            : [{ id: `${issue}/c1` }, { id: `${issue}/c2` }]
      const page = Number(searchParams.get("page") ?? 1)
      response.end(JSON.stringify({ data: all.slice((page - 1) * 2, page * 2) }))
    })
    return { asked, data, url, refuse: (part: string) => void (refused = part) }
  })

const pagination = { page: "page", size: 2 }
const incremental = { field: "at", param: "since" }
const projects = { path: "/projects", primary_key: "id", records: "$.data[*]", pagination }
const issues = {
  path: "/projects/{project}/issues",
  primary_key: "id",
  records: "$.data[*]",
  pagination,
  partitions: { parent: "projects", values: { project: "id" } }
}
const connectorOf = (url: string, streams: Record<string, unknown>) =>
  decodeConnector({ connector: "shop", http: { base_url: url, retries: 0 }, streams })

const walk = (url: string, streams: Record<string, unknown>, name: string, from?: Checkpoint) =>
  Effect.flatMap(source(connectorOf(url, streams)), (ready) => Stream.runCollect(ready.pages(name, from)))
const last = (pages: ReadonlyArray<Page>) => pages.at(-1)!.checkpoint
const allIssues = (count: number, each: number) =>
  Array.from({ length: count }, (_, p) => Array.from({ length: each }, (__, i) => `${p}-${i}`)).flat()

describe("partitions", () => {
  it.live("of lists are read one after the other, in every combination", () =>
    Effect.gen(function* () {
      const asked: Array<string | undefined> = []
      const url = yield* serve((request, response) => {
        asked.push(request.url)
        response.end(JSON.stringify([{ id: request.url }]))
      })
      const items = {
        path: "/{region}/items",
        query: { kind: "{kind}" },
        headers: { "x-region": "{region}" },
        primary_key: "id",
        add: { region: "{region}" },
        partitions: { list: { region: ["eu", "a b/c"], kind: ["x", "y"] } }
      }
      const pages = yield* walk(url, { items }, "items")
      const expected = ["/eu/items?kind=x", "/eu/items?kind=y", "/a%20b%2Fc/items?kind=x", "/a%20b%2Fc/items?kind=y"]
      assert.deepStrictEqual(keysOf(pages).toSorted(), expected.toSorted())
      assert.deepStrictEqual(asked.toSorted(), expected.toSorted())
      assert.include(valuesOf(pages)[3], '"region":"a b/c"')
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("of a parent go on after a stop at any page, without loss or repetition", () =>
    Effect.gen(function* () {
      const { url } = yield* tracker(5, 3)
      const streams = { projects, issues }
      const pages = yield* walk(url, streams, "issues")
      assert.deepStrictEqual(keysOf(pages).toSorted(), allIssues(5, 3))
      for (const [index, { checkpoint, last: isLast }] of pages.entries()) {
        if (isLast) continue
        const rest = yield* walk(url, streams, "issues", checkpoint)
        assert.deepStrictEqual(
          keysOf(rest).toSorted(),
          keysOf(pages.slice(index + 1)).toSorted(),
          `after page ${index}`
        )
      }
      // The next walk reads all again: nothing here is incremental.
      assert.strictEqual(keysOf(yield* walk(url, streams, "issues", last(pages))).length, 15)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("each have a cursor of their own", () =>
    Effect.gen(function* () {
      const { asked, data, url } = yield* tracker(4, 3)
      const streams = { projects, issues: { ...issues, incremental } }
      const first = yield* walk(url, streams, "issues")
      assert.deepStrictEqual(keysOf(first).toSorted(), allIssues(4, 3))
      // An old time in one partition that another has long passed.
      data.get("p0")?.issues.push({ id: "0-new", at: 1003 })
      asked.length = 0
      const second = yield* walk(url, streams, "issues", last(first))
      assert.deepStrictEqual(keysOf(second), ["0-new"])
      const sinces = asked
        .filter((path) => path.includes("issues"))
        .map((path) => new URL(path, "http://x").searchParams.get("since"))
      assert.deepStrictEqual([...new Set(sinces)].toSorted(), [1002, 2002, 3002, 4002].map(timeOf))
      assert.deepStrictEqual(keysOf(yield* walk(url, streams, "issues", last(second))), [])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("are read only where the parent changed, and a failure in one loses nothing", () =>
    Effect.gen(function* () {
      const { asked, data, refuse, url } = yield* tracker(4, 3)
      const streams = {
        projects: { ...projects, incremental },
        issues: { ...issues, incremental, partitions: { ...issues.partitions, incremental: true } }
      }
      const first = yield* walk(url, streams, "issues")
      assert.deepStrictEqual(keysOf(first).toSorted(), allIssues(4, 3))
      for (const id of ["p0", "p2"]) {
        const project = data.get(id)!
        project.at = 900_000
        project.issues.push({ id: `${id}-new`, at: 900_000 })
      }
      asked.length = 0
      refuse("/p2/")
      const got: Array<Page> = []
      const ready = yield* source(connectorOf(url, streams))
      const error = yield* Effect.flip(
        ready.pages("issues", last(first)).pipe(Stream.runForEach((page) => Effect.sync(() => void got.push(page))))
      )
      assert.strictEqual(error.reason._tag, "ServerError")
      refuse("")
      const rest = yield* walk(url, streams, "issues", got.at(-1)?.checkpoint ?? last(first))
      assert.deepStrictEqual([...keysOf(got), ...keysOf(rest)].toSorted(), ["p0-new", "p2-new"])
      assert.isFalse(asked.some((path) => path.includes("/p1/") || path.includes("/p3/issues?page=2")))
      assert.deepStrictEqual(keysOf(yield* walk(url, streams, "issues", last(rest))), [])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("go several levels deep", () =>
    Effect.gen(function* () {
      const { url } = yield* tracker(3, 2)
      const comments = {
        path: "/projects/{project}/issues/{issue}/comments",
        primary_key: "id",
        records: "$.data[*]",
        partitions: { parent: "issues", values: { issue: "id", project: "project" } }
      }
      const streams = { projects, issues: { ...issues, add: { project: "{project}" } }, comments }
      const pages = yield* walk(url, streams, "comments")
      const all = allIssues(3, 2).flatMap((id) => [`${id}/c1`, `${id}/c2`])
      assert.deepStrictEqual(keysOf(pages).toSorted(), all)
      for (const [index, { checkpoint, last: isLast }] of pages.entries()) {
        if (isLast) continue
        const rest = yield* walk(url, streams, "comments", checkpoint)
        assert.deepStrictEqual(
          keysOf(rest).toSorted(),
          keysOf(pages.slice(index + 1)).toSorted(),
          `after page ${index}`
        )
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("a parent's record without the value stops the stream, and says so", () =>
    Effect.gen(function* () {
      const { url } = yield* tracker(1, 1)
      const wrong = { ...issues, partitions: { parent: "projects", values: { project: "key" } } }
      const error = yield* Effect.flip(walk(url, { projects, issues: wrong }, "issues"))
      assert.include(error.message, "a record of the parent projects has no text or number in key")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("by the thousand have their cursors in snapshots, which a commit does not grow with", () =>
    Effect.gen(function* () {
      const count = 5000
      const url = yield* serve((request, response) => {
        const id = new URL(request.url ?? "", "http://x").searchParams.get("n") ?? ""
        response.end(JSON.stringify([{ id, at: timeOf(Number(id)) }]))
      })
      const names = Array.from({ length: count }, (_, n) => String(n))
      const items = {
        path: "/",
        query: { n: "{n}" },
        primary_key: "id",
        partitions: { list: { n: names } },
        concurrency: 16,
        incremental: { field: "at", param: "since" }
      }
      const ready = yield* source(connectorOf(url, { items }))
      const snapshots: Array<string> = []
      let checkpoint: Checkpoint | undefined
      let largest = 0
      let seen = 0
      const run = Stream.suspend(() => ready.pages("items", checkpoint, { snapshots: [...snapshots] })).pipe(
        Stream.runForEach((page) =>
          Effect.sync(() => {
            for (const { shard, text } of page.snapshots ?? []) snapshots[shard] = text
            checkpoint = page.checkpoint
            largest = Math.max(largest, JSON.stringify(checkpoint).length)
            seen += page.records.length
          })
        )
      )
      yield* run
      assert.strictEqual(seen, count)
      assert.isBelow(largest, 120_000)
      assert.deepStrictEqual([snapshots.length, checkpoint?.partitions?.shards], [2, 2])
      yield* run
      assert.strictEqual(seen, count)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
