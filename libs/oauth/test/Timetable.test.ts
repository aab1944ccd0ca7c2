import { assert, it } from "@effect/vitest"
import { Clock, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { makeTimetable } from "../src/Timetable.ts"

const Times = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 })))

it.effect.prop(
  "starts everything at its time, whenever it is added",
  [Times, Times],
  ([first, second]) =>
    Effect.gen(function* () {
      const timetable = yield* makeTimetable
      const started: Array<readonly [due: number, at: number]> = []
      const add = (due: number) =>
        timetable.add(
          due,
          Effect.map(Clock.currentTimeMillis, (at) => void started.push([due, at]))
        )
      first.forEach(add)
      yield* TestClock.adjust(50)
      second.forEach(add)
      yield* TestClock.adjust(51)
      const expected = [
        ...first.map((due) => [due, due] as const),
        ...second.map((due) => [due, Math.max(due, 50)] as const)
      ].toSorted(([a, one], [b, other]) => one - other || a - b)
      assert.deepStrictEqual(
        started.toSorted(([a, one], [b, other]) => one - other || a - b),
        expected
      )
    }).pipe(Effect.scoped),
  { arbitrary: { runs: 100 } }
)
