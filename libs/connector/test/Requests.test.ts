import type { IncomingMessage } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Environment } from "@tributary/secrets"
import { connector, failure, keysOf, read, serve, services, source } from "./harness.ts"
import { proxy } from "@tributary/testkit"

interface Seen {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly headers: IncomingMessage["headers"]
  readonly body: string
}

/** A server that keeps what it is asked and answers with pages of one record each. */
const keeping = (pages = 1) =>
  Effect.gen(function* () {
    const seen: Array<Seen> = []
    const url = yield* serve((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const id = seen.length
        seen.push({
          method: request.method,
          path: request.url,
          headers: request.headers,
          body: Buffer.concat(chunks).toString()
        })
        response.setHeader("content-type", "application/json")
        response.end(JSON.stringify({ data: [{ id }], next: id + 1 < pages ? `c${id + 1}` : null }))
      })
    })
    return { seen, url }
  })

describe("requests", () => {
  it.live("carry bodies of every kind, and the pagination puts its values into them", () =>
    Effect.gen(function* () {
      const cursor = { cursor: "$.next", param: "page.after", in: "body" }
      const cases = [
        [
          { json: { status: "open", secret: "${env:SHOP_SECRET}", deep: [{ x: 1 }] } },
          "application/json",
          '{"status":"open","secret":"client-secret","deep":[{"x":1}],"page":{"after":"c1"}}'
        ],
        [{ form: { status: "öpen", n: 1 } }, "application/x-www-form-urlencoded", "status=%C3%B6pen&n=1&page.after=c1"],
        [
          { graphql: "query { orders { id } }", variables: { first: 2 } },
          "application/json",
          '{"query":"query { orders { id } }","variables":{"first":2,"page":{"after":"c1"}}}'
        ],
        [{ text: "<q after='{page.after}'/>", content_type: "application/xml" }, "application/xml", "<q after='c1'/>"]
      ] as const
      for (const [body, type, second] of cases) {
        const { seen, url } = yield* keeping(2)
        const stream = { body, pagination: cursor, primary_key: "id", headers: { "X-Own": "2" } }
        const pages = yield* read(yield* source(connector(url, stream, { headers: { "x-own": "1", "x-all": "1" } })))
        assert.deepStrictEqual(keysOf(pages), ["0", "1"])
        assert.deepStrictEqual(
          [seen[1]?.method, seen[1]?.headers["content-type"], seen[1]?.body],
          ["POST", type, second]
        )
        assert.deepStrictEqual([seen[1]?.headers["x-own"], seen[1]?.headers["x-all"]], ["2", "1"])
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("go to the stream's own address, with its method", () =>
    Effect.gen(function* () {
      const { seen, url } = yield* keeping()
      const stream = { address: `${url}/v2`, path: "/a/b", method: "PUT" }
      yield* read(yield* source(connector("http://127.0.0.1:9", stream)))
      assert.deepStrictEqual([seen[0]?.method, seen[0]?.path], ["PUT", "/v2/a/b"])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("end at http.page_timeout, however steadily the answer trickles", () =>
    Effect.gen(function* () {
      const url = yield* serve((_request, response) => {
        response.write("{")
        const timer = setInterval(() => response.write(" "), 20)
        response.on("close", () => clearInterval(timer))
      })
      const error = yield* failure(connector(url, {}, { page_timeout: "200 millis", retries: 0 }))
      assert.strictEqual(error.reason._tag, "TimedOut")
      assert.include(error.message, "(http.page_timeout)")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("end at http.max_pages", () =>
    Effect.gen(function* () {
      const { url } = yield* keeping(100)
      const stream = { pagination: { cursor: "$.next", param: "cursor" } }
      const error = yield* failure(connector(url, stream, { max_pages: 3 }))
      assert.strictEqual(error.reason._tag, "CursorRepeated")
      assert.include(error.message, "http.max_pages")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

/** The services with an environment of their own. */
const withEnvironment = (environment: Record<string, string>) =>
  Layer.merge(services, Layer.succeed(Environment, environment))

describe("proxies", () => {
  it.live("of the environment are used, with their credentials, but not for NO_PROXY", () =>
    Effect.gen(function* () {
      const { asked, url: proxyUrl } = yield* proxy
      const { url } = yield* keeping()
      const HTTP_PROXY = proxyUrl("user:p%40ss")
      const run = (environment: Record<string, string>, http: Record<string, unknown> = {}) =>
        Effect.flatMap(source(connector(url, {}, { retries: 0, ...http })), (ready) => read(ready)).pipe(
          Effect.scoped,
          Effect.provide(withEnvironment(environment))
        )
      yield* run({ HTTP_PROXY })
      assert.deepStrictEqual(asked, [`GET ${url}/records`])
      yield* run({ HTTP_PROXY, NO_PROXY: "example.com, 127.0.0.1" })
      yield* run({ HTTP_PROXY }, { proxy: "none" })
      assert.strictEqual(asked.length, 1)
      const refused = yield* Effect.flip(run({ HTTP_PROXY: proxyUrl("user:wrong") }))
      assert.strictEqual(refused._tag, "SourceError")
      assert.include(refused.message, "the proxy asks for credentials (407)")
      assert.notInclude(refused.message, "wrong")
    }).pipe(Effect.scoped)
  )
  it.live("leave no way around the guard: what is reached directly has to be allowed", () =>
    Effect.gen(function* () {
      const { asked, url: proxyUrl } = yield* proxy
      const HTTP_PROXY = proxyUrl("user:p%40ss")
      const run = (environment: Record<string, string>, http: Record<string, unknown> = {}) =>
        Effect.flatMap(source(connector("http://10.0.0.1:9", {}, { retries: 0, ...http })), (ready) =>
          read(ready)
        ).pipe(
          Effect.flip,
          Effect.map(({ message }) => message),
          Effect.scoped,
          Effect.provide(withEnvironment(environment))
        )
      const refused = /10\.0\.0\.1 is a private address, where nothing is sent to/u
      assert.match(yield* run({ HTTP_PROXY, NO_PROXY: "10.0.0.1" }), refused)
      assert.match(yield* run({ HTTP_PROXY }, { proxy: "none" }), refused)
      assert.deepStrictEqual(asked, [])
    }).pipe(Effect.scoped)
  )
  it.live("carry TLS through a tunnel, and what is wrong with them is said", () =>
    Effect.gen(function* () {
      const { asked, url: proxyUrl } = yield* proxy
      const secure = connector("https://127.0.0.1:9", {}, { retries: 0 })
      const run = (environment: Record<string, string>) =>
        Effect.flip(Effect.flatMap(source(secure), (ready) => read(ready))).pipe(
          Effect.scoped,
          Effect.provide(withEnvironment(environment))
        )
      const refused = yield* run({ HTTPS_PROXY: proxyUrl("user:wrong") })
      assert.include(refused.message, "(407)")
      assert.deepStrictEqual(asked, ["CONNECT 127.0.0.1:9"])
      const wrong = yield* run({ HTTPS_PROXY: "proxy.example" })
      assert.include(wrong.message, "HTTPS_PROXY: expected the address of a proxy")
      const longer = yield* run({ HTTPS_PROXY: "http://127.0.0.1:9/v1" })
      assert.include(
        longer.message,
        "HTTPS_PROXY: expected the address of a proxy, which ends behind its host and port"
      )
    }).pipe(Effect.scoped)
  )
})
