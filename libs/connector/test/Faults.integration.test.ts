import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { authFor, connector, keysOf, read, services, source, synthetic } from "./harness.ts"

describe("faults", () => {
  it.live("of every kind at once lose and repeat nothing", () =>
    Effect.gen(function* () {
      const rates = { errorRate: 0.1, dropRate: 0.1, cutRate: 0.1, throttleRate: 0.1, retryAfter: 0 }
      // Multiples of the golden ratio fall into every tenth before long, so that no kind is left to chance.
      let turn = 0
      const random = () => (++turn * 0.618_033_988_749_895) % 1
      const api = yield* synthetic({ auth: true, records: 2000, ...rates, revokeEvery: 30, random })
      const stream = { primary_key: "id", query: { limit: 100 }, pagination: { next_url: "$.links.next" } }
      const keys = keysOf(yield* read(yield* source(connector(api.url, stream, { retries: 20 }, authFor(api)))))
      assert.deepStrictEqual([keys.length, new Set(keys).size], [2000, 2000])
      const { cut, dropped, errors, throttled } = api.stats
      assert.isAbove(Math.min(cut, dropped, errors, throttled), 0)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  for (const retryAfterForm of ["seconds", "date"] as const) {
    it.live(`waits as long as Retry-After says, in ${retryAfterForm}`, () =>
      Effect.gen(function* () {
        const api = yield* synthetic({ records: 100, throttleRate: 1, retryAfter: 1, retryAfterForm })
        const fiber = yield* Effect.forkChild(
          Effect.flatMap(source(connector(api.url, {}, { retries: 0 })), (ready) => read(ready))
        )
        yield* Effect.sleep("300 millis").pipe(Effect.repeat({ until: () => api.stats.throttled > 0 }))
        api.set({ throttleRate: 0 })
        assert.strictEqual((yield* Fiber.join(fiber)).length, 1)
        assert.deepStrictEqual([api.stats.throttled, api.stats.early, api.stats.requests], [1, 0, 2])
      }).pipe(Effect.scoped, Effect.provide(services))
    )
  }
})
