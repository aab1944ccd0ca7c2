import { assert } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Effect } from "effect"
import { dead, Engine, expected, finish, overflow, publish, rows, runUntil, setting, stored, steps } from "./support.ts"

/** The 12th, 23rd and 27th record of each test do not fit the table; so there are ranges with and without rejections. */
const isBad = (n: number) => n === 12 || n === 23 || n === 27

layerPerAttempt(Engine)("a loader that is killed", (it) => {
  for (const step of steps) {
    for (const forgotten of [false, true]) {
      it.effect(`${step}${forgotten ? ", and the table forgets the token" : ""}`, () =>
        Effect.gen(function* () {
          let crashes = 0
          for (const n of [1, 2, 3]) {
            const name = `${step.replace(" ", "_")}_${forgotten ? "forgotten" : "known"}_${n}`
            const place = yield* setting(name, { spec: { dedupWindow: forgotten ? 3 : 1000 } })
            yield* publish(place, rows(0, 35, isBad))
            if (yield* runUntil(place, step, n)) crashes++
            if (forgotten) yield* overflow(place)
            yield* finish(place)
            assert.deepStrictEqual(yield* stored(place), expected(35, isBad), `killed at ${step}, time ${n}`)
            assert.deepStrictEqual(
              (yield* dead(place)).map(({ offset }) => offset),
              [12, 23, 27]
            )
          }
          assert.isAtLeast(crashes, 1)
        })
      )
    }
  }
})
