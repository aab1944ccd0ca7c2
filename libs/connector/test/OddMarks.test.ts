// Incremental fields that do not behave: not there, ahead of the clock, and APIs that do not obey what is asked for.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import type { Checkpoint, Page } from "@tributary/connector"
import { answering, connector, keysOf, millisOf, read, serve, services, source, timeOf } from "./harness.ts"

interface Item {
  readonly id: number
  readonly at?: unknown
}

/** An API with these items, which obeys `since`, ignores it, or rounds it to days. */
const api = (items: Array<Item>, obeys: "yes" | "no" | "days") =>
  Effect.gen(function* () {
    const asked: Array<string | null> = []
    const url = yield* serve((request, response) => {
      const since = new URL(request.url ?? "", "http://x").searchParams.get("since")
      asked.push(since)
      const least = since === null || obeys === "no" ? "" : obeys === "days" ? since.slice(0, 10) : since
      response.end(JSON.stringify({ data: items.filter(({ at }) => typeof at !== "string" || at >= least) }))
    })
    return { url, asked }
  })

const stream = (more: Record<string, unknown> = {}) => ({
  primary_key: "id",
  incremental: { field: "at", param: "since", ...more }
})
const last = (pages: ReadonlyArray<Page>): Checkpoint => pages.at(-1)!.checkpoint
const counts = (pages: ReadonlyArray<Page>) =>
  pages.map(({ ahead, skipped, unasked, unmarked }) => ({ ahead, skipped, unasked, unmarked }))
const none = { ahead: 0, skipped: 0, unasked: 0, unmarked: 0 }
const day = 86_400_000

