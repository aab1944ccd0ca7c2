import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Checkpoint } from "@tributary/connector"
import { connector, failure, keysOf, read, serve, services, source } from "./harness.ts"

/** An API that remembers: records by the number of their change, two on a page, and tokens that can be forgotten. */
const remembering = Effect.gen(function* () {
  const world = {
    changes: ["a", "b", "c", "d", "e"],
    known: 0,
    asked: new Array<string>(),
    forgets: 410,
    names: "last"
  }
  const url = yield* serve((request, response) => {
    const query = new URL(request.url ?? "", "http://x").searchParams
    world.asked.push(query.toString())
    const since = Number(query.get("since") ?? 0)
    const send = (status: number, body: unknown) => {
      response.writeHead(status, { "content-type": "application/json" })
      response.end(JSON.stringify(body))
    }
    if (query.has("since") && since < world.known) return send(world.forgets, { error: "Gone" })
    const from = Number(query.get("page") ?? since)
    const data = world.changes.slice(from, from + 2).map((id) => ({ id }))
    const end = from + 2 >= world.changes.length
    const top = world.changes.length
    const kept = query.has("since") ? `since=${since}&` : ""
    return send(200, {
      data,
      ...(end ? {} : { page: from + 2, next: `/records?${kept}page=${from + 2}` }),
      end,
      ...(end && world.names === "last" ? { token: String(top), delta: `/records?since=${top}` } : {}),
      ...(world.names === "always" ? { delta: `/records?since=${Math.min(from + 2, top)}` } : {})
    })
  })
  return { url, world }
})

const byToken = {
  primary_key: "id",
  pagination: { cursor: "$.page", param: "page" },
  incremental: { token: "$.token", param: "since" }
}
const byUrl = { primary_key: "id", pagination: { next_url: "$.next" }, incremental: { next_url: "$.delta" } }

const readFrom = (url: string, stream: Record<string, unknown>, from?: Checkpoint) =>
  Effect.flatMap(source(connector(url, stream)), (ready) => read(ready, from))

