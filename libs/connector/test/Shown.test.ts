import { assert, describe, it } from "@effect/vitest"
import { Environment } from "@tributary/secrets"
import { Effect, Layer } from "effect"
import { connector, failure, keysOf, read, serve, services, source } from "./harness.ts"
import { proxy } from "@tributary/testkit"

describe("a secret in the path", () => {
  /** Pages of one record below the key, each naming the next one's address with it. */
  const below = (paths: Array<string>, last: string) =>
    serve((request, response) => {
      paths.push(request.url ?? "")
      const url = new URL(request.url ?? "", "http://here")
      const page = Number(url.searchParams.get("page") ?? 0)
      if (page === 2) {
        response.statusCode = 404
        return response.end(`nothing at ${url.pathname}`)
      }
      const next = page === 1 ? last : `${url.pathname}?page=${page + 1}`
      response.end(JSON.stringify({ data: [{ id: page }], next }))
    })
  const stream = { path: "/k/${env:SHOP_KEY}/items", primary_key: "id", pagination: { next_url: "$.next" } }

  it.live("is kept out of messages and of positions, and is in the requests that go on from them", () =>
    Effect.gen(function* () {
      const paths: Array<string> = []
      const url = yield* serve((request, response) => {
        paths.push(request.url ?? "")
        const page = Number(new URL(request.url ?? "", "http://here").searchParams.get("page") ?? 0)
        const next = page === 2 ? null : `${(request.url ?? "").split("?", 1)[0]}?page=${page + 1}`
        response.end(JSON.stringify({ data: [{ id: page }], next }))
      })
      const ready = yield* source(connector(url, stream))
      const pages = yield* read(ready)
      assert.deepStrictEqual(keysOf(pages), ["0", "1", "2"])
      assert.notInclude(JSON.stringify(pages.map(({ checkpoint }) => checkpoint)), "key-of-the-shop-42")
      assert.deepStrictEqual(keysOf(yield* read(ready, pages[0]?.checkpoint)), ["1", "2"])
      const at = (page: number) => `/k/key-of-the-shop-42/items${page === 0 ? "" : `?page=${page}`}`
      assert.deepStrictEqual(paths, [0, 1, 2, 1, 2].map(at))
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("is cut out of what is said of an address", () =>
    Effect.gen(function* () {
      for (const last of ["/k/key-of-the-shop-42/items?page=2", "https://other.example/key-of-the-shop-42"]) {
        const { message } = yield* failure(connector(yield* below([], last), stream))
        assert.notInclude(message, "key-of-the-shop-42")
        assert.include(message, "[secret]")
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("what an API says", () => {
  it.live("shows no secret that it repeats, in base64 neither", () =>
    Effect.gen(function* () {
      const encoded = Buffer.from("key-of-the-shop-42").toString("base64")
      const url = yield* serve((_request, response) => {
        response.statusCode = 400
        response.end(`no such key: key-of-the-shop-42, ${encoded}`)
      })
      const { message } = yield* failure(connector(url, { headers: { "x-key": "${env:SHOP_KEY}" } }))
      assert.include(message, "answered 400: no such key: [secret], [secret]")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("what a file says", () => {
  it.live("cannot write to a terminal by its filter", () =>
    Effect.gen(function* () {
      const filter = 'record.x == "\u001b[2J" ++ \u0007'
      const { message } = yield* failure(connector("http://127.0.0.1:9", { filter }))
      assert.match(
        message,
        /streams\.items\.filter: the expression is wrong: .* Expression: record\.x == " \[2J" \+\+/u
      )
      assert.notMatch(message, /\p{Cc}/u)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("a connection that is only tried", () => {
  it.live("goes to the API itself where NO_PROXY says so, as requests do", () =>
    Effect.gen(function* () {
      const { url: proxyUrl } = yield* proxy
      const url = yield* serve((_request, response) => void response.end("{}"))
      const tried = (environment: Record<string, string>) =>
        Effect.gen(function* () {
          const { connect } = yield* (yield* source(connector(url))).trial("items")
          return (yield* connect).proxy
        }).pipe(Effect.scoped, Effect.provide(Layer.merge(services, Layer.succeed(Environment, environment))))
      const HTTP_PROXY = proxyUrl("user:p%40ss")
      assert.strictEqual(yield* tried({ HTTP_PROXY }), new URL(HTTP_PROXY).host)
      for (const NO_PROXY of ["127.0.0.1", "*", new URL(url).host]) {
        assert.isUndefined(yield* tried({ HTTP_PROXY, NO_PROXY }), NO_PROXY)
      }
    }).pipe(Effect.scoped)
  )
})
