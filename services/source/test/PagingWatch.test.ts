import type { ServerResponse } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Status } from "@tributary/telemetry"
import { Effect } from "effect"
import { answer, connector, run, serve, withServices } from "./support.ts"

const rows = (count: number, from = 0) =>
  JSON.stringify(Array.from({ length: count }, (_, index) => ({ id: from + index })))

/** What is said of a stream after two runs over pages of an API. */
const noticesOf = (
  page: (url: URL, response: ServerResponse, asked: number) => void,
  stream: Record<string, unknown> = {}
) =>
  withServices(
    Effect.gen(function* () {
      let asked = 0
      const url = yield* serve((request, response) =>
        page(new URL(request.url ?? "", "http://host"), response, asked++)
      )
      yield* run(connector(url, { items: stream }), true)
      const { snapshot } = yield* Status
      return (yield* snapshot).flatMap(({ notices = [] }) => notices.map(({ message }) => message))
    })
  )
const always = (body: string) => (_url: URL, response: ServerResponse) => answer(response, body)

describe("a run says when what pagination names is never found", () => {
  it.live("on a page that looks full", () =>
    Effect.gen(function* () {
      const full = always(`{"data":${rows(100)},"nextPage":"x","has_more":true}`)
      for (const [pagination, missing] of [
        [{ cursor: "$.next", param: "cursor" }, "nothing at $.next (pagination.cursor)"],
        [{ next_url: "$.links.next" }, "nothing at $.links.next (pagination.next_url)"],
        [{ header: "x-next", param: "cursor" }, "no header x-next (pagination.header)"],
        [{ link: "next" }, 'no Link header with rel="next" (pagination.link)'],
        [{ cursor: "$.nextPage", param: "cursor", more: "$.hasMore" }, "nothing at $.hasMore (pagination.more)"],
        [{ last_record: "id", param: "after", more: "$.hasMore" }, "nothing at $.hasMore (pagination.more)"],
        // It says that there is more, and names nothing.
        [{ cursor: "$.next", param: "cursor", more: "$.has_more" }, "nothing at $.next (pagination.cursor)"]
      ] as const) {
        const said = yield* noticesOf(full, { pagination })
        assert.strictEqual(said.length, 1, JSON.stringify(pagination))
        assert.include(said[0], `items: a page of 100 records, which looks full, had ${missing}`)
      }
      // As many as were asked for, in the query or in the body.
      const asked = yield* noticesOf(always(`{"data":${rows(7)}}`), { query: { per_page: 7 } })
      assert.strictEqual(asked.length, 1)
      const inBody = { method: "POST", body: { json: { paging: { pageSize: 7 } } } }
      assert.strictEqual((yield* noticesOf(always(`{"data":${rows(7)}}`), inBody)).length, 1)
      // Once for the stream, however many parts it has.
      const parts = yield* noticesOf(
        (url, response) => answer(response, `{"data":${rows(50, Number(url.searchParams.get("part")) * 50)}}`),
        { query: { part: "{part}" }, partitions: { list: { part: ["1", "2", "3"] } } }
      )
      assert.strictEqual(parts.length, 1)
      assert.include(parts[0], "3 pages that look full had nothing at $.next")
    })
  )
  it.live("and nothing of short pages, empty ones, last ones, and where it was found once", () =>
    Effect.gen(function* () {
      const cursor = { cursor: "$.next", param: "cursor" }
      for (const [page, stream] of [
        [always(`{"data":${rows(17)}}`), {}],
        [always('{"data":[]}'), {}],
        [always(`{"data":${rows(100)}}`), { query: { limit: 200 } }],
        [always(`{"data":${rows(100)},"next":null}`), {}],
        [always(`{"data":${rows(100)},"next":""}`), {}],
        [always(`{"data":${rows(100)},"more":false}`), { pagination: { ...cursor, more: "$.more" } }],
        [always(`{"data":${rows(100)},"end":true}`), { pagination: { ...cursor, end: "$.end" } }],
        [always(`{"data":${rows(50)}}`), { pagination: { page: "page", size: 100 } }],
        [
          (url: URL, response: ServerResponse) =>
            answer(
              response,
              url.searchParams.has("cursor") ? `{"data":${rows(100, 100)}}` : `{"data":${rows(100)},"next":"x"}`
            ),
          {}
        ],
        // A part of the stream that has one page, after one that has two.
        [
          (url: URL, response: ServerResponse) =>
            answer(
              response,
              url.searchParams.get("part") === "1" && !url.searchParams.has("cursor")
                ? `{"data":${rows(100)},"next":"x"}`
                : `{"data":${rows(50, 1000)}}`
            ),
          { query: { part: "{part}" }, partitions: { list: { part: ["1", "2"] } } }
        ]
      ] as const) {
        assert.deepStrictEqual(yield* noticesOf(page, stream), [], JSON.stringify(stream))
      }
    })
  )
  it.live("until it is found, and again in no run", () =>
    Effect.gen(function* () {
      const seen = yield* withServices(
        Effect.gen(function* () {
          const url = yield* serve((_request, response) => answer(response, `{"data":${rows(100)},"next":""}`))
          const { notice, snapshot } = yield* Status
          yield* notice("shop", "paging items", "of the file before")
          yield* run(connector(url), true)
          return (yield* snapshot).flatMap(({ notices = [] }) => notices)
        })
      )
      assert.deepStrictEqual(seen, [])
    })
  )
})
