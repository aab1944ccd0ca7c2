import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Budgets } from "@tributary/connector"
import { allowancesIn } from "../src/LimitHeaders.ts"
import { httpDateOf, millisOf } from "./harness.ts"

const now = millisOf("2026-01-01T00:00:00Z")
const second = Duration.seconds(1)

describe("allowancesIn", () => {
  type Vendors = Parameters<typeof allowancesIn>[2]
  const cases: ReadonlyArray<
    readonly [string, Record<string, string>, ReadonlyArray<readonly [number, number]>, Vendors?]
  > = [
    ["the draft's header", { ratelimit: '"default";r=50;t=30' }, [[50, 30_000]]],
    [
      "the draft's header with several limits, and the window of a policy",
      { ratelimit: '"burst";r=9, "day";r=800;t=4000', "ratelimit-policy": '"burst";q=10;w=2, "day";q=1000;w=86400' },
      [
        [9, 2000],
        [800, 4_000_000]
      ]
    ],
    ["an older draft's header", { ratelimit: "limit=100, remaining=50, reset=5" }, [[50, 5000]]],
    [
      "headers of a still older draft",
      { "ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "7", "ratelimit-reset": "12" },
      [[7, 12_000]]
    ],
    ["GitHub's", { "x-ratelimit-remaining": "4999", "x-ratelimit-reset": String(now / 1000 + 60) }, [[4999, 60_000]]],
    [
      "a reset as a time, by the API's own clock",
      { "x-ratelimit-remaining": "3", "x-ratelimit-reset": String(now / 1000 + 65), date: httpDateOf(now + 60_000) },
      [[3, 5000]]
    ],
    ["a remainder that nobody says the end of", { "x-ratelimit-remaining": "3" }, []],
    [
      "Shopify's bucket, which leaks",
      { "x-shopify-shop-api-call-limit": "32/40" },
      [[8, 16_000]],
      [{ used: "X-Shopify-Shop-Api-Call-Limit", per: Duration.seconds(20) }]
    ],
    [
      "HubSpot's",
      { "x-hubspot-ratelimit-remaining": "109" },
      [[109, 10_000]],
      [{ remaining: "x-hubspot-ratelimit-remaining", per: Duration.seconds(10) }]
    ],
    [
      "one with a reset of its own",
      { "x-left": "2", "x-more": "3" },
      [[2, 3000]],
      [{ remaining: "x-left", reset: "x-more", per: second }]
    ],
    [
      "nonsense",
      { ratelimit: ";;,r=,t", "x-ratelimit-remaining": "many", "x-used": "a/b" },
      [],
      [{ used: "x-used", per: second }]
    ]
  ]
  for (const [name, headers, wanted, vendors] of cases) {
    it(name, () => {
      const found = allowancesIn(headers, now, vendors ?? [])
      assert.deepStrictEqual(
        found.map(({ remaining, resetIn }): readonly [number, number] => [remaining, resetIn]),
        wanted
      )
    })
  }
})

describe("what is left of a budget", () => {
  const limit = (remaining: number, resetIn: number, name = "x") => [{ name, remaining, resetIn }]
  /** Everybody has done what they can at the moment. */
  const settled = Effect.forEach(Array.from({ length: 20 }), () => TestClock.adjust(0), { discard: true })
  /** Sends as fast as it may. */
  const sending = Effect.gen(function* () {
    const budgets = yield* Budgets
    let sent = 0
    yield* Effect.forkChild(
      Effect.forever(
        Effect.andThen(
          budgets.take("shop", undefined),
          Effect.sync(() => sent++)
        )
      )
    )
    return { budgets, sent: () => sent }
  })

  it.effect("is not exceeded, and one request goes first after a reset", () =>
    Effect.gen(function* () {
      const budgets = yield* Budgets
      yield* budgets.learn("shop", limit(3, 5000))
      const { sent } = yield* sending
      yield* settled
      yield* TestClock.adjust(4999)
      assert.strictEqual(sent(), 3)
      yield* TestClock.adjust(1)
      assert.strictEqual(sent(), 4)
      yield* TestClock.adjust(500)
      assert.strictEqual(sent(), 4)
      yield* budgets.learn("shop", limit(10, 5000))
      yield* settled
      assert.strictEqual(sent(), 14)
      // Requests that were under way are counted already: what is said of them later gives nothing back.
      yield* budgets.learn("shop", limit(8, 4999))
      yield* settled
      assert.strictEqual(sent(), 14)
    }).pipe(Effect.provide(Budgets.layer))
  )
  it.effect("is the least of several limits", () =>
    Effect.gen(function* () {
      const budgets = yield* Budgets
      yield* budgets.learn("shop", [...limit(100, 60_000, "minute"), ...limit(2, 1000, "second")])
      const { sent } = yield* sending
      yield* settled
      yield* TestClock.adjust(999)
      assert.strictEqual(sent(), 2)
    }).pipe(Effect.provide(Budgets.layer))
  )
  it.effect("is forgotten when the API says nothing of it any more", () =>
    Effect.gen(function* () {
      const budgets = yield* Budgets
      yield* budgets.learn("shop", limit(0, 1000))
      const waiting = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3, 4, 5], () => budgets.take("shop", undefined), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust(2001)
      yield* Fiber.join(waiting)
    }).pipe(Effect.provide(Budgets.layer))
  )
  it.effect("keeps many at once from being refused, however long their requests are under way", () =>
    Effect.gen(function* () {
      /** Requests that an API of 50 per second refuses, which is asked as fast as it may be. */
      const refusedWith = (learns: boolean) =>
        Effect.gen(function* () {
          const budgets = yield* Budgets
          let window = 0
          let count = 0
          let refused = 0
          let sent = 0
          const ask = Effect.fnUntraced(function* (latency: number) {
            yield* budgets.take("shop", undefined)
            yield* Effect.sleep(latency)
            const time = yield* Clock.currentTimeMillis
            const at = Math.floor(time / 1000)
            if (at !== window) count = 0
            window = at
            sent++
            const left = Math.max(0, 50 - ++count)
            const resetIn = (at + 1) * 1000 - time
            // In the first window nobody knows what those who are under way will use.
            if (count > 50 && at > 0) refused++
            yield* Effect.sleep(latency)
            if (learns) yield* budgets.learn("shop", limit(left, resetIn))
            // As the transport does without it.
            if (count > 50) yield* budgets.pause("shop", Duration.millis(resetIn))
          })
          for (let n = 0; n < 16; n++) yield* Effect.forkChild(Effect.forever(ask(3 + n)))
          for (let n = 0; n < 1000; n++) yield* TestClock.adjust(10)
          return { refused, sent }
        }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Budgets.layer)))
      const [with_, without] = [yield* refusedWith(true), yield* refusedWith(false)]
      assert.strictEqual(with_.refused, 0)
      assert.isAbove(without.refused, 50)
      // And the limit is used.
      assert.isAbove(with_.sent, 400)
    })
  )
})
