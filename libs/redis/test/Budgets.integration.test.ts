import { Budgets } from "@tributary/connector"
import { RedisBudgets } from "@tributary/redis"
import { unhurried } from "@tributary/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Logger, type Scope } from "effect"
import { fresh, settled } from "../src/BudgetShare.ts"
import { newKey } from "./keys.ts"
import { logged } from "./logged.ts"
import { anyRedis, call, client, missing, missingAny, redisServer, type RedisServer } from "./RedisServer.ts"
import { type Line, makeWorkers } from "./Workers.ts"

/** What the workers are allowed: so many in a second. */
const requests = 20
/** Two requests may come that much closer together than Redis let them through: way and wake-up, on a busy machine. */
const jitter = () => Math.min(800, unhurried(250))

const sentAt = (lines: ReadonlyArray<Line>, name?: string) =>
  lines
    .filter(([who, event]) => event === "sent" && (name === undefined || who === name))
    .map(([, , at]) => Number(at))
    .toSorted((a, b) => a - b)

/** The most that were sent in any span of this length. */
const most = (times: ReadonlyArray<number>, span: number) => {
  let best = 0
  let first = 0
  for (let last = 0; last < times.length; last++) {
    while ((times[first] ?? 0) <= (times[last] ?? 0) - span) first++
    best = Math.max(best, last - first + 1)
  }
  return best
}

describe.skipIf(missing !== undefined)(`RedisBudgets${missing === undefined ? "" : ` (${missing})`}`, () => {
  it.live(
    "two processes together never exceed the rate, use all of it, and take turns",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const { lines, start, until } = yield* makeWorkers
        const key = newKey()
        const [a, b] = [yield* start("spend", server.url, "a", key), yield* start("spend", server.url, "b", key)]
        yield* until("both started", (all) => all.filter(([, event]) => event === "started").length === 2)
        yield* a.tell
        yield* b.tell
        yield* Effect.sleep(4000)
        const times = sentAt(lines)
        assert.isAtMost(most(times, 1000 - jitter()), requests)
        // The first 20 at once, then 20 a second.
        const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000
        assert.isAtLeast(times.length, (0.7 * requests * (1 + Math.floor(seconds))) / unhurried(1))
        const share = sentAt(lines, "a").length / times.length
        const least = 0.35 / unhurried(1)
        assert.isTrue(share > least && share < 1 - least, `a had ${share}`)

        // One dies, with a place in line: the other soon has all of it.
        yield* a.kill
        const from = lines.length
        yield* Effect.sleep(2500)
        const alone = sentAt(lines.slice(from))
        assert.isAtLeast(alone.length, (0.7 * requests * 2) / unhurried(1))
        assert.isAtMost(most(sentAt(lines), 1000 - jitter()), requests)
      }),
    240_000
  )

  it.live(
    "three processes together never exceed the rate while Redis goes away, comes back, and loses its data",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer("--appendonly", "yes")
        const { lines, start, until } = yield* makeWorkers
        const key = newKey()
        const team = yield* Effect.forEach(["a", "b", "c"], (name) => start("spend", server.url, name, key))
        yield* until("all started", (all) => all.filter(([, event]) => event === "started").length === team.length)
        for (const worker of team) yield* worker.tell
        // Until each is sure that the others know of it.
        yield* Effect.sleep(settled + 1500)
        for (const [stop, go] of [
          [server.kill, server.start],
          [server.pause, server.resume]
        ] as const) {
          yield* stop
          // Past the time in which everybody notices.
          yield* Effect.sleep(fresh)
          const from = lines.length
          yield* until("each goes on with its part", (all) =>
            ["a", "b", "c"].every((name) => sentAt(all.slice(from), name).length > requests)
          )
          yield* go
          const back = lines.length
          yield* until("all are used again", (all) => {
            const times = sentAt(all.slice(back))
            return most(times, 1000) >= 0.7 * requests && (times.at(-1) ?? 0) - (times[0] ?? 0) > 3000
          })
        }
        yield* server.kill
        yield* server.wipe
        const from = lines.length
        yield* server.start
        yield* until("they go on", (all) => sentAt(all.slice(from)).length > 3 * requests)
        assert.isAtMost(most(sentAt(lines), 1000 - jitter()), requests)
      }),
    240_000
  )

  /** Budgets of one process over a server of the test's own. */
  const alone = <A, E>(body: (budgets: Budgets["Service"], server: RedisServer) => Effect.Effect<A, E, Scope.Scope>) =>
    Effect.gen(function* () {
      const server = yield* redisServer()
      return yield* Effect.flatMap(Budgets, (budgets) => body(budgets, server)).pipe(
        Effect.provide(
          Layer.merge(
            RedisBudgets.layer.pipe(Layer.provide(server.layer({ timeout: "300 millis" }))),
            // What is warned of is expected here.
            Logger.layer([])
          )
        )
      )
    })

  it.live(
    "share what the API says is left: two processes together send no more, and one request after a reset",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer()
        const process = Layer.build(Layer.fresh(RedisBudgets.layer.pipe(Layer.provide(server.layer({}))))).pipe(
          Effect.map(Context.get(Budgets))
        )
        const both = [yield* process, yield* process]
        // Both have heard of it, as from answers of their own.
        for (const budgets of both) yield* budgets.learn("x", [{ name: "limit", remaining: 6, resetIn: 8000 }])
        let sent = 0
        for (const budgets of both) {
          for (let n = 0; n < 8; n++) {
            yield* Effect.forkScoped(
              Effect.andThen(
                budgets.take("x", undefined),
                Effect.sync(() => sent++)
              )
            )
          }
        }
        yield* Effect.sleep("50 millis").pipe(Effect.repeat({ until: () => sent >= 6 }), Effect.timeout("30 seconds"))
        assert.strictEqual(sent, 6)
        // The reset passes; what one request is told lets the others go.
        yield* Effect.sleep("50 millis").pipe(Effect.repeat({ until: () => sent > 6 }), Effect.timeout("30 seconds"))
        assert.isAtMost(sent, 8)
        for (const budgets of both) yield* budgets.learn("x", [{ name: "limit", remaining: 100, resetIn: 60_000 }])
        yield* Effect.sleep("50 millis").pipe(Effect.repeat({ until: () => sent === 16 }), Effect.timeout("30 seconds"))
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "waits for Redis if it could not get to know the others yet, and tells Redis what it sent without it",
    () =>
      alone((budgets, server) =>
        Effect.gen(function* () {
          const redis = yield* client(server)
          const rate = { requests: 5, per: Duration.seconds(9) }
          yield* budgets.take("x", rate)
          yield* server.kill
          const waiting = yield* Effect.forkScoped(budgets.take("x", rate), { startImmediately: true })
          yield* Effect.sleep(fresh + 1500)
          assert.isUndefined(waiting.pollUnsafe())
          yield* server.start
          yield* Fiber.join(waiting)

          yield* Effect.sleep(settled + 500)
          yield* server.kill
          for (let index = 0; index < 5; index++) yield* budgets.take("x", rate)
          yield* server.start
          let known = 0
          for (let look = 0; known < 5 && look < 100; look++) {
            yield* Effect.sleep(50)
            known = Number(yield* call(redis, "ZCARD", "tributary:budget:{x}:5/9000"))
          }
          assert.strictEqual(known, 5)
        })
      ),
    240_000
  )

  it.live("says once that Redis is down, and once that it is back", () =>
    Effect.gen(function* () {
      const server = yield* redisServer("--appendonly", "yes")
      const { layer, messages } = logged()
      yield* Effect.gen(function* () {
        const budgets = yield* Budgets
        const take = budgets.take("api", { requests: 1000, per: Duration.seconds(1) })
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(take, Effect.sleep(50))))
        yield* Effect.sleep(200)
        yield* server.kill
        for (let index = 0; index < 600 && messages.length === 0; index++) yield* Effect.sleep(50)
        // Many more are taken meanwhile.
        yield* Effect.sleep(1500)
        assert.strictEqual(messages.length, 1, messages.join())
        assert.match(messages[0] ?? "", /^Warn Request budgets are not shared/)
        yield* server.start
        for (let index = 0; index < 600 && messages.length < 2; index++) yield* Effect.sleep(50)
        assert.deepStrictEqual(messages.slice(1), ["Info Request budgets are shared again."])
      }).pipe(
        Effect.provide(
          Layer.merge(RedisBudgets.layer.pipe(Layer.provide(server.layer({ timeout: "300 millis" }))), layer)
        )
      )
    })
  )
})

