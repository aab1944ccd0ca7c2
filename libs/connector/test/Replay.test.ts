import { assert, describe, it } from "@effect/vitest"
import { layerReplay, make, readCassette } from "@tributary/connector"
import { Effect, Stream } from "effect"
import { connector } from "./harness.ts"

const head = { cassette: 1, connector: "shop", recordedAt: "2026-03-01T08:00:00.000Z", references: {} }
const exchange = (path: string, status: number, body?: unknown, headers: Record<string, string> = {}) => ({
  stream: "items",
  request: {
    method: "GET",
    url: `https://api.shop.example${path}`,
    headers: { accept: "application/json", ...headers }
  },
  answer: {
    status,
    headers: status === 429 ? { "retry-after": "3600" } : {},
    ...(body === undefined ? {} : { body: { text: JSON.stringify(body) } })
  }
})

/** What a stream brings on a cassette of these lines, or its error. */
const replayed = (lines: ReadonlyArray<unknown>, stream: Record<string, unknown> = {}) =>
  Effect.gen(function* () {
    const text = [head, ...lines].map((line) => JSON.stringify(line)).join("\n")
    const cassette = yield* readCassette(text, "shop.cassette")
    const settings = connector("https://api.shop.example", stream, { rate_limit: { requests: 1, per: "1 hour" } })
    return yield* Effect.gen(function* () {
      const source = yield* make(settings, { base: import.meta.dirname })
      const pages = yield* Stream.runCollect(source.pages("items", undefined))
      return pages.flatMap(({ records }) => records.map(({ value }) => Buffer.from(value).toString()))
    }).pipe(
      Effect.scoped,
      Effect.catchTag("SourceError", ({ reason }) => Effect.succeed(reason)),
      Effect.provide(layerReplay(cassette))
    )
  })

const failed = (found: unknown): string =>
  typeof found === "object" && found !== null && "message" in found ? String(found.message) : "no failure"

describe("a replay", () => {
  it.live("keeps no rate limit and waits for nothing that was asked for", () =>
    Effect.gen(function* () {
      const found = yield* replayed(
        [
          exchange("/records", 429),
          exchange("/records", 200, { data: [{ id: 1 }], next: "b" }),
          exchange("/records?c=b", 200, { data: [{ id: 2 }], next: null })
        ],
        { pagination: { cursor: "$.next", param: "c" } }
      )
      assert.deepStrictEqual(found, ['{"id":1}', '{"id":2}'])
    })
  )

  it.live("ends where a failure is all that there is", () =>
    Effect.gen(function* () {
      const found = yield* replayed([exchange("/records", 429)])
      assert.match(failed(found), /asked again and again, and its last answer in shop\.cassette is a failure/u)
    })
  )

  it.live("tells requests apart by a header where nothing else differs", () =>
    Effect.gen(function* () {
      const lines = [
        exchange("/records", 200, { data: [{ id: 2 }], next: null }, { "x-from": "b" }),
        exchange("/records", 200, { data: [{ id: 1 }], next: "b" })
      ]
      const stream = { pagination: { cursor: "$.next", param: "x-from", in: "header" } }
      assert.deepStrictEqual(yield* replayed(lines, stream), ['{"id":1}', '{"id":2}'])
    })
  )

  it.live("says that there is nothing in a cassette, or nothing that fits", () =>
    Effect.gen(function* () {
      assert.match(failed(yield* replayed([])), /shop\.cassette has no exchanges/u)
      const other = yield* replayed([exchange("/other?page=1", 200, { data: [] })], { query: { page: 2, of: "all" } })
      assert.match(
        failed(other),
        /The nearest is GET https:\/\/api\.shop\.example\/other\?page=1 \(line 2\): the address is \S+records, recorded is \S+other; the parameter of is new \(all\); the parameter page is 2, recorded is 1\./u
      )
      for (const [text, problem] of [
        ["", /:1 .*the file is empty/u],
        ['{"walk":"items","startedAt":1}', /:1 .*expected the head first/u],
        [`${JSON.stringify(head)}\n{"request":{}}`, /:2 .*expected a head, a walk or an exchange/u],
        [`${JSON.stringify(head)}\n${JSON.stringify(head)}`, /:2 .*found a second head/u]
      ] as const) {
        const error = yield* Effect.flip(readCassette(text, "shop.cassette"))
        assert.match(error.message, problem)
      }
    })
  )
})
