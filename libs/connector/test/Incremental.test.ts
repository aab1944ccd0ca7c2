import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import type { Checkpoint, Page } from "@tributary/connector"
import { connector, millisOf, serve, services, source, synthetic, keysOf, read, timeOf, valuesOf } from "./harness.ts"

interface Item {
  readonly id: number
  readonly at: string | undefined
  readonly version: number
}

/** An API over a list that changes between walks. */
const feed = (order: "ascending" | "descending", pageSize: number) =>
  Effect.gen(function* () {
    const items = new Map<number, Item>()
    const asked: Array<string | null> = []
    const url = yield* serve((request, response) => {
      const query = new URL(request.url ?? "", "http://x").searchParams
      const since = query.get("since")
      const start = Number(query.get("cursor") ?? 0)
      if (start === 0) asked.push(since)
      const at = (item: Item) => (item.at === undefined ? Number.POSITIVE_INFINITY : millisOf(item.at))
      const found = [...items.values()]
        .filter((item) => since === null || at(item) >= millisOf(since))
        .toSorted((a, b) => at(a) - at(b) || a.id - b.id)
      if (order === "descending") found.reverse()
      const next = start + pageSize < found.length ? String(start + pageSize) : null
      response.end(JSON.stringify({ data: found.slice(start, start + pageSize), next }))
    })
    return { url, items, asked }
  })

const stream = (lookback: string, more: Record<string, unknown> = {}) => ({
  primary_key: "id",
  pagination: { cursor: "$.next", param: "cursor" },
  incremental: { field: "at", param: "since", lookback, ...more }
})
const last = (pages: ReadonlyArray<Page>): Checkpoint => pages.at(-1)!.checkpoint
const start = millisOf("2026-01-01T00:00:00Z")
const time = (seconds: number) => timeOf(start + seconds * 1000)

