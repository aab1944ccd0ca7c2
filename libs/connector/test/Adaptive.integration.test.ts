import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { decodeConnector, keysOf, read, serve, services, source } from "./harness.ts"

const names = ["a", "b", "c", "d", "e", "f", "g", "h"]
const pages = 12
/** So few that a busy machine sends more in a window, too. */
const allowed = 25
/** Milliseconds for which so many requests are allowed: long beside the time that a busy machine needs for one. */
const window = 2000

/** An API that allows so many requests in each window, and says by its headers what is left. */
const limited = Effect.fnUntraced(function* (
  requests: number,
  window: number,
  headersOf: (left: number, resetAt: number, now: number) => Record<string, string>
) {
  const clock = yield* Clock.Clock
  let current = 0
  let count = 0
  let refused = 0
  const url = yield* serve((request, response) => {
    const now = clock.currentTimeMillisUnsafe()
    const at = Math.floor(now / window)
    if (at !== current) {
      current = at
      count = 0
    }
    const left = Math.max(0, requests - ++count)
    const headers = headersOf(left, (at + 1) * window, now)
    if (count > requests) {
      refused++
      response.writeHead(429, headers)
      response.end()
      return
    }
    const query = new URL(request.url ?? "", "http://x").searchParams
    const page = Number(query.get("page"))
    response.writeHead(200, headers)
    response.end(JSON.stringify({ data: page > pages ? [] : [{ id: `${query.get("s")}${page}` }] }))
  })
  return { url, refused: () => refused }
})

const run = Effect.fnUntraced(
  function* (url: string, http: Record<string, unknown>) {
    const stream = (s: string) => ({
      path: "/records",
      records: "$.data[*]",
      primary_key: "id",
      query: { s },
      pagination: { page: "page" }
    })
    const ready = yield* source(
      decodeConnector({
        connector: "shop",
        http: { base_url: url, retries: 0, ...http },
        streams: Object.fromEntries(names.map((name) => [name, stream(name)]))
      })
    )
    const all = yield* Effect.forEach(names, (name) => read(ready, undefined, undefined, name), {
      concurrency: "unbounded"
    })
    for (const [index, found] of all.entries()) {
      assert.deepStrictEqual(
        keysOf(found),
        Array.from({ length: pages }, (_, page) => `${names[index]}${page + 1}`)
      )
    }
  },
  Effect.scoped,
  Effect.provide(services)
)

describe("an API that says what is left", () => {
  for (const [name, headersOf, http] of [
    [
      "by X-RateLimit headers",
      (left, resetAt) => ({ "x-ratelimit-remaining": String(left), "x-ratelimit-reset": String(resetAt) }),
      {}
    ],
    [
      "by a header of its own",
      (left) => ({ "x-calls": `${allowed - left}/${allowed}` }),
      { limit_headers: [{ used: "x-calls", per: `${window} millis` }] }
    ]
  ] as ReadonlyArray<readonly [string, Parameters<typeof limited>[2], Record<string, unknown>]>) {
    it.live(`${name} refuses fewer requests than without it`, () =>
      Effect.gen(function* () {
        const refused: Array<number> = []
        for (const adapt of [true, false]) {
          const api = yield* limited(allowed, window, headersOf)
          yield* run(api.url, { ...http, adapt })
          refused.push(api.refused())
        }
        const [with_ = 0, without = 0] = refused
        // How many depends on how busy the machine is; LimitHeaders.test.ts counts them by a clock of its own.
        assert.isBelow(with_, without)
      }).pipe(Effect.scoped)
    )
  }
})
