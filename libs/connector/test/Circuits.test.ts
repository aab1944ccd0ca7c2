import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type Circuits as Service, Circuits, type CircuitSettings, type Sign } from "../src/Circuits.ts"
import { ServerError, type SourceReason, Throttled } from "../src/SourceError.ts"
import { connector, decodeConnector, keysOf, read, serve, services, source } from "./harness.ts"

const url = "https://api.example/records"
const settings: CircuitSettings = {
  failures: 3,
  share: 0.5,
  per: Duration.minutes(1),
  wait: Duration.seconds(10),
  at_most: Duration.seconds(40)
}
const bad = new ServerError({ url, status: 500, found: "x." })
const busy = new Throttled({ url, status: 429, found: "x.", retryAfter: 1000 })

const signOf =
  (retryAfter?: number) =>
  (exit: Exit.Exit<unknown, SourceReason>): Sign => {
    if (Exit.isSuccess(exit)) return { _tag: "Answered" }
    const [reason] = exit.cause.reasons
    if (reason?._tag !== "Fail") return { _tag: "Unknown" }
    return reason.error._tag === "Throttled"
      ? { _tag: "Answered" }
      : { _tag: "Failed", problem: reason.error.message, retryAfter }
  }

let hosts = 0

/** A host that does as it is told. */
const world = Effect.gen(function* () {
  const circuits: Service = yield* Circuits
  // One of the test's own: all tests share the circuits of the process.
  const name = `api.example:${++hosts}`
  let sent = 0
  let answer: Effect.Effect<string, SourceReason> = Effect.fail(bad)
  const told: Array<string | undefined> = []
  yield* Effect.asVoid(circuits.listen(name, (_host, problem) => Effect.sync(() => void told.push(problem))))
  const ask = (more: Partial<CircuitSettings> = {}, retryAfter?: number) =>
    circuits.guard(
      name,
      { ...settings, ...more },
      url,
      Effect.suspend(() => {
        sent++
        return answer
      }),
      signOf(retryAfter)
    )
  return {
    ask,
    told,
    sent: () => sent,
    answers: (with_: Effect.Effect<string, SourceReason>) => {
      answer = with_
    }
  }
})

describe("a host that fails", () => {
  it.effect("is given a rest after failures in a row; then one request tries, and the others learn from it", () =>
    Effect.gen(function* () {
      const { answers, ask, sent, told } = yield* world
      for (let n = 0; n < 3; n++) yield* Effect.exit(ask())
      assert.deepStrictEqual([sent(), told.length], [3, 1])
      const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.exit(ask())))
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(sent(), 3)
      yield* TestClock.adjust("1 millis")
      const ends = yield* Fiber.joinAll(waiting)
      assert.strictEqual(sent(), 4)
      const tags = ends.map((exit) =>
        Exit.isFailure(exit) && exit.cause.reasons[0]?._tag === "Fail" ? exit.cause.reasons[0].error._tag : ""
      )
      assert.deepStrictEqual(tags.toSorted(), ["HostDown", "HostDown", "ServerError"])
      // The rest is twice as long now, and ends with the first answer.
      answers(Effect.succeed("ok"))
      const later = yield* Effect.forkChild(Effect.all([ask(), ask(), ask()], { concurrency: "unbounded" }))
      yield* TestClock.adjust("19999 millis")
      assert.strictEqual(sent(), 4)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(later), ["ok", "ok", "ok"])
      assert.deepStrictEqual([told.length, told.at(-1)], [3, undefined])
      assert.match(told[0] ?? "", /failed 3 times in a row; nothing is asked of it for 10 s/u)
    })
  )
  it.effect("is given a rest when too many of its answers fail, not when it throttles", () =>
    Effect.gen(function* () {
      const { answers, ask, sent, told } = yield* world
      answers(Effect.fail(busy))
      for (let n = 0; n < 50; n++) yield* Effect.exit(ask())
      assert.deepStrictEqual([sent(), told.length], [50, 0])
      // Every second one fails: never three in a row.
      for (let n = 0; n < 200 && told.length === 0; n++) {
        answers(n % 2 === 0 ? Effect.fail(bad) : Effect.succeed("ok"))
        yield* Effect.exit(ask({ share: 0.4 }))
      }
      assert.strictEqual(told.length, 1)
    })
  )
  it.effect("says itself how long, up to the longest rest", () =>
    Effect.gen(function* () {
      const { ask, sent } = yield* world
      for (let n = 0; n < 3; n++) yield* Effect.exit(ask({}, 3_600_000))
      yield* Effect.forkChild(Effect.exit(ask()))
      yield* TestClock.adjust("39999 millis")
      assert.strictEqual(sent(), 3)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(sent(), 4)
    })
  )
  it.effect("is tried by another when the one that tries is stopped", () =>
    Effect.gen(function* () {
      const { answers, ask, sent } = yield* world
      for (let n = 0; n < 3; n++) yield* Effect.exit(ask())
      answers(Effect.never)
      const trying = yield* Effect.forkChild(ask())
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(sent(), 4)
      const waiting = yield* Effect.forkChild(ask())
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(sent(), 4)
      answers(Effect.succeed("ok"))
      yield* Fiber.interrupt(trying)
      assert.strictEqual(yield* Fiber.join(waiting), "ok")
    })
  )
  it.effect("is left alone with 0 failures", () =>
    Effect.gen(function* () {
      const { ask, sent } = yield* world
      for (let n = 0; n < 30; n++) yield* Effect.exit(ask({ failures: 0 }))
      assert.strictEqual(sent(), 30)
    })
  )
})

