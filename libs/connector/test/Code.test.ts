import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import {
  defineConnector,
  defineStream,
  inCharset,
  jsonExtractor,
  make,
  type Paginator,
  readableText,
  recordsExtractor,
  requesterOf,
  rewriting
} from "@tributary/connector"
import { LosslessJson } from "@tributary/codec"
import { connector, decodeConnector, keysOf, serve, services, valuesOf } from "./harness.ts"

const isObject = (value: LosslessJson.Json | undefined): value is { readonly [key: string]: LosslessJson.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Goes on with whatever the body says under `again`, an object. */
const tokens: Paginator = {
  values: [],
  parameters: [],
  fits: (position) => "token" in position,
  apply: (draft, position) => {
    if (position !== undefined && "token" in position) draft.url.searchParams.set("t", JSON.stringify(position.token))
  },
  next: ({ json }) => {
    const again = isObject(json) ? json["again"] : undefined
    return isObject(again) ? { token: { at: String(again["at"]) } } : "end"
  }
}

describe("a connector in code", () => {
  it.live("goes through its own slots, and on after a restart at any page", () =>
    Effect.gen(function* () {
      const asked: Array<string | null> = []
      const url = yield* serve((request, response) => {
        const token = new URL(request.url ?? "", "http://x").searchParams.get("t")
        asked.push(token)
        const at = token === null ? 0 : Number(JSON.parse(token).at)
        const lines = [`{"id":${at},"n":12345678901234567890}`, `{"id":${at + 1},"n":1.10}`]
        response.end(JSON.stringify({ rows: lines, again: at < 4 ? { at: String(at + 2) } : null }))
      })
      const definition = defineConnector({
        streams: {
          items: defineStream({
            requester: requesterOf({ url: `${url}/any`, headers: { "X-Own": "1" } }),
            paginator: tokens,
            extractor: recordsExtractor(({ body }) => {
              const value = LosslessJson.parse(body)
              const rows = isObject(value) ? value["rows"] : undefined
              return Array.isArray(rows) ? rows.map((row) => LosslessJson.parse(String(row))) : []
            }),
            transformation: rewriting((record, page) =>
              isObject(record) && record["id"] !== 3 ? [{ ...record, page: page.count }] : []
            )
          })
        }
      })
      const ready = yield* make(connector(url, { primary_key: "id" }), { base: import.meta.dirname, definition })
      const pages = yield* Stream.runCollect(ready.pages("items", undefined))
      assert.deepStrictEqual(keysOf(pages), ["0", "1", "2", "4", "5"])
      assert.deepStrictEqual(valuesOf(pages).slice(0, 2), [
        '{"id":0,"n":12345678901234567890,"page":2}',
        '{"id":1,"n":1.10,"page":2}'
      ])
      assert.deepStrictEqual(asked, [null, '{"at":"2"}', '{"at":"4"}'])
      const rest = yield* Stream.runCollect(ready.pages("items", pages[0]?.checkpoint))
      assert.deepStrictEqual(keysOf(rest), ["2", "4", "5"])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("reads pages and errors in a charset that only its extractor knows", () =>
    Effect.gen(function* () {
      const url = yield* serve((request, response) => {
        const token = new URL(request.url ?? "", "http://x").searchParams.get("t")
        const again = token === null ? '{"at":"日"}' : "null"
        // As UTF-16LE, which no header says.
        response.writeHead(token === null ? 200 : 422)
        response.end(Buffer.from(`{"data":[{"id":"日本"}],"again":${again}}`, "utf16le"))
      })
      const told: Array<LosslessJson.Json | undefined> = []
      const definition = defineConnector({
        streams: {
          items: defineStream({
            requester: requesterOf({ url: `${url}/any` }),
            paginator: tokens,
            extractor: inCharset(jsonExtractor("$.data[*]"), "utf-16le"),
            errorHandler: {
              seesSuccesses: false,
              decide: ({ body, charset, headers }) => {
                told.push(LosslessJson.parse(readableText(headers, body, charset)))
                return undefined
              }
            }
          })
        }
      })
      const ready = yield* make(connector(url, { primary_key: "id" }), { base: import.meta.dirname, definition })
      const keys: Array<string> = []
      const error = yield* ready.pages("items", undefined).pipe(
        Stream.runForEach((page) => Effect.sync(() => keys.push(...keysOf([page])))),
        Effect.flip
      )
      assert.deepStrictEqual(keys, ["日本"])
      assert.include(error.message, '"id":"日本"')
      assert.deepStrictEqual(told, [{ data: [{ id: "日本" }], again: null }])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("what a slot throws names the page", () =>
    Effect.gen(function* () {
      const url = yield* serve((_request, response) => response.end('{"data":[{"id":1}]}'))
      const definition = defineConnector({
        streams: {
          items: defineStream({
            requester: requesterOf({ url: `${url}/any?x=1` }),
            extractor: jsonExtractor("$.data[*]"),
            transformation: rewriting(() => {
              throw new Error("Nothing fits.")
            })
          })
        }
      })
      const ready = yield* make(connector(url), { base: import.meta.dirname, definition })
      const error = yield* Effect.flip(Stream.runCollect(ready.pages("items", undefined)))
      assert.strictEqual(error.reason._tag, "BadRecords")
      assert.include(
        error.message,
        `${url}/any?x=…: the stream's code could not make records of the answer: Nothing fits.`
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("is loaded from the file's module, with its config", () =>
    Effect.gen(function* () {
      const url = yield* serve((request, response) => response.end(`[{"id":"${request.headers["x-key"]}"}]`))
      const file = (module: string) =>
        decodeConnector({
          connector: "shop",
          module,
          config: { url, key: "${env:SHOP_SECRET}" },
          streams: { items: { primary_key: "id" } }
        })
      const ready = yield* make(file("./connectors/keyed.ts"), { base: import.meta.dirname })
      assert.deepStrictEqual(keysOf(yield* Stream.runCollect(ready.pages("items", undefined))), ["client-secret"])
      for (const [module, said] of [
        ["./connectors/none.ts", "cannot be loaded"],
        ["../src/Code.ts", "does not export a connector"]
      ] as const) {
        const error = yield* Effect.flip(Effect.scoped(make(file(module), { base: import.meta.dirname })))
        assert.include(error.message, said)
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
