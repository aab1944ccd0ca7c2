import { assert, describe, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import { runFleet } from "./fleet/runFleet.ts"
import { judge, table } from "./fleet/verdict.ts"
import { missing } from "./RedisServer.ts"

/** A thousand token lives; `npm run test:oauth-fleet` goes through a hundred times as many. */
const options = {
  connectors: 1000,
  authorizations: 100,
  processes: 4,
  lives: 10,
  life: 4000,
  budget: 94,
  outage: 12_000
} as const

describe.skipIf(missing !== undefined)(`a fleet${missing === undefined ? "" : ` (skipped: ${missing})`}`, () => {
  it.live(
    "refreshes each token once in its life, keeps to its budget, and comes back from a kill and an outage in order",
    () =>
      Effect.gen(function* () {
        const record = yield* runFleet({ ...options, without: "nothing" })
        const checks = judge(record)
        yield* Console.log(table(record, checks))
        assert.deepStrictEqual(
          checks.filter(({ isGood }) => !isGood),
          []
        )
        assert.isTrue(record.isComplete)
      }),
    400_000
  )

  it.live(
    "is seen to race when its processes and connectors do not keep out of each other's way",
    () =>
      Effect.gen(function* () {
        const record = yield* runFleet({ ...options, connectors: 200, authorizations: 20, lives: 3, without: "flight" })
        const wrong = judge(record).filter(({ isGood }) => !isGood)
        assert.isAbove(wrong.filter(({ name }) => /races|refused|revoked/u.test(name)).length, 0)
      }),
    300_000
  )
})
