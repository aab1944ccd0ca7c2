import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, Fiber, Logger, Option } from "effect"
import { TestClock } from "effect/testing"
import { Budgets } from "@tributary/connector"
import { waitAsked } from "../src/RetryAfter.ts"
import { retrySchedule } from "../src/RetrySchedule.ts"
import { trying } from "../src/Trying.ts"
import { makeWaits, type Waits } from "../src/Waits.ts"
import { millisOf } from "./harness.ts"
import { NotJson, ServerError, type SourceReason, Throttled } from "../src/SourceError.ts"

const now = millisOf("2026-01-01T00:00:00Z")

describe("waitAsked", () => {
  const cases: ReadonlyArray<readonly [string, Record<string, string>, number | undefined]> = [
    ["seconds", { "retry-after": "7" }, 7000],
    [
      "a date, by the server's own clock",
      { "retry-after": "Thu, 01 Jan 2026 00:00:05 GMT", date: "Thu, 01 Jan 2026 00:00:01 GMT" },
      4000
    ],
    ["a date, by our clock", { "retry-after": "Thu, 01 Jan 2026 00:00:05 GMT" }, 5000],
    ["a date that has passed", { "retry-after": "Wed, 31 Dec 2025 00:00:05 GMT" }, 0],
    ["a reset in seconds", { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "30" }, 30_000],
    [
      "a reset as a time in seconds",
      { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(now / 1000 + 9) },
      9000
    ],
    ["a reset as a time in milliseconds", { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(now + 9) }, 9],
    ["a reset while something is left", { "x-ratelimit-remaining": "3", "x-ratelimit-reset": "30" }, undefined],
    ["the draft's header", { ratelimit: '"default";r=0;t=12' }, 12_000],
    ["the draft's header with something left", { ratelimit: '"default";r=1;t=12' }, undefined],
    ["nothing", {}, undefined],
    ["nonsense", { "retry-after": "soon" }, undefined]
  ]
  for (const [name, headers, wanted] of cases) {
    it(name, () => {
      assert.strictEqual(waitAsked(headers, now, false), wanted)
    })
  }
  it("takes only used-up budgets from a success", () => {
    assert.isUndefined(waitAsked({ "retry-after": "7" }, now, true))
    assert.isUndefined(waitAsked({ "x-ratelimit-reset": "7" }, now, true))
    assert.strictEqual(waitAsked({ "ratelimit-remaining": "0", "ratelimit-reset": "7" }, now, true), 7000)
  })
})

const url = "https://api.example/records"
const serverError = new ServerError({ url, status: 500, found: "x." })
const throttled = (retryAfter: number | undefined) => new Throttled({ url, status: 429, found: "x.", retryAfter })

/** What is logged, and what is told of waits, in their order. */
const heard = () => {
  const said: Array<string> = []
  const told: Array<readonly [string, string | undefined]> = []
  const logger = Logger.layer([Logger.make(({ message }) => void said.push(String(message)))])
  const waits = makeWaits((budget, problem) => Effect.sync(() => void told.push([budget, problem])))
  return { said, told, logger, waits }
}
/** Everybody has done what they can at the moment. */
const settled = Effect.forEach(Array.from({ length: 20 }), () => TestClock.adjust(0), { discard: true })
const options = (waits: Waits) => ({ retries: 0, waits, budgetOf: () => "api.example" })