describe.skipIf(missingAny !== undefined)(`RedisBudgets${missingAny === undefined ? "" : ` (${missingAny})`}`, () => {
  /** Long beside the time that a busy machine needs for a few requests. */
  const rate = { requests: 5, per: Duration.seconds(5) }

  /** Two layers over one server, as two processes have them. */
  const two = <A, E>(body: (a: Budgets["Service"], b: Budgets["Service"]) => Effect.Effect<A, E>) =>
    Effect.gen(function* () {
      const redis = yield* Layer.build(anyRedis)
      const layer = Layer.fresh(RedisBudgets.layer).pipe(Layer.provide(Layer.succeedContext(redis)))
      const [a, b] = [yield* Layer.build(layer), yield* Layer.build(Layer.fresh(layer))]
      return yield* body(yield* Effect.provideContext(Budgets, a), yield* Effect.provideContext(Budgets, b))
    })
  const timed = <A, E>(work: Effect.Effect<A, E>) => Effect.map(Effect.timed(work), ([time]) => Duration.toMillis(time))

  it.live("counts for all, keeps keys apart, and lets through at once what is free", () =>
    two((a, b) =>
      Effect.gen(function* () {
        const begun = performance.now()
        assert.isBelow(yield* timed(Effect.forEach([a, b, a, b, a], (budgets) => budgets.take("x", rate))), 4_000)
        assert.isBelow(yield* timed(b.take("y", rate)), 4_000)
        yield* b.take("x", rate)
        assert.isAbove(performance.now() - begun, 4_900)
      })
    )
  )

  it.live("holds back everybody during a pause, also those who wait already and those without a rate", () =>
    two((a, b) =>
      Effect.gen(function* () {
        for (let index = 0; index < 5; index++) yield* a.take("x", rate)
        const waiting = yield* Effect.forkChild(timed(b.take("x", rate)), { startImmediately: true })
        yield* Effect.sleep(100)
        const begun = performance.now()
        yield* a.pause("x", Duration.seconds(8))
        yield* a.pause("x", Duration.millis(10))
        assert.isBelow(yield* timed(a.take("y", undefined)), 4_000)
        yield* b.take("x", undefined)
        assert.isAbove(performance.now() - begun, 7_900)
        assert.isAbove(yield* Fiber.join(waiting), 7_900)
      })
    )
  )

  it.live("gives the place of an interrupted wait to the next", () =>
    two((a, b) =>
      Effect.gen(function* () {
        for (let index = 0; index < 5; index++) yield* a.take("x", rate)
        const waiting = yield* Effect.forkChild(a.take("x", { requests: 5, per: rate.per }), { startImmediately: true })
        yield* Effect.sleep(50)
        yield* Fiber.interrupt(waiting)
        const all = yield* timed(Effect.forEach([1, 2, 3, 4, 5], () => b.take("x", rate)))
        // A place that stayed taken would move the fifth to the next period.
        assert.isBelow(all, 8_000)
      })
    )
  )
})
