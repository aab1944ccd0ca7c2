import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, References, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Health, type HealthResult } from "../src/Health.ts"

const well: HealthResult = { status: "ok", detail: "answers" }
const ill: HealthResult = { status: "failing", detail: "no broker" }

const surroundings = Layer.merge(Health.layer, Layer.succeed(References.MinimumLogLevel, "None"))
const on = <E>(work: (health: Health["Service"]) => Effect.Effect<void, E, Scope.Scope>) =>
  Effect.flatMap(Health, work).pipe(Effect.scoped, Effect.provide(surroundings))

describe("health", () => {
  it.effect("is ready when every check is", () =>
    on((health) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* health.snapshot, { status: "ok", checks: {} })
        yield* health.register("log", Effect.succeed(well))
        assert.deepStrictEqual(yield* health.snapshot, { status: "ok", checks: { log: well } })
        yield* health.register("vault", Effect.succeed(ill))
        assert.deepStrictEqual(yield* health.snapshot, { status: "failing", checks: { log: well, vault: ill } })
      })
    )
  )

  it.effect("forgets a check with its scope, but not the one that took its name", () =>
    on((health) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* Scope.provide(health.register("log", Effect.succeed(ill)), scope)
        yield* health.register("log", Effect.succeed(well))
        yield* Scope.provide(health.register("other", Effect.succeed(ill)), scope)
        assert.deepStrictEqual((yield* health.snapshot).checks, { log: well, other: ill })
        yield* Scope.close(scope, yield* Effect.exit(Effect.void))
        assert.deepStrictEqual((yield* health.snapshot).checks, { log: well })
      })
    )
  )

  it.effect("takes a check that hangs for failing after 2 seconds, whether it can be stopped or not", () =>
    on((health) =>
      Effect.gen(function* () {
        let started = 0
        const hangs = Effect.andThen(
          Effect.sync(() => (started += 1)),
          Effect.never
        )
        yield* health.register("well", Effect.succeed(well))
        yield* health.register("hangs", hangs)
        yield* health.register("stubborn", Effect.uninterruptible(hangs))
        const late: HealthResult = { status: "failing", detail: "no answer within 2s" }
        for (let round = 1; round <= 3; round++) {
          const probes = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(health.snapshot))
          yield* TestClock.adjust("1999 millis")
          assert.isUndefined(probes[0]?.pollUnsafe())
          yield* TestClock.adjust("1 millis")
          for (const probe of probes) {
            assert.deepStrictEqual((yield* Fiber.join(probe)).checks, { well, hangs: late, stubborn: late })
          }
          // One run per round however many ask, and never a second one of what does not end.
          assert.strictEqual(started, round + 1)
        }
      })
    )
  )

  it.effect("runs a check anew for each probe that comes after its answer", () =>
    on((health) =>
      Effect.gen(function* () {
        let answer = ill
        yield* health.register(
          "log",
          Effect.sync(() => answer)
        )
        assert.strictEqual((yield* health.snapshot).status, "failing")
        answer = well
        assert.strictEqual((yield* health.snapshot).status, "ok")
      })
    )
  )

  it.effect("takes a check that dies for failing, and shows nothing of its error", () =>
    on((health) =>
      Effect.gen(function* () {
        yield* health.register("dies", Effect.die(new Error("password hunter2")))
        yield* health.register("ends", Effect.interrupt)
        const { checks, status } = yield* health.snapshot
        assert.strictEqual(status, "failing")
        assert.deepInclude(checks["dies"], { status: "failing" })
        assert.deepInclude(checks["ends"], { status: "failing" })
        assert.notInclude(JSON.stringify(checks), "hunter2")
      })
    )
  )

  it.effect("gives a probe that was broken off no hold on the next one", () =>
    on((health) =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<HealthResult>()
        yield* health.register("slow", Deferred.await(gate))
        const first = yield* Effect.forkChild(health.snapshot, { startImmediately: true })
        yield* Fiber.interrupt(first)
        const second = yield* Effect.forkChild(health.snapshot, { startImmediately: true })
        yield* Deferred.succeed(gate, well)
        assert.deepStrictEqual((yield* Fiber.join(second)).checks, { slow: well })
      })
    )
  )

  it.effect("is over for ever once the process is declared dead", () =>
    on((health) =>
      Effect.gen(function* () {
        assert.isUndefined(yield* health.failure)
        yield* health.fail("partition 3 does not move")
        yield* health.fail("and then this")
        assert.strictEqual(yield* health.failure, "partition 3 does not move")
        assert.deepStrictEqual(yield* health.snapshot, {
          status: "failing",
          checks: { process: { status: "failing", detail: "partition 3 does not move" } }
        })
      })
    )
  )
})