describe("trying", () => {
  const saidOf = (...waits: ReadonlyArray<number | undefined>) =>
    Effect.gen(function* () {
      const ears = heard()
      let tries = 0
      const request = trying(() => {
        const wait = waits[tries++]
        return tries > waits.length ? Effect.void : Effect.fail(throttled(wait))
      }, options(ears.waits))
      const fiber = yield* Effect.forkChild(Effect.provide(request, ears.logger))
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      return ears
    })
  it.effect("says that an API asks for a long wait, as nobody could tell it from a hang, and when it is over", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* saidOf(5000, undefined)).told, [])
      yield* TestClock.setTime(now)
      const { said, told } = yield* saidOf(60_000)
      assert.deepStrictEqual(said, [
        `${url} answered 429 and asks to wait 60 s: x. If this goes on, lower http.rate_limit. It is tried again after 60 s, at 2026-01-01T00:01:00Z; until then the stream stands still.`
      ])
      assert.deepStrictEqual(told, [
        ["api.example", said[0]],
        ["api.example", undefined]
      ])
      const years = yield* saidOf(99_999_999_000)
      assert.include(years.said[0], "It is tried again after 900 s, the longest wait, at ")
    })
  )
  it.effect("says that an API refuses for long without a word on how long", () =>
    Effect.gen(function* () {
      assert.lengthOf((yield* saidOf(...Array<undefined>(6))).said, 0)
      const { said, told } = yield* saidOf(...Array<undefined>(20))
      assert.lengthOf(said, 1)
      assert.match(
        said[0] ?? "",
        /times in a row, for a minute now\. It is tried again; until then the stream stands still\.$/u
      )
      // Whoever looks later sees how long it has gone on.
      assert.match(told.at(-2)?.[1] ?? "", /asked to wait 20 times in a row, for \d minutes now/u)
      assert.deepStrictEqual(told.at(-1), ["api.example", undefined])
    })
  )
  it.effect("says again what goes on, not each time, and fails after an hour with all that it knows", () =>
    Effect.gen(function* () {
      for (const [wait, lines] of [
        [60_000, 5],
        [1000, 5],
        [86_400_000, 4],
        [undefined, 5]
      ] as const) {
        const { logger, said, told, waits } = heard()
        const began = yield* Clock.currentTimeMillis
        const fiber = yield* Effect.forkChild(
          Effect.provide(Effect.exit(trying(() => Effect.fail(throttled(wait)), options(waits))), logger)
        )
        yield* TestClock.adjust("59 minutes")
        assert.isUndefined(fiber.pollUnsafe(), String(wait))
        yield* TestClock.adjust("7 minutes")
        const exit = yield* Fiber.join(fiber)
        const reason = Exit.isFailure(exit) ? Option.getOrThrow(Cause.findErrorOption(exit.cause)) : undefined
        assert.strictEqual(reason?._tag, "StillThrottled")
        assert.strictEqual(reason?.failureClass, "throttled")
        assert.match(reason?.message ?? "", /answered 429.* times in a row, for 6\d minutes\. The position is kept\./u)
        assert.strictEqual(said.length, lines, said.join("\n"))
        assert.deepStrictEqual(told.at(-1), ["api.example", undefined])
        assert.isBelow(told.length, 200)
        yield* TestClock.setTime(began + 2 * 3_600_000)
      }
    })
  )
  it.effect("says no more of a wait when the request fails otherwise", () =>
    Effect.gen(function* () {
      const { logger, told, waits } = heard()
      let tries = 0
      const request = trying(() => Effect.fail(tries++ === 0 ? throttled(60_000) : serverError), options(waits))
      const fiber = yield* Effect.forkChild(Effect.provide(Effect.exit(request), logger))
      yield* TestClock.adjust("2 minutes")
      const exit = yield* Fiber.join(fiber)
      assert.include(String(Exit.isFailure(exit) ? Cause.squash(exit.cause) : ""), "500")
      assert.deepStrictEqual(
        told.map(([, problem]) => problem === undefined),
        [false, true]
      )
    })
  )
})