describe("a time that is ahead of the clock", () => {
  it.live("does not move the cursor beyond a day, is published once, and is counted", () =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const [fine, soon, far] = [timeOf(now - 1000), timeOf(now + day - 60_000), "9999-12-31T23:59:59.000Z"]
      const items: Array<Item> = [{ id: 1, at: fine }]
      const { asked, url } = yield* api(items, "yes")
      const ready = yield* source(connector(url, stream()))
      items.push({ id: 2, at: far })
      const first = yield* read(ready)
      assert.deepStrictEqual(keysOf(first), ["1", "2"])
      assert.deepStrictEqual(counts(first), [{ ...none, ahead: 1 }])
      assert.strictEqual(last(first).cursor, fine)
      // What comes later is still asked for, and the record from the future is known.
      items.push({ id: 3, at: soon })
      const second = yield* read(ready, last(first))
      assert.deepStrictEqual(keysOf(second), ["3"])
      assert.deepStrictEqual(counts(second), [{ ...none, ahead: 1, skipped: 2 }])
      assert.strictEqual(last(second).cursor, soon)
      const third = yield* read(ready, last(second))
      assert.deepStrictEqual([keysOf(third), last(third).cursor], [[], soon])
      assert.deepStrictEqual(asked, [null, fine, soon])
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live(
    "is taken back where an earlier version went there: the stream is read from its start, and nothing is left out",
    () =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const [fine, later] = [timeOf(now - 5000), timeOf(now - 1000)]
        const items: Array<Item> = [{ id: 1, at: fine }]
        const { asked, url } = yield* api(items, "yes")
        const ready = yield* source(connector(url, stream({ start: "2020-01-01T00:00:00Z" })))
        const astray: Checkpoint = { v: 1, cursor: "9999-12-31T23:59:59.000Z", startedAt: now, completedAt: now }
        const first = yield* read(ready, astray)
        assert.deepStrictEqual([keysOf(first), last(first).cursor], [["1"], fine])
        items.push({ id: 2, at: later })
        const second = yield* read(ready, last(first))
        assert.deepStrictEqual([keysOf(second), last(second).cursor], [["2"], later])
        assert.deepStrictEqual(asked, ["2020-01-01T00:00:00Z", fine])
      }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("may be as far ahead as the setting says; numbers may be anything", () =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const soon = timeOf(now + 60_000)
      const { url } = yield* api([{ id: 1, at: soon }], "yes")
      const strict = yield* read(yield* source(connector(url, stream({ ahead: "0 seconds" }))))
      assert.deepStrictEqual([last(strict).cursor, strict[0]?.ahead], [undefined, 1])
      const loose = yield* read(yield* source(connector(url, stream({ ahead: "2 minutes" }))))
      assert.deepStrictEqual([last(loose).cursor, loose[0]?.ahead], [soon, 0])
      const numbers = yield* api([{ id: 9_000_000_000_000_000 }], "yes")
      const read3 = yield* read(
        yield* source(
          connector(numbers.url, { primary_key: "id", incremental: { field: "id", param: "since", type: "number" } })
        )
      )
      assert.deepStrictEqual([last(read3).cursor, read3[0]?.ahead], ["9000000000000000", 0])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("an API that does not obey `since`", () => {
  const items: Array<Item> = [0, 1, 2, 3].map((n) => ({
    id: n,
    at: timeOf(millisOf("2026-01-01T00:00:00Z") + n * day)
  }))

  it.live("has its old records published again and counted, and with a window that is long enough published once", () =>
    Effect.gen(function* () {
      const { url } = yield* api(items, "no")
      const short = yield* source(connector(url, stream()))
      const first = yield* read(short)
      assert.deepStrictEqual(counts(first), [none])
      const again = yield* read(short, last(first))
      assert.deepStrictEqual(keysOf(again), ["0", "1", "2"])
      assert.deepStrictEqual(counts(again), [{ ...none, skipped: 1, unasked: 3 }])

      const long = yield* source(connector(url, stream({ window: "2 days" })))
      const before = yield* read(long)
      const after = yield* read(long, last(before))
      assert.deepStrictEqual(keysOf(after), ["0"])
      assert.deepStrictEqual(counts(after), [{ ...none, skipped: 3, unasked: 1 }])
      // And the one after that, of a walk that found nothing newer.
      const third = yield* read(long, last(after))
      assert.deepStrictEqual(counts(third), [{ ...none, skipped: 3, unasked: 1 }])
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("but rounds it, is told apart by its counts, and mended by a window of a day", () =>
    Effect.gen(function* () {
      const base = millisOf("2026-01-01T00:00:00Z")
      const own: Array<Item> = [1, 2, 3].map((n) => ({ id: n, at: timeOf(base + n * 3_600_000) }))
      const { url } = yield* api(own, "days")
      const ready = yield* source(connector(url, stream({ window: "1 day" })))
      const first = yield* read(ready)
      own.push({ id: 4, at: timeOf(base + 4 * 3_600_000) })
      const second = yield* read(ready, last(first))
      assert.deepStrictEqual([keysOf(second), counts(second)], [["4"], [{ ...none, skipped: 3 }]])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("a stream in parts", () => {
  it.live("counts what is odd in each of them", () =>
    Effect.gen(function* () {
      const items = [
        { id: 1 },
        { id: 2, at: "2026-01-01T00:00:00Z" },
        { id: 3, at: "9999-12-31T23:59:59Z" },
        { id: 4, at: "2026-01-05T00:00:00Z" }
      ]
      const ready = yield* source(
        connector(yield* answering(JSON.stringify({ data: items })), {
          ...stream(),
          path: "/{region}",
          partitions: { list: { region: ["eu", "us"] } }
        })
      )
      const first = yield* read(ready)
      const odd = { ...none, ahead: 1, unmarked: 1 }
      assert.deepStrictEqual(counts(first), [odd, odd, none])
      const second = yield* read(ready, last(first))
      assert.deepStrictEqual(
        [keysOf(second), counts(second)],
        [
          ["2", "2"],
          [{ ...odd, skipped: 3, unasked: 1 }, { ...odd, skipped: 3, unasked: 1 }, none]
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("times in a form of the API's own, asked for in windows", () => {
  it.live("are ahead of the clock or unasked for like any other; what a lookback shows again is published once", () =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const seconds = (millis: number) => Math.floor(millis / 1000)
      const at = (days: number) => seconds(now - days * day)
      const items = [5, 4, 3.5, 2.5, 1.2].map((days) => ({ id: days, at: at(days) }))
      const url = yield* serve((request, response) => {
        const query = new URL(request.url ?? "", "http://x").searchParams
        const [since, until] = [Number(query.get("since")), Number(query.get("until"))]
        const data = items.filter((item) => item.at > seconds(now) + 2 || (item.at >= since && item.at < until))
        response.end(JSON.stringify({ data }))
      })
      const ready = yield* source(
        connector(
          url,
          stream({ until_param: "until", format: "%s", start: String(at(6)), step: "1 day", lookback: "2 days" })
        )
      )
      const first = yield* read(ready)
      assert.deepStrictEqual(keysOf(first), ["5", "4", "3.5", "2.5", "1.2"])
      items.push({ id: 0, at: at(0.5) })
      const second = yield* read(ready, last(first))
      assert.deepStrictEqual(keysOf(second), ["0"])
      items.push({ id: -1, at: at(0.1) }, { id: 9, at: seconds(now + 3 * day) })
      const third = yield* read(ready, last(second))
      assert.deepStrictEqual(new Set(keysOf(third)), new Set(["-1", "9"]))
      assert.isAbove(
        third.reduce((sum, { ahead }) => sum + ahead, 0),
        0
      )
      const fourth = yield* read(ready, last(third))
      assert.deepStrictEqual(keysOf(fourth), [])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("a field that is not there", () => {
  it.live("is counted for each record, which is published once", () =>
    Effect.gen(function* () {
      const { asked, url } = yield* api([{ id: 1 }, { id: 2, at: 17 }], "yes")
      const ready = yield* source(connector(url, stream()))
      const first = yield* read(ready)
      assert.deepStrictEqual(counts(first), [{ ...none, unmarked: 2 }])
      const second = yield* read(ready, last(first))
      assert.deepStrictEqual([keysOf(second), counts(second)], [[], [{ ...none, skipped: 2, unmarked: 2 }]])
      assert.deepStrictEqual(asked, [null, null])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
