import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { isWrong, plansOf, table } from "./faults/matrix.ts"
import { runAll } from "./faults/runAll.ts"
import { missingAny } from "./RedisServer.ts"

/** A part of the fault matrix; `faults/main.ts` is all of it, as often as one likes. */
const count = 150

describe("the fault matrix of refresh tokens", () => {
  for (const store of ["sqlite", "redis"] as const) {
    it.live.skipIf(store === "redis" && missingAny !== undefined)(
      `loses none where there is a way, and revokes no family: ${store}`,
      () =>
        Effect.gen(function* () {
          const results = yield* runAll(store, plansOf(count), "journal", 15)
          yield* Effect.logInfo(`\n${table(store, results)}`)
          assert.deepStrictEqual(results.filter(isWrong), [])
          assert.strictEqual(results.length, count)
        }),
      240_000
    )
  }

  it.live(
    "loses them with a client that refreshes and then saves: the matrix sees it",
    () =>
      Effect.gen(function* () {
        const results = yield* runAll("sqlite", plansOf(50), "naive", 10)
        assert.isAbove(results.filter((result) => result.verdict === "lost").length, 3)
        assert.isAbove(results.filter((result) => result.revoked > 0).length, 3)
      }),
    240_000
  )
})
