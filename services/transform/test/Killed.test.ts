import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Deferred, Effect, Fiber, Schema } from "effect"
import {
  count,
  test,
  connector,
  steps,
  order,
  positionOf,
  until,
  publish,
  run,
  finish,
  consistent
} from "./serviceSupport.ts"

interface Crash {
  readonly transaction: number
  readonly when: "before" | "after"
}

const live = Effect.fnUntraced(function* ({ transaction, when }: Crash) {
  const reached = yield* Deferred.make<void>()
  let n = 0
  const stop = Effect.suspend(() =>
    n++ === transaction ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
  )
  const fiber = yield* Effect.forkChild(run(connector(steps), { [when]: stop }))
  yield* Effect.raceFirst(
    Deferred.await(reached),
    until(positionOf, (position) => position === count)
  )
  yield* Fiber.interrupt(fiber)
})

const crashed = (crashes: ReadonlyArray<Crash>) =>
  test(
    Effect.gen(function* () {
      yield* publish(Array.from({ length: count }, (_, n) => order(n)))
      for (const crash of crashes) {
        yield* live(crash)
        yield* consistent
      }
      yield* finish(connector(steps))
      yield* consistent
      assert.strictEqual(yield* positionOf, count)
    })
  )

describe("a transform that is killed", () => {
  for (const when of ["before", "after"] as const) {
    it.live(`${when} any of its transactions has its effect once`, () =>
      Effect.forEach(
        Array.from({ length: Math.ceil(count / 4) }, (_, transaction) => transaction),
        (transaction) => crashed([{ transaction, when }]),
        { discard: true }
      )
    )
  }

  const Crashes = Schema.Array(
    Schema.Struct({
      transaction: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
      when: Schema.Literals(["before", "after"])
    })
  ).check(Schema.isMaxLength(8))
  it.live.prop("again and again has its effect once", [Arbitrary.schema(Crashes)], ([crashes]) => crashed(crashes), {
    arbitrary: { runs: 25 }
  })
})