describe("incremental reading", () => {
  it.live("asks from the highest value less the lookback, in its format", () =>
    Effect.gen(function* () {
      const { asked, items, url } = yield* feed("ascending", 2)
      const ready = yield* source(connector(url, stream("1 minute", { start: "2025-12-31T00:00:00Z" })))
      for (let id = 0; id < 5; id++) items.set(id, { id, at: `2026-01-01T00:0${id}:00+00:00`, version: 1 })
      const first = yield* read(ready)
      assert.strictEqual(last(first).cursor, "2026-01-01T00:04:00+00:00")
      const second = yield* read(ready, last(first))
      assert.deepStrictEqual(asked, ["2025-12-31T00:00:00Z", "2026-01-01T00:03:00+00:00"])
      assert.deepStrictEqual([keysOf(second), second[0]?.skipped], [[], 2])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("knows again what comes again because its parameter has days or minutes only", () =>
    Effect.gen(function* () {
      for (const param_format of ["%Y-%m-%d", "%Y-%m-%d %H:%M"]) {
        const { asked, items, url } = yield* feed("ascending", 2)
        const ready = yield* source(connector(url, stream("0 seconds", { param_format })))
        for (let id = 0; id < 5; id++) items.set(id, { id, at: `2026-01-01T10:00:0${id}Z`, version: 1 })
        const first = yield* read(ready)
        items.set(5, { id: 5, at: "2026-01-01T10:00:05Z", version: 1 })
        const second = yield* read(ready, last(first))
        assert.deepStrictEqual([keysOf(second), asked[1]?.slice(0, 10)], [["5"], "2026-01-01"])
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("reads by a field that is a part of the key, or all of it", () =>
    Effect.gen(function* () {
      const asked: Array<string | null> = []
      const url = yield* serve((request, response) => {
        const since = new URL(request.url ?? "", "http://x").searchParams.get("since")
        asked.push(since)
        const first = Number(since ?? 0)
        const data = [0, 1, 2].map((n) => ({ shop: "x", id: first + n }))
        response.end(JSON.stringify({ data }))
      })
      const incremental = { field: "id", param: "since", type: "number" }
      for (const [key, keys] of [
        ["id", ["0", "1", "2", "3", "4"]],
        [
          ["shop", "id"],
          ['["x",0]', '["x",1]', '["x",2]', '["x",3]', '["x",4]']
        ]
      ] as const) {
        const ready = yield* source(connector(url, { primary_key: key, incremental }))
        const first = yield* read(ready)
        const second = yield* read(ready, last(first))
        assert.deepStrictEqual([...keysOf(first), ...keysOf(second)], [...keys])
        assert.deepStrictEqual(
          [...first, ...second].map((page) => page.rejected.length),
          [0, 0]
        )
      }
      assert.deepStrictEqual(asked, [null, "2", null, "2"])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("publishes what changed within the window, and a record of the boundary once", () =>
    Effect.gen(function* () {
      const { items, url } = yield* feed("descending", 3)
      const ready = yield* source(connector(url, stream("0 seconds")))
      for (let id = 0; id < 5; id++) items.set(id, { id, at: time(10), version: 1 })
      const first = yield* read(ready)
      items.set(3, { id: 3, at: time(10), version: 2 })
      items.set(9, { id: 9, at: time(10), version: 1 })
      const second = yield* read(ready, last(first))
      assert.deepStrictEqual(keysOf(second).toSorted(), ["3", "9"])
      const third = yield* read(ready, last(second))
      assert.deepStrictEqual(keysOf(third), [])
      assert.strictEqual(
        third.reduce((sum, page) => sum + page.skipped, 0),
        6
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("moves the cursor only when the walk is complete", () =>
    Effect.gen(function* () {
      const { asked, items, url } = yield* feed("descending", 2)
      const ready = yield* source(connector(url, stream("0 seconds")))
      for (let id = 0; id < 6; id++) items.set(id, { id, at: time(id), version: 1 })
      const part = yield* ready.pages("items", undefined).pipe(Stream.take(1), Stream.runCollect)
      assert.isUndefined(last(part).cursor)
      assert.strictEqual(last(part).walk?.maxSeen, time(5))
      const rest = yield* read(ready, last(part))
      assert.deepStrictEqual(keysOf([...part, ...rest]), ["5", "4", "3", "2", "1", "0"])
      assert.strictEqual(last(rest).cursor, time(5))
      yield* read(ready, last(rest))
      assert.deepStrictEqual(asked, [null, time(5)])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("publishes a record without the field, once, and it does not move the cursor", () =>
    Effect.gen(function* () {
      const { items, url } = yield* feed("ascending", 10)
      const ready = yield* source(connector(url, stream("0 seconds")))
      items.set(1, { id: 1, at: time(1), version: 1 })
      items.set(2, { id: 2, at: undefined, version: 1 })
      const first = yield* read(ready)
      assert.deepStrictEqual([keysOf(first), first[0]?.unmarked, last(first).cursor], [["1", "2"], 1, time(1)])
      items.set(3, { id: 3, at: time(3), version: 1 })
      const second = yield* read(ready, last(first))
      assert.deepStrictEqual(keysOf(second), ["3"])
      assert.deepStrictEqual(keysOf(yield* read(ready, last(second))), [])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("keeps the cursor and what it knows when nothing is new", () =>
    Effect.gen(function* () {
      const { items, url } = yield* feed("ascending", 10)
      const ready = yield* source(connector(url, stream("10 seconds")))
      items.set(1, { id: 1, at: time(1), version: 1 })
      let checkpoint = last(yield* read(ready))
      items.clear()
      checkpoint = last(yield* read(ready, checkpoint))
      assert.strictEqual(checkpoint.cursor, time(1))
      items.set(1, { id: 1, at: time(1), version: 1 })
      assert.deepStrictEqual(keysOf(yield* read(ready, checkpoint)), [])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("counts with integers beyond 2^53", () =>
    Effect.gen(function* () {
      const asked: Array<string | null> = []
      const url = yield* serve((request, response) => {
        asked.push(new URL(request.url ?? "", "http://x").searchParams.get("since"))
        response.end('{"data":[{"id":9007199254740993},{"id":9007199254740992}]}')
      })
      const settings = { incremental: { field: "id", param: "since", type: "number" } }
      const ready = yield* source(connector(url, settings))
      const first = yield* read(ready)
      yield* read(ready, last(first))
      assert.deepStrictEqual(asked, [null, "9007199254740993"])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("says so when the last value is not of the field's type any more", () =>
    Effect.gen(function* () {
      const ready = yield* source(connector("http://localhost", stream("0 seconds", { type: "number" })))
      const error = yield* Effect.flip(read(ready, { v: 1, cursor: time(1) }))
      assert.strictEqual(error.reason._tag, "BadSetting")
      assert.include(error.message, `the last value seen is "${time(1)}", which is no number`)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("reads a growing API, once each record", () =>
    Effect.gen(function* () {
      const api = yield* synthetic({ records: 1000 })
      const ready = yield* source(
        connector(api.url, {
          primary_key: "id",
          query: { limit: 100 },
          pagination: { link: "next" },
          incremental: { field: "updated_at", param: "since", lookback: "5 seconds" }
        })
      )
      const published: Array<string> = []
      let checkpoint: Checkpoint | undefined
      for (const records of [1000, 1000, 1003, 1500, 2222]) {
        api.set({ records })
        const pages = yield* read(ready, checkpoint)
        checkpoint = last(pages)
        published.push(...keysOf(pages))
      }
      assert.deepStrictEqual([published.length, new Set(published).size], [2222, 2222])
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  const Step = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 11 }))
  it.live.prop(
    "publishes each version once, whatever changes and wherever it is stopped",
    [Schema.Array(Schema.Tuple([Step, Step, Step])), Schema.Literals(["ascending", "descending"])],
    ([steps, order]) =>
      Effect.gen(function* () {
        const { items, url } = yield* feed(order, 3)
        const ready = yield* source(connector(url, stream("5 seconds")))
        const wanted = new Set<string>()
        const published: Array<string> = []
        let checkpoint: Checkpoint | undefined
        let newest = 0
        const put = (id: number, seconds: number) => {
          items.set(id, { id, at: time(seconds), version: (items.get(id)?.version ?? 0) + 1 })
        }
        for (const [change, count, stop] of steps) {
          newest += change
          // New records, some of them late but within the lookback, and a change of an old one.
          for (let i = 0; i < count; i++) put(items.size, Math.max(0, newest - ((i * change) % 6)))
          if (items.size > 0 && change % 3 === 0) put(change % items.size, newest)
          for (const item of items.values()) wanted.add(JSON.stringify(item))
          let isDone = false
          while (!isDone) {
            const pages = yield* ready
              .pages("items", checkpoint, { prefetch: stop % 2 === 0 })
              .pipe(Stream.take(stop === 0 ? 1000 : stop), Stream.runCollect)
            published.push(...valuesOf(pages))
            checkpoint = last(pages)
            isDone = checkpoint.walk === undefined
          }
        }
        assert.deepStrictEqual(published.toSorted(), [...wanted].toSorted())
      }).pipe(Effect.scoped, Effect.provide(services)),
    { arbitrary: { runs: 60 } }
  )
})