describe("a wait for a turn in a budget", () => {
  /** Requests of a connector, which take their turns and end. */
  const asking = Effect.gen(function* () {
    const budgets = yield* Budgets
    const ears = heard()
    const ask = Effect.provide(ears.waits.taking("shop", budgets.take("shop", undefined)), ears.logger)
    return { ...ears, ask, budgets }
  })
  it.effect("is said at once, and again, by those who wait, if the API asked for it", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      const { ask, budgets, said, told, waits } = yield* asking
      waits.note("shop", now + 3_600_000, "It said that nothing is left.")
      yield* budgets.learn("shop", [{ name: "x", remaining: 0, resetIn: 3_600_000 }])
      const message =
        "It said that nothing is left. Nothing is asked until 2026-01-01T01:00:00Z; until then the stream stands still."
      // Nobody wants to ask yet.
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(told, [])
      const fibers = [yield* Effect.forkChild(ask), yield* Effect.forkChild(ask)]
      yield* settled
      assert.deepStrictEqual([said, told], [[message], [["shop", message]]])
      yield* TestClock.adjust("58 minutes")
      assert.deepStrictEqual(
        said,
        Array.from({ length: 4 }, () => message)
      )
      yield* TestClock.adjust("2 minutes")
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(told, [
        ["shop", message],
        ["shop", undefined]
      ])
    }).pipe(Effect.provide(Budgets.layer))
  )
  it.effect("is said after half a minute if somebody else was asked to wait, and no short one is", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      const { ask, budgets, said, told, waits } = yield* asking
      waits.note("shop", now + 20_000, "Soon.")
      yield* budgets.pause("shop", Duration.seconds(20))
      const short = yield* Effect.forkChild(ask)
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(short)
      assert.deepStrictEqual([said, told], [[], []])
      yield* budgets.pause("shop", Duration.minutes(10))
      const long = yield* Effect.forkChild(ask)
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(told, [])
      yield* TestClock.adjust("1 second")
      assert.include(told[0]?.[1], "budget of shop have waited for their turn since 2026-01-01T00:00:20Z")
      yield* Fiber.interrupt(long)
      assert.deepStrictEqual(told.at(-1), ["shop", undefined])
    }).pipe(Effect.provide(Budgets.layer))
  )
})

describe("retrySchedule", () => {
  /** Runs an effect that fails with one reason after the other, then for ever with the last. */
  const failing = (...reasons: ReadonlyArray<SourceReason>) => {
    let tries = 0
    const effect = Effect.suspend(() => Effect.fail(reasons[Math.min(tries++, reasons.length - 1)]!))
    return { effect, tries: () => tries }
  }
  it.effect("tries passing failures again with growing delays, so many times", () =>
    Effect.gen(function* () {
      const { effect, tries } = failing(serverError)
      const fiber = yield* Effect.forkChild(Effect.exit(Effect.retry(effect, retrySchedule(3))))
      yield* TestClock.adjust(199)
      assert.strictEqual(tries(), 1)
      yield* TestClock.adjust(101)
      assert.strictEqual(tries(), 2)
      yield* TestClock.adjust(600)
      assert.strictEqual(tries(), 3)
      yield* TestClock.adjust(1200)
      assert.strictEqual(tries(), 4)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(tries(), 4)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
    })
  )
  it.effect("caps the delay at 30 s", () =>
    Effect.gen(function* () {
      const { effect, tries } = failing(serverError)
      yield* Effect.forkChild(Effect.exit(Effect.retry(effect, retrySchedule(20))))
      yield* TestClock.adjust("5 minutes")
      const before = tries()
      yield* TestClock.adjust("36 seconds")
      assert.isAbove(tries(), before)
    })
  )
  it.effect("waits as long as the API asks, which is no failed try", () =>
    Effect.gen(function* () {
      const { effect, tries } = failing(throttled(60_000), throttled(60_000), serverError, serverError)
      const fiber = yield* Effect.forkChild(Effect.exit(Effect.retry(effect, retrySchedule(1))))
      yield* TestClock.adjust(59_999)
      assert.strictEqual(tries(), 1)
      yield* TestClock.adjust(1_001)
      assert.strictEqual(tries(), 2)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(tries(), 4)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
    })
  )
  it.effect("waits at most 15 minutes, and does not go on for ever", () =>
    Effect.gen(function* () {
      const { effect, tries } = failing(throttled(86_400_000))
      const fiber = yield* Effect.forkChild(Effect.exit(Effect.retry(effect, retrySchedule(1))))
      yield* TestClock.adjust("901 seconds")
      assert.strictEqual(tries(), 2)
      yield* TestClock.adjust("50 minutes")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
      // At the end of the hour a budget of an hour would have been there again.
      assert.strictEqual(tries(), 5)
    })
  )
  it.effect("does not believe for ever that a second is enough", () =>
    Effect.gen(function* () {
      const { effect, tries } = failing(throttled(1000))
      const fiber = yield* Effect.forkChild(Effect.exit(Effect.retry(effect, retrySchedule(1))))
      yield* TestClock.adjust("8500 millis")
      assert.strictEqual(tries(), 9)
      yield* TestClock.adjust("65 minutes")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
      assert.isBelow(tries(), 200)
    })
  )
  it.effect("does not try again what cannot pass", () =>
    Effect.gen(function* () {
      const { effect, tries } = failing(new NotJson({ url, contentType: undefined, problem: "x", found: "y." }))
      yield* Effect.exit(Effect.retry(effect, retrySchedule(5)))
      assert.strictEqual(tries(), 1)
    })
  )
})

