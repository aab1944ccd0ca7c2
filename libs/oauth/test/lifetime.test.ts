import { assert, it } from "@effect/vitest"
import { Schema } from "effect"
import { schedule } from "../src/lifetime.ts"

it("plans for usual lives", () => {
  const hour = 3_600_000
  assert.deepStrictEqual(schedule(0, hour, 0), { refreshAt: 0.6 * hour, usableUntil: hour - 60_000 })
  assert.closeTo(schedule(0, hour, 1).refreshAt, 0.8 * hour, 1)
  assert.deepStrictEqual(schedule(0, 60_000, 0), { refreshAt: 36_000, usableUntil: 54_000 })
  assert.deepStrictEqual(schedule(0, 5000, 0), { refreshAt: 3000, usableUntil: 4500 })
  assert.deepStrictEqual(schedule(0, 1000, 1), { refreshAt: 450, usableUntil: 500 })
  assert.deepStrictEqual(schedule(7, undefined, 0.5), { refreshAt: Infinity, usableUntil: Infinity })
  assert.strictEqual(schedule(0, 400, 0).usableUntil, 0)
  assert.strictEqual(schedule(0, 90 * 24 * hour, 0.5).refreshAt, 7 * 24 * hour)
})

it.prop(
  "always replaces before the end, and never hands out near it",
  [
    Schema.Int.check(Schema.isBetween({ minimum: 501, maximum: 400 * 24 * 3_600_000 })),
    Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
  ],
  ([life, random]) => {
    const plan = schedule(1000, 1000 + life, random)
    const reserve = 1000 + life - plan.usableUntil
    return (
      plan.refreshAt >= 1000 &&
      plan.refreshAt < plan.usableUntil &&
      reserve >= Math.max(500, Math.min(life * 0.1, 60_000)) - 1e-6
    )
  }
)
