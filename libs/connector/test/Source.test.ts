import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { Checkpoint, type Page } from "@tributary/connector"
import {
  answering,
  connector,
  failure,
  keysOf,
  read,
  serve,
  services,
  source,
  synthetic,
  text,
  valuesOf
} from "./harness.ts"

const throughJson = (checkpoint: Checkpoint): Checkpoint =>
  Schema.decodeUnknownSync(Checkpoint)(JSON.parse(JSON.stringify(Schema.encodeSync(Checkpoint)(checkpoint))))

const last = (pages: ReadonlyArray<Page>): Checkpoint | undefined => pages.at(-1)?.checkpoint
const ids = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `evt_${String(from + i).padStart(10, "0")}`)

const kinds: Record<string, Record<string, unknown>> = {
  cursor: { query: { limit: 100 }, pagination: { cursor: "$.next", param: "cursor" } },
  page: { pagination: { page: "page", size: 100, size_param: "limit" } },
  "page without size": { query: { limit: 100 }, pagination: { page: "page" } },
  offset: { pagination: { offset: "offset", limit: 100 } },
  next_url: { query: { limit: 100 }, pagination: { next_url: "$.links.next" } },
  link: { query: { limit: 100 }, pagination: { link: "next" } }
}

describe("pagination", () => {
  for (const [kind, settings] of Object.entries(kinds)) {
    it.live(`${kind}: reads every record once`, () =>
      Effect.gen(function* () {
        const api = yield* synthetic({ records: 1050 })
        const pages = yield* read(yield* source(connector(api.url, { ...settings, primary_key: "id" })))
        assert.deepStrictEqual(keysOf(pages), ids(0, 1050))
        assert.deepStrictEqual(
          pages.map(({ number }) => number),
          pages.map((_, i) => i)
        )
        assert.deepStrictEqual(pages.filter((page) => page.last).length, 1)
        assert.isUndefined(last(pages)?.walk)
      }).pipe(Effect.scoped, Effect.provide(services))
    )
    it.live(`${kind}: goes on after a stop at any page boundary, in any sequence`, () =>
      Effect.gen(function* () {
        const api = yield* synthetic({ records: 950 })
        const ready = yield* source(connector(api.url, { ...settings, primary_key: "id" }))
        for (const steps of [[1], [2, 3], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [9], [4, 2, 3]]) {
          const committed: Array<string> = []
          let checkpoint: Checkpoint | undefined
          let isDone = false
          for (const step of [...steps, 1000]) {
            if (isDone) break
            const pages = yield* ready.pages("items", checkpoint).pipe(Stream.take(step), Stream.runCollect)
            committed.push(...keysOf(pages))
            checkpoint = throughJson(last(pages)!)
            isDone = checkpoint.walk === undefined
          }
          assert.deepStrictEqual(committed, ids(0, 950), steps.join())
        }
      }).pipe(Effect.scoped, Effect.provide(services))
    )
  }
  it.live("one page is all without pagination", () =>
    Effect.gen(function* () {
      const api = yield* synthetic({ records: 5000 })
      const pages = yield* read(yield* source(connector(api.url, { primary_key: "id" })))
      assert.deepStrictEqual(keysOf(pages), ids(0, 1000))
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("requests at most one page ahead, and none ahead without prefetch", () =>
    Effect.gen(function* () {
      for (const [prefetch, ahead] of [
        [true, 1],
        [false, 0]
      ] as const) {
        const api = yield* synthetic({ records: 1000 })
        const ready = yield* source(connector(api.url, kinds["cursor"]))
        yield* ready.pages("items", undefined, { prefetch }).pipe(
          Stream.runForEach((page) =>
            Effect.gen(function* () {
              yield* Effect.sleep("5 millis")
              assert.isAtMost(api.stats.requests, page.number + 1 + ahead)
            })
          )
        )
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("begins the walk again when the API has forgotten its position", () =>
    Effect.gen(function* () {
      const api = yield* synthetic({ records: 300 })
      const ready = yield* source(connector(api.url, { ...kinds["cursor"], primary_key: "id" }))
      const walk = { position: { cursor: "Zm9yZ290dGVu" }, number: 7, startedAt: 1 }
      const pages = yield* read(ready, { v: 1, walk })
      assert.deepStrictEqual(keysOf(pages), ids(0, 300))
      assert.strictEqual(api.stats.badRequests, 1)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("takes a position of another kind as none", () =>
    Effect.gen(function* () {
      const api = yield* synthetic({ records: 100 })
      const ready = yield* source(connector(api.url, { ...kinds["offset"], primary_key: "id" }))
      const pages = yield* read(ready, { v: 1, walk: { position: { cursor: "x" }, number: 7, startedAt: 1 } })
      assert.deepStrictEqual(keysOf(pages), ids(0, 100))
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("previews the first pages", () =>
    Effect.gen(function* () {
      const api = yield* synthetic({ records: 1000 })
      const ready = yield* source(connector(api.url, kinds["page"]))
      assert.strictEqual((yield* ready.preview("items", 150)).length, 2)
      assert.strictEqual(api.stats.requests, 2)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("guards", () => {
  it.live("stop a walk in a circle", () =>
    Effect.gen(function* () {
      // a -> b -> c -> a: no page names the one before it.
      const next: Record<string, string> = { "": "a", a: "b", b: "c", c: "a" }
      const url = yield* serve((request, response) => {
        const cursor = new URL(request.url ?? "", "http://x").searchParams.get("cursor") ?? ""
        response.end(JSON.stringify({ data: [{ id: cursor }], next: next[cursor] }))
      })
      const error = yield* failure(connector(url, { pagination: { cursor: "$.next", param: "cursor" } }))
      assert.strictEqual(error.reason._tag, "CursorRepeated")
      assert.include(error.message, "after page 3, the API names a next page that was read before.")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("stop a walk whose page parameter the API does not know", () =>
    Effect.gen(function* () {
      const url = yield* answering('{"data":[{"id":1},{"id":2}]}')
      for (const pagination of [{ page: "page" }, { offset: "skip", limit: 2 }]) {
        const error = yield* failure(connector(url, { pagination }))
        assert.strictEqual(error.reason._tag, "CursorRepeated")
        assert.include(error.message, "the same records again and again; it may not know the page parameter")
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("do not carry credentials to another origin", () =>
    Effect.gen(function* () {
      let visits = 0
      const foreign = yield* serve((_request, response) => {
        visits++
        response.end('{"data":[]}')
      })
      const pages = [
        `${foreign}/records?page=2&key=secret`,
        `//${new URL(foreign).host}/x`,
        "http://169.254.169.254/latest"
      ]
      for (const next of pages) {
        const url = yield* answering(JSON.stringify({ data: [{ id: 1 }], next }))
        const error = yield* failure(connector(url, { pagination: { next_url: "$.next" } }))
        assert.strictEqual(error.reason._tag, "ForeignUrl")
        assert.include(error.message, `but the connector's origin is ${url}`)
        assert.notInclude(error.message, "secret")
      }
      const url = yield* answering('{"data":[]}', 200, { link: `<${foreign}/x>; rel=next` })
      assert.strictEqual((yield* failure(connector(url, { pagination: { link: "next" } }))).reason._tag, "ForeignUrl")
      assert.strictEqual(visits, 0)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("want a cursor to be a text or a number", () =>
    Effect.gen(function* () {
      const url = yield* answering('{"data":[{"id":1}],"next":{"page":2}}')
      const error = yield* failure(connector(url, { pagination: { cursor: "$.next", param: "cursor" } }))
      assert.include(error.message, 'expected a text or a number at $.next. Found {"page":2}.')
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("keep secrets of the query out of the checkpoint", () =>
    Effect.gen(function* () {
      const asked: Array<string | null> = []
      const url = yield* serve((request, response) => {
        const here = new URL(request.url ?? "", "http://x")
        asked.push(here.searchParams.get("api_key"))
        const next = here.searchParams.has("page") ? null : `${here.pathname}${here.search}&page=2`
        response.end(JSON.stringify({ data: [{ id: 1 }], next }))
      })
      const settings = { query: { api_key: "${env:SHOP_KEY}" }, pagination: { next_url: "$.next" } }
      const pages = yield* read(yield* source(connector(url, settings)))
      assert.deepStrictEqual(asked, ["key-of-the-shop-42", "key-of-the-shop-42"])
      assert.deepStrictEqual(pages[0]?.checkpoint.walk?.position, { url: "/records?page=2" })
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("records", () => {
  it.live("stay the bytes that the API sent", () =>
    Effect.gen(function* () {
      const records = ['{ "id" : 9007199254740993, "total": 1.50, "name":"Zo\\u00eb \\"Z\\"" }', '{"id":2,"x":[1 ,2]}']
      const url = yield* answering(`\ufeff {"data": [${records.join(" ,\n ")}] }\n`)
      const pages = yield* read(yield* source(connector(url, { primary_key: "id" })))
      assert.deepStrictEqual(valuesOf(pages), records)
      assert.deepStrictEqual(keysOf(pages), ["9007199254740993", "2"])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("have keys as text, as JSON text, and as JSON arrays", () =>
    Effect.gen(function* () {
      const url = yield* answering(
        '{"data":[{"a":{"id":"x\\u00e9"},"b":1},{"a":{"id":"y"},"b":"2"},{"a":{"id":true},"b":1.0}]}'
      )
      const keys = (settings: Record<string, unknown>) =>
        Effect.map(
          Effect.flatMap(source(connector(url, settings)), (ready) => read(ready)),
          keysOf
        )
      assert.deepStrictEqual(yield* keys({ primary_key: "a.id" }), ["xé", "y", "true"])
      assert.deepStrictEqual(yield* keys({ primary_key: ["a.id", "b"] }), ['["xé",1]', '["y","2"]', "[true,1.0]"])
      assert.deepStrictEqual(yield* keys({}), ["null", "null", "null"])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("that cannot be published are rejected, each with its reason", () =>
    Effect.gen(function* () {
      const url = yield* answering(
        Buffer.concat([
          Buffer.from('{"data":[{"id":1},{"x":2},{"id":null},{"id":{}},{"id":""},7,{"id":"'),
          Buffer.from([0xe9]),
          Buffer.from('"},{"id":8}]}')
        ])
      )
      const pages = yield* read(yield* source(connector(url, { primary_key: "id" })))
      assert.deepStrictEqual(keysOf(pages), ["1", "8"])
      const rejected = pages.flatMap((page) => page.rejected)
      const wanted = "Expected a text or a number in id (the stream's primary_key), found"
      assert.deepStrictEqual(
        rejected.map(({ index, code, reason }) => [index, code, reason]),
        [
          [1, "missing_key", `${wanted} nothing.`],
          [2, "missing_key", `${wanted} null.`],
          [3, "missing_key", `${wanted} an object.`],
          [4, "missing_key", `${wanted} an empty text.`],
          [5, "not_an_object", "Expected an object at $.data[*], found a number or boolean."],
          [6, "not_utf8", "Expected UTF-8 text, found the byte 0xe9 at byte 7 of the record."]
        ]
      )
      assert.strictEqual(text(rejected[0]!.value), '{"x":2}')
      const whole = yield* read(yield* source(connector(url, { records: "$.data" })))
      assert.include(whole[0]?.rejected[0]?.reason, "set the stream's records to $.data[*].")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
