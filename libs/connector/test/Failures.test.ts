import { gzipSync, zstdCompressSync, brotliCompressSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Stream } from "effect"
import { answering, authFor, connector, failure, keysOf, read, serve, services, source, synthetic } from "./harness.ts"

const noRetry = { retries: 0 }
const check = (
  error: { readonly reason: { readonly _tag: string }; readonly failureClass: string; readonly message: string },
  tag: string,
  failureClass: string,
  ...parts: ReadonlyArray<string | RegExp>
) => {
  assert.strictEqual(error.reason._tag, tag, error.message)
  assert.strictEqual(error.failureClass, failureClass)
  for (const part of ["shop/items: ", ...parts]) {
    assert.isTrue(
      typeof part === "string" ? error.message.includes(part) : part.test(error.message),
      `${part} in: ${error.message}`
    )
  }
}

describe("bad answers", () => {
  it.live("nothing listens there", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(answering("{}"))
      const error = yield* failure(connector(url, {}, noRetry))
      check(
        error,
        "Unreachable",
        "transient",
        `${url}/records`,
        "nothing listens there (connection refused)",
        "http.base_url"
      )
    }).pipe(Effect.provide(services))
  )
  it.live("the host has no address", () =>
    Effect.gen(function* () {
      const error = yield* failure(connector("http://no-such-host.invalid", {}, noRetry))
      check(error, "Unreachable", "transient", "http://no-such-host.invalid/records", "(DNS)")
    }).pipe(Effect.provide(services))
  )
  it.live("TLS was expected", () =>
    Effect.gen(function* () {
      const url = yield* answering("{}")
      const error = yield* failure(connector(url.replace("http:", "https:"), {}, noRetry))
      check(error, "Unreachable", "transient", /TLS|secure/u)
    }).pipe(Effect.provide(services))
  )
  it.live("HTML instead of JSON", () =>
    Effect.gen(function* () {
      const html = "<!DOCTYPE html>\n<html><head><title>Sign in to\n Shop</title></head><body>…</body></html>"
      const url = yield* answering(html, 200, { "content-type": "text/html; charset=utf-8" })
      const error = yield* failure(connector(url))
      check(
        error,
        "NotJson",
        "misconfigured",
        "expected JSON, found an HTML page (content-type text/html",
        'a page titled "Sign in to Shop"'
      )
    }).pipe(Effect.provide(services))
  )
  it.live("plain text instead of JSON", () =>
    Effect.gen(function* () {
      const url = yield* answering("Service\u0007 temporarily down")
      check(yield* failure(connector(url)), "NotJson", "misconfigured", "found a text", "Service temporarily down.")
    }).pipe(Effect.provide(services))
  )
  it.live("JSON with a fault in the middle", () =>
    Effect.gen(function* () {
      const url = yield* answering('{"data":[{"id":NaN}]}')
      check(yield* failure(connector(url)), "NotJson", "misconfigured", "byte 15", "a value should stand", "NaN")
    }).pipe(Effect.provide(services))
  )
  it.live("truncated JSON", () =>
    Effect.gen(function* () {
      let requests = 0
      const url = yield* serve((_request, response) => {
        requests++
        response.end('{"data":[{"id":1},{"id":2')
      })
      const error = yield* failure(connector(url))
      check(error, "TruncatedJson", "transient", "breaks off after 25 bytes", 'go on with "," or "}"')
      assert.strictEqual(requests, 3)
    }).pipe(Effect.provide(services))
  )
  it.live("an empty body", () =>
    Effect.gen(function* () {
      const url = yield* answering("")
      check(yield* failure(connector(url, {}, noRetry)), "TruncatedJson", "transient", "The body is empty.")
    }).pipe(Effect.provide(services))
  )
  it.live("200 with an error in the body", () =>
    Effect.gen(function* () {
      const url = yield* answering('{"ok":false,"error":"internal_error"}')
      const error = yield* failure(connector(url))
      check(
        error,
        "ErrorBody",
        "transient",
        "answered 200, but with an error and without records at $.data[*]",
        "internal_error"
      )
    }).pipe(Effect.provide(services))
  )
  it.live("no list where the records should be", () =>
    Effect.gen(function* () {
      const missing = yield* failure(connector(yield* answering('{"items":[]}')))
      check(missing, "NoRecords", "misconfigured", 'expected an object with "data", found none', '{"items":[]}')
      const isNull = yield* failure(connector(yield* answering('{"data":null}')))
      check(isNull, "NoRecords", "misconfigured", "expected an array, found null")
      const empty = yield* source(connector(yield* answering('{"data":[]}')))
      assert.deepStrictEqual(keysOf(yield* read(empty)), [])
      const none = yield* source(connector(yield* answering("", 204)))
      assert.deepStrictEqual(
        (yield* read(none)).map((page) => page.last),
        [true]
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("a page of 100 MB, announced or not", () =>
    Effect.gen(function* () {
      let sent = 0
      const chunk = Buffer.alloc(1_000_000, 0x20)
      const announced = yield* serve((_request, response) => {
        response.writeHead(200, { "content-length": 100_000_000 })
        response.write("{")
      })
      const error = yield* failure(connector(announced))
      check(error, "TooLarge", "misconfigured", "100000000 bytes", "the limit is 33554432", "raise http.max_page_bytes")
      const endless = yield* serve((_request, response) => {
        const more = (): void => {
          if (response.destroyed) return
          sent += chunk.length
          if (response.write(chunk)) setImmediate(more)
          else response.once("drain", more)
        }
        more()
      })
      check(
        yield* failure(connector(endless, {}, { max_page_bytes: 5_000_000 })),
        "TooLarge",
        "misconfigured",
        "the limit is 5000000"
      )
      assert.isBelow(sent, 50_000_000)
      const bomb = yield* answering(gzipSync(Buffer.alloc(100_000_000, 0x20)), 200, { "content-encoding": "gzip" })
      check(yield* failure(connector(bomb)), "TooLarge", "misconfigured", "the limit is 33554432")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("slow answers, at each of the limits", () =>
    Effect.gen(function* () {
      const silent = yield* serve(() => {})
      const headers = yield* failure(connector(silent, {}, { ...noRetry, headers_timeout: "300 millis" }))
      check(headers, "TimedOut", "transient", "waited 0.3 s for the first byte of the answer (http.headers_timeout)")
      const slow = yield* serve((_request, response) => {
        response.write('{"data":[')
      })
      const body = yield* failure(connector(slow, {}, { ...noRetry, body_timeout: "300 millis" }))
      check(body, "TimedOut", "transient", "waited 0.3 s for the next part of the body (http.body_timeout)")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("a connection dropped in the middle of the body is tried again", () =>
    Effect.gen(function* () {
      let requests = 0
      const url = yield* serve((_request, response) => {
        if (++requests < 3) {
          response.writeHead(200, { "content-length": 1000 })
          response.write('{"data":[{"id":1}', () => response.destroy())
        } else response.end('{"data":[{"id":1}]}')
      })
      const pages = yield* Effect.flatMap(source(connector(url, { primary_key: "id" })), (ready) => read(ready))
      assert.deepStrictEqual([keysOf(pages), requests], [["1"], 3])
      requests = -100
      check(yield* failure(connector(url, {}, noRetry)), "TruncatedJson", "transient", "The connection was closed.")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("statuses, with what they ask for", () =>
    Effect.gen(function* () {
      const status = (code: number, headers?: Record<string, string>) =>
        Effect.flatMap(answering('{"message":"no"}', code, headers), (url) => failure(connector(url, {}, noRetry)))
      check(yield* status(404), "Refused", "misconfigured", 'answered 404: {"message":"no"}.', "the stream's path")
      check(yield* status(400), "Refused", "misconfigured", "pagination and incremental settings")
      check(yield* status(500), "ServerError", "transient", "answered 500")
      check(yield* status(501), "Refused", "misconfigured")
      check(yield* status(503), "ServerError", "transient")
      check(yield* status(401), "Unauthorized", "misconfigured", "sends no token")
      check(yield* status(403), "Forbidden", "misconfigured", "asks for no scopes")
      const foreign = yield* status(302, { location: "https://elsewhere.example/records?token=secret" })
      check(foreign, "Redirected", "misconfigured", "redirects to https://elsewhere.example, which was not followed")
      assert.notInclude(foreign.message, "token")
      const circle = yield* status(307, { location: "/records" })
      check(circle, "Redirected", "misconfigured", "more than 3 times")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("settings that cannot be used", () =>
    Effect.gen(function* () {
      const bad = (settings: ReturnType<typeof connector>) => Effect.flip(Effect.scoped(source(settings)))
      const unset = yield* bad(connector("http://localhost", {}, { headers: { "x-key": "${env:NOT_SET}" } }))
      assert.include(
        unset.message,
        "shop/items: http.headers.x-key: ${env:NOT_SET}: the environment variable NOT_SET is not set."
      )
      const user = yield* bad(connector("http://me:hidden@localhost"))
      assert.include(user.message, "http.base_url: the address has a user name or password.")
      assert.notInclude(user.message, "hidden")
      const unknown = yield* Effect.flatMap(source(connector("http://localhost")), (ready) =>
        Effect.flip(Stream.runCollect(ready.pages("item", undefined)))
      )
      assert.include(unknown.message, "streams.item: the connector has no stream of this name.")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("encodings and redirects", () => {
  it.live("reads gzip, br and zstd", () =>
    Effect.gen(function* () {
      const body = Buffer.from('{"data":[{"id":"ä"}]}')
      const encoded = {
        gzip: gzipSync(body),
        br: brotliCompressSync(body),
        zstd: zstdCompressSync(body),
        "gzip, br": brotliCompressSync(gzipSync(body))
      }
      for (const [encoding, bytes] of Object.entries(encoded)) {
        const url = yield* answering(bytes, 200, { "content-encoding": encoding })
        assert.deepStrictEqual(keysOf(yield* read(yield* source(connector(url, { primary_key: "id" })))), ["ä"])
      }
      const cut = yield* answering(encoded.gzip.subarray(0, 20), 200, { "content-encoding": "gzip" })
      check(yield* failure(connector(cut, {}, noRetry)), "TruncatedJson", "transient", "gzip")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("follows redirects within the origin, with authorization", () =>
    Effect.gen(function* () {
      const seen: Array<string | undefined> = []
      const url = yield* serve((request, response) => {
        seen.push(request.headers["x-key"]?.toString())
        if (request.url === "/records") response.writeHead(308, { location: "/v2/records" }).end()
        else response.end('{"data":[]}')
      })
      yield* read(yield* source(connector(url, {}, { headers: { "X-Key": "${env:SHOP_KEY}" } })))
      assert.deepStrictEqual(seen, ["key-of-the-shop-42", "key-of-the-shop-42"])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("secrets", () => {
  it.live("never get into a message", () =>
    Effect.gen(function* () {
      const url = yield* serve((request, response) => {
        response.statusCode = 400
        response.end(JSON.stringify({ error: `bad key ${request.headers["x-key"]} in ${request.url}` }))
      })
      const settings = connector(
        url,
        { query: { api_key: "${env:SHOP_KEY}", page: 2 } },
        { headers: { "x-key": "Key ${env:SHOP_KEY}" } }
      )
      const error = yield* failure(settings)
      assert.include(error.message, "/records?api_key=…&page=… answered 400")
      assert.include(error.message, "bad key Key [secret]")
      assert.notInclude(JSON.stringify(error) + error.message, "key-of-the-shop-42")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("authorization", () => {
  const paged = { primary_key: "id", query: { limit: 100 }, pagination: { cursor: "$.next", param: "cursor" } }
  it.live("gets one token, and a new one after a 401", () =>
    Effect.gen(function* () {
      const api = yield* synthetic({ auth: true, records: 1000, revokeEvery: 4 })
      const pages = yield* read(yield* source(connector(api.url, paged, {}, authFor(api))))
      assert.strictEqual(new Set(keysOf(pages)).size, 1000)
      assert.deepStrictEqual([api.stats.tokenRequests, api.stats.unauthorized], [1 + api.stats.unauthorized, 3])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("gives up when a new token is refused too", () =>
    Effect.gen(function* () {
      const api = yield* synthetic({ auth: true, revokeEvery: 1 })
      const error = yield* failure(connector(api.url, paged, {}, authFor(api)))
      check(error, "Unauthorized", "misconfigured", 'error="invalid_token"', "A new token was refused too.")
      assert.strictEqual(api.stats.requests, 2)
      const unwilling = yield* serve((request, response) => {
        if (request.method === "POST") {
          response.setHeader("content-type", "application/json")
          response.end('{"access_token":"at_1","token_type":"Bearer","expires_in":3600,"refresh_token":"rt_2"}')
        } else response.writeHead(401).end()
      })
      const consent = {
        ...authFor(api),
        oauth2: "refresh_token",
        token_url: `${unwilling}/token`,
        refresh_token: "${env:SHOP_SECRET}"
      }
      check(
        yield* failure(connector(unwilling, paged, {}, consent)),
        "Unauthorized",
        "needs-consent",
        "Authorize the connector again"
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("names the scopes when they are wrong", () =>
    Effect.gen(function* () {
      const api = yield* synthetic({ auth: true, scopes: ["records.read", "customers.read"] })
      const error = yield* failure(connector(api.url, paged, {}, authFor(api, { scopes: ["customers.read"] })))
      check(
        error,
        "Forbidden",
        "misconfigured",
        "asks for the scopes customers.read",
        "The API asks for the scope records.read."
      )
      const unknown = yield* failure(connector(api.url, paged, {}, authFor(api, { scopes: ["orders.write"] })))
      check(unknown, "NoToken", "misconfigured", "invalid_scope")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("interruption", () => {
  it.live("interrupting a walk breaks its request off", () =>
    Effect.gen(function* () {
      let open = 0
      const url = yield* serve((_request, response) => {
        open++
        response.once("close", () => open--)
      })
      const fiber = yield* Effect.forkChild(Effect.flatMap(source(connector(url)), (ready) => read(ready)))
      const wait = (count: number) =>
        Effect.sleep("5 millis").pipe(
          Effect.repeat({ until: () => open === count }),
          Effect.timeout(Duration.seconds(5))
        )
      yield* wait(1)
      yield* Fiber.interrupt(fiber)
      yield* wait(0)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
