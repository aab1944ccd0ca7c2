import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Schema } from "effect"
import { civilFromDays, daysFromCivil, isCivilDate } from "@tributary/codec"

const Days = Schema.Int.check(Schema.isBetween({ minimum: -800_000, maximum: 3_000_000 }))
const Part = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** The same by Effect's calendar. */
const native = (days: number) => {
  const { day, month, year } = DateTime.toPartsUtc(DateTime.makeUnsafe(days * 86_400_000))
  return { year, month, day }
}

describe("the calendar", () => {
  it.effect.prop(
    "has the days of Effect's, there and back",
    [Days],
    ([days]) =>
      Effect.sync(() => {
        const civil = civilFromDays(days)
        assert.deepStrictEqual(civil, native(days))
        assert.strictEqual(daysFromCivil(civil.year, civil.month, civil.day), days)
        assert.isTrue(isCivilDate(civil.year, civil.month, civil.day))
      }),
    { arbitrary: { runs: 1000 } }
  )

  it.effect.prop(
    "knows which days there are",
    [Part(-10, 10_010), Part(-1, 14), Part(-1, 33)],
    ([year, month, day]) =>
      Effect.sync(() => {
        // A day that there is not is another one, counted on from the first of the month.
        const found = isCivilDate(year, month, 1) ? native(daysFromCivil(year, month, 1) + day - 1) : undefined
        const isThere = found?.year === year && found.month === month && found.day === day
        assert.strictEqual(isCivilDate(year, month, day), isThere, `${year}-${month}-${day}`)
      }),
    { arbitrary: { runs: 1000 } }
  )
})