describe("what an API remembers", () => {
  for (const [form, stream] of [
    ["a token", byToken],
    ["an address", byUrl]
  ] as const) {
    it.live(`by ${form}: the next walk asks for changes only, from any page on`, () =>
      Effect.gen(function* () {
        const { url, world } = yield* remembering
        const pages = yield* readFrom(url, stream)
        assert.deepStrictEqual(keysOf(pages), ["a", "b", "c", "d", "e"])
        for (const { checkpoint, last, number } of pages) {
          if (!last)
            assert.deepStrictEqual(keysOf(yield* readFrom(url, stream, checkpoint)), keysOf(pages.slice(number + 1)))
        }
        const known = pages.at(-1)?.checkpoint
        world.asked.length = 0
        const none = yield* readFrom(url, stream, known)
        assert.deepStrictEqual([keysOf(none), world.asked], [[], ["since=5"]])
        world.changes.push("b", "f", "g")
        const changed = yield* readFrom(url, stream, none.at(-1)?.checkpoint)
        assert.deepStrictEqual(keysOf(changed), ["b", "f", "g"])
        assert.strictEqual(changed.at(-1)?.checkpoint.state, form === "a token" ? "8" : "/records?since=8")
        // A page of a walk that asks for changes is gone on from as one.
        const rest = yield* readFrom(url, stream, changed[0]?.checkpoint)
        assert.deepStrictEqual(keysOf(rest), ["g"])
      }).pipe(Effect.scoped, Effect.provide(services))
    )
    it.live(`by ${form}: what the API has forgotten is read anew`, () =>
      Effect.gen(function* () {
        const { url, world } = yield* remembering
        const known = (yield* readFrom(url, stream)).at(-1)?.checkpoint
        world.changes.push("f")
        world.known = 6
        const pages = yield* readFrom(url, stream, known)
        assert.deepStrictEqual(keysOf(pages), ["a", "b", "c", "d", "e", "f"])
        // From then on nothing holds to the token that was forgotten.
        assert.isUndefined(pages[0]?.checkpoint.state)
        assert.deepStrictEqual(keysOf(yield* readFrom(url, stream, pages[1]?.checkpoint)), ["c", "d", "e", "f"])
        world.changes.push("g")
        assert.deepStrictEqual(keysOf(yield* readFrom(url, stream, pages.at(-1)?.checkpoint)), ["g"])
      }).pipe(Effect.scoped, Effect.provide(services))
    )
  }
  it.live("by the address of the next page, which the last page has too", () =>
    Effect.gen(function* () {
      const { url, world } = yield* remembering
      world.names = "always"
      const pagination = { next_url: "$.delta", end: "$.end" }
      const stream = { primary_key: "id", pagination, incremental: { next_url: "$.delta" } }
      const pages = yield* readFrom(url, stream)
      assert.deepStrictEqual(keysOf(pages), ["a", "b", "c", "d", "e"])
      world.changes.push("f")
      assert.deepStrictEqual(keysOf(yield* readFrom(url, stream, pages.at(-1)?.checkpoint)), ["f"])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("is forgotten too when a rule says reset, and not for ever", () =>
    Effect.gen(function* () {
      const { url, world } = yield* remembering
      const known = (yield* readFrom(url, byToken)).at(-1)?.checkpoint
      world.known = 6
      world.forgets = 404
      const refused = yield* Effect.flip(readFrom(url, byToken, known))
      assert.strictEqual(refused.reason._tag, "Refused")
      const stream = { ...byToken, errors: [{ action: "reset", status: [404] }] }
      assert.deepStrictEqual(keysOf(yield* readFrom(url, stream, known)), ["a", "b", "c", "d", "e"])
      // An API that refuses the first question as well does not make it go round.
      const gone = yield* serve((_request, response) => response.writeHead(404).end("{}"))
      assert.strictEqual((yield* failure(connector(gone, stream))).reason._tag, "Decided")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("in partitions, each of its own", () =>
    Effect.gen(function* () {
      const { url, world } = yield* remembering
      const stream = { ...byToken, path: "/records/{part}", partitions: { list: { part: ["x", "y"] } } }
      const known = (yield* readFrom(url, stream)).at(-1)?.checkpoint
      world.changes.push("f")
      const changed = yield* readFrom(url, stream, known)
      assert.deepStrictEqual(keysOf(changed), ["f", "f"])
      world.known = 6
      world.changes.push("g")
      // 6 is known to the API, so both go on; one that stayed behind does not.
      assert.deepStrictEqual(keysOf(yield* readFrom(url, stream, changed.at(-1)?.checkpoint)), ["g", "g"])
      assert.lengthOf(keysOf(yield* readFrom(url, stream, known)), 14)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("has to be named by the last page", () =>
    Effect.gen(function* () {
      const { url, world } = yield* remembering
      world.names = "never"
      const error = yield* failure(connector(url, byToken))
      assert.include(error.message, "streams.items.incremental")
      assert.include(error.message, "expected a text at $.token of the last page")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("a walk whose positions do not live long", () => {
  it.live("begins again without incremental too, as often as requests are repeated", () =>
    Effect.gen(function* () {
      let dies = 1
      const url = yield* serve((request, response) => {
        const at = Number(new URL(request.url ?? "", "http://x").searchParams.get("cursor") ?? 0)
        const isDead = at === 2 && dies-- > 0
        response.writeHead(isDead ? 422 : 200, { "content-type": "application/json" })
        response.end(
          JSON.stringify(isDead ? { error: "ITERATOR" } : { data: [{ id: at }], next: at < 3 ? at + 1 : null })
        )
      })
      const stream = {
        primary_key: "id",
        pagination: { cursor: "$.next", param: "cursor" },
        errors: [{ action: "restart", status: [422], body: "ITERATOR" }]
      }
      assert.deepStrictEqual(keysOf(yield* readFrom(url, stream)), ["0", "1", "0", "1", "2", "3"])
      dies = 100
      assert.include((yield* failure(connector(url, stream))).message, "broke off this question 3 times")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