describe("streams of one host", () => {
  it.live("share what is known of it, lose nothing, and go on where they were", () =>
    Effect.gen(function* () {
      let isDown = false
      let failed = 0
      let probes = 0
      let back = 0
      const address = yield* serve((request, response) => {
        if (isDown) {
          failed++
          // While it is given a rest only requests that try it come.
          if (failed > 4 && ++probes === 3) {
            isDown = false
            back = failed
          }
          response.writeHead(500)
          response.end()
          return
        }
        const query = new URL(request.url ?? "", "http://x").searchParams
        const page = Number(query.get("page"))
        if (page === 3 && back === 0) {
          isDown = true
          response.writeHead(500)
          response.end()
          return
        }
        const rows =
          page > 6 ? [] : [{ id: `${query.get("s")}${2 * page}` }, { id: `${query.get("s")}${2 * page + 1}` }]
        response.end(JSON.stringify({ data: rows }))
      })
      const names = ["a", "b", "c", "d", "e", "f"]
      const stream = (s: string) => ({
        path: "/records",
        records: "$.data[*]",
        primary_key: "id",
        query: { s },
        pagination: { page: "page", size: 2 }
      })
      const told: Array<string | undefined> = []
      const ready = yield* source(
        decodeConnector({
          connector: "shop",
          http: {
            base_url: address,
            retries: 12,
            circuit_breaker: { failures: 4, wait: "300 millis", at_most: "300 millis" }
          },
          streams: Object.fromEntries(names.map((name) => [name, stream(name)]))
        }),
        (_host, problem) => Effect.sync(() => void told.push(problem))
      )
      const all = yield* Effect.forEach(names, (name) => read(ready, undefined, undefined, name), {
        concurrency: "unbounded"
      })
      for (const [index, pages] of all.entries()) {
        const wanted = Array.from({ length: 12 }, (_, n) => `${names[index]}${n + 2}`)
        assert.deepStrictEqual(keysOf(pages), wanted)
      }
      assert.match(told[0] ?? "", /times in a row; nothing is asked of it/u)
      assert.isUndefined(told.at(-1))
      // Six streams with twelve tries each: without the rest they would have come at once, again and again.
      assert.isAtMost(back, 14)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("is not mistaken for a host that throttles", () =>
    Effect.gen(function* () {
      let count = 0
      const address = yield* serve((_request, response) => {
        if (++count <= 3) {
          response.writeHead(429, { "retry-after": "0" })
          response.end()
          return
        }
        response.end('{"data":[{"id":1}]}')
      })
      const told: Array<string | undefined> = []
      const settings = connector(
        address,
        {},
        { retries: 0, circuit_breaker: { failures: 2, wait: "1 hour", at_most: "1 hour" } }
      )
      const ready = yield* source(settings, (_host, problem) => Effect.sync(() => void told.push(problem)))
      assert.strictEqual((yield* read(ready)).length, 1)
      assert.deepStrictEqual(told, [])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