describe("Budgets", () => {
  const rate = { requests: 3, per: Duration.seconds(1) }
  it.effect("do not stand still because the clock was put back", () =>
    Effect.gen(function* () {
      const budgets = yield* Budgets
      yield* TestClock.setTime(86_400_000)
      for (let sent = 0; sent < 3; sent++) yield* budgets.take("api", rate)
      yield* budgets.pause("api", Duration.seconds(2))
      yield* TestClock.setTime(3_600_000)
      const fiber = yield* Effect.forkChild(budgets.take("api", rate))
      yield* TestClock.adjust("1900 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("100 millis")
      assert.isDefined(fiber.pollUnsafe())
    }).pipe(Effect.provide(Budgets.layer))
  )
  it.effect("lets no more requests through in any period than the rate says", () =>
    Effect.gen(function* () {
      const budgets = yield* Budgets
      let sent = 0
      const client = Effect.forever(
        Effect.andThen(
          budgets.take("shop", rate),
          Effect.sync(() => sent++)
        )
      )
      yield* Effect.forkChild(client)
      yield* Effect.forkChild(client)
      yield* TestClock.adjust(0)
      assert.strictEqual(sent, 3)
      yield* TestClock.adjust(999)
      assert.strictEqual(sent, 3)
      yield* TestClock.adjust(1)
      assert.strictEqual(sent, 6)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(sent, 36)
    }).pipe(Effect.provide(Budgets.layer))
  )
  it.effect("holds everything of a key back during a pause, and nothing else", () =>
    Effect.gen(function* () {
      const budgets = yield* Budgets
      yield* budgets.pause("shop", Duration.seconds(5))
      yield* budgets.pause("shop", Duration.seconds(1))
      const paused = yield* Effect.forkChild(budgets.take("shop", undefined))
      yield* budgets.take("other", undefined)
      yield* TestClock.adjust(4999)
      assert.isUndefined(paused.pollUnsafe())
      yield* budgets.pause("shop", Duration.seconds(5))
      yield* TestClock.adjust(1)
      assert.isUndefined(paused.pollUnsafe())
      yield* TestClock.adjust(4999)
      yield* Fiber.join(paused)
    }).pipe(Effect.provide(Budgets.layer))
  )
  it.effect("gives the place of an interrupted wait back", () =>
    Effect.gen(function* () {
      const budgets = yield* Budgets
      const one = { requests: 1, per: Duration.seconds(1) }
      yield* budgets.take("shop", one)
      const given = yield* Effect.forkChild(budgets.take("shop", one))
      const next = yield* Effect.forkChild(budgets.take("shop", one))
      yield* TestClock.adjust(500)
      yield* Fiber.interrupt(given)
      yield* TestClock.adjust(500)
      yield* Fiber.join(next)
    }).pipe(Effect.provide(Budgets.layer))
  )
})
