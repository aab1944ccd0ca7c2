import { assert, describe, it } from "@effect/vitest"
import type { FailureClass } from "@tributary/domain"
import { Cause, Clock, Deferred, Effect, Fiber, Layer, Logger, Random } from "effect"
import { TestClock } from "effect/testing"
import { GaveUp, type Reporter, type StageStatus, Status, supervise } from "../src/index.ts"

const fail = (failureClass: FailureClass) =>
  Effect.fail({ failureClass, message: `something ${failureClass}` } as const)

interface Line {
  readonly level: string
  readonly text: string
  readonly cause: Cause.Cause<unknown>
}

/** What a test looks at: the reporter with its status, and the lines that were logged. */
const stage = Effect.gen(function* () {
  const status = yield* Status
  const reporter = yield* status.reporter("shop", "orders", "sink")
  const now = Effect.map(status.snapshot, ([entry]): StageStatus => entry!.stages.sink!)
  return { reporter, now }
})

/** No jitter: each delay is the back-off itself. */
const steady = Random.Random.of({
  nextIntUnsafe: () => 0,
  nextDoubleUnsafe: () => 0.5
})

const lines: Array<Line> = []
const quiet = Logger.layer([
  Logger.make(({ cause, logLevel, message }) => void lines.push({ level: logLevel, text: String(message), cause }))
])
const services = Layer.mergeAll(Status.layer, quiet, Layer.succeed(Random.Random, steady))
const test = <A, E>(body: Effect.Effect<A, E, Status>) =>
  Effect.suspend(() => {
    lines.length = 0
    return body.pipe(Effect.provide(services, { local: true }))
  })

/** Runs work that fails as told and counts its tries; with `ends` it succeeds after so many. */
const failing = (failureClass: FailureClass, ends = Number.POSITIVE_INFINITY) => {
  const tries: Array<number> = []
  const work = Effect.gen(function* () {
    tries.push(yield* Clock.currentTimeMillis)
    if (tries.length > ends) return "done"
    return yield* fail(failureClass)
  })
  return { tries, work }
}

describe("supervise", () => {
  it.effect("waits for a person's consent, and goes on when it was given", () =>
    test(
      Effect.gen(function* () {
        const { now, reporter } = yield* stage
        const { tries, work } = failing("needs-consent", 2)
        let given = Deferred.makeUnsafe<void>()
        const consented = Effect.suspend(() => Deferred.await(given))
        const fiber = yield* Effect.forkChild(supervise(reporter, work, { once: false, consented }))
        yield* TestClock.adjust("1 day")
        assert.strictEqual(tries.length, 1)
        assert.strictEqual((yield* now).state, "paused")
        const first = given
        given = Deferred.makeUnsafe<void>()
        yield* Deferred.succeed(first, undefined)
        yield* TestClock.adjust(0)
        assert.strictEqual(tries.length, 2, "the consent was not enough, and another one is waited for")
        yield* TestClock.adjust("1 day")
        assert.strictEqual(tries.length, 2)
        yield* Deferred.succeed(given, undefined)
        assert.strictEqual(yield* Fiber.join(fiber), "done")
      })
    )
  )

  for (const failureClass of ["transient", "throttled"] as const) {
    it.effect(`tries again after a ${failureClass} failure, later and later up to 30 seconds`, () =>
      test(
        Effect.gen(function* () {
          const { now, reporter } = yield* stage
          const { tries, work } = failing(failureClass, 10)
          const fiber = yield* Effect.forkChild(supervise(reporter, work, { once: false }))
          yield* TestClock.adjust(0)
          assert.strictEqual(tries.length, 1)
          const first = yield* now
          assert.strictEqual(first.state, "retrying")
          assert.deepStrictEqual(first.problem, {
            class: failureClass,
            message: `something ${failureClass}`,
            at: 0
          })
          assert.deepStrictEqual([first.nextAt, first.restarts], [250, 0])
          yield* TestClock.adjust(249)
          assert.strictEqual(tries.length, 1)
          yield* TestClock.adjust(1)
          assert.strictEqual(tries.length, 2)
          assert.strictEqual((yield* now).restarts, 1)
          yield* TestClock.adjust("5 minutes")
          assert.strictEqual(yield* Fiber.join(fiber), "done")
          const pauses = tries.slice(1).map((at, k) => at - tries[k]!)
          assert.deepStrictEqual(pauses, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
          assert.isTrue(lines.length === 10 && lines.every(({ level }) => level === "Warn"))
        })
      )
    )
  }

  it.effect("waits a random part of the back-off, from half to one and a half", () =>
    Effect.gen(function* () {
      const { reporter } = yield* stage
      const pauses: Array<number> = []
      for (let k = 0; k < 60; k++) {
        const { tries, work } = failing("transient", 1)
        const fiber = yield* Effect.forkChild(supervise(reporter, work, { once: false }))
        yield* TestClock.adjust(1000)
        yield* Fiber.join(fiber)
        pauses.push(tries[1]! - tries[0]!)
      }
      assert.isTrue(pauses.every((pause) => pause >= 125 && pause <= 375))
      assert.isAbove(Math.max(...pauses) - Math.min(...pauses), 100)
    }).pipe(Effect.provide([Status.layer, quiet]))
  )

  it.effect("pauses when misconfigured, and looks again each minute", () =>
    test(
      Effect.gen(function* () {
        const { now, reporter } = yield* stage
        const { tries, work } = failing("misconfigured", 3)
        const fiber = yield* Effect.forkChild(supervise(reporter, work, { once: false }))
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual(tries.length, 1)
        const paused = yield* now
        assert.deepStrictEqual([paused.state, paused.problem?.message], ["paused", "something misconfigured"])
        assert.strictEqual(paused.nextAt, 60_000)
        yield* TestClock.adjust("121 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "done")
        assert.deepStrictEqual(tries, [0, 60_000, 120_000, 180_000])
        assert.strictEqual(lines[0]?.level, "Error")
      })
    )
  )

  it.effect("pauses for good when a person has to consent", () =>
    test(
      Effect.gen(function* () {
        const { now, reporter } = yield* stage
        const { tries, work } = failing("needs-consent", 1)
        const fiber = yield* Effect.forkChild(supervise(reporter, work, { once: false }))
        yield* TestClock.adjust("10 days")
        assert.strictEqual(tries.length, 1)
        const paused = yield* now
        assert.deepStrictEqual([paused.state, paused.nextAt, paused.restarts], ["paused", null, 0])
        yield* Fiber.interrupt(fiber)
      })
    )
  )

  it.effect("restarts a defect five times, then pauses and looks again each minute", () =>
    test(
      Effect.gen(function* () {
        const { now, reporter } = yield* stage
        let tries = 0
        const work = Effect.suspend(() => {
          tries++
          return Effect.die(new TypeError("x is not a function"))
        })
        const fiber = yield* Effect.forkChild(supervise(reporter, work, { once: false }))
        yield* TestClock.adjust(250 + 500 + 1000 + 2000)
        assert.strictEqual(tries, 5)
        assert.strictEqual((yield* now).state, "retrying")
        yield* TestClock.adjust(4000)
        assert.strictEqual(tries, 6)
        const paused = yield* now
        assert.deepStrictEqual([paused.state, paused.problem?.class], ["paused", "defect"])
        assert.include(paused.problem?.message, "x is not a function")
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual(tries, 6)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(tries, 7)
        // The log has the whole cause of a defect, not only its message.
        assert.isTrue(lines.every(({ cause, text }) => text.includes("x is not a function") && Cause.hasDies(cause)))
        yield* Fiber.interrupt(fiber)
      })
    )
  )

  it.effect("takes an error that says it is a defect for one, and keeps other failures out of that budget", () =>
    test(
      Effect.gen(function* () {
        const { now, reporter } = yield* stage
        let tries = 0
        const work = Effect.suspend(() => fail(++tries % 2 === 0 ? "defect" : "transient"))
        const fiber = yield* Effect.forkChild(supervise(reporter, work, { once: false }))
        // Twelve tries hold six defects, the last of which is one too many.
        yield* TestClock.adjust(0)
        while ((yield* now).state === "retrying") yield* TestClock.adjust("100 millis")
        assert.strictEqual((yield* now).state, "paused")
        assert.strictEqual(tries, 12)
        yield* Fiber.interrupt(fiber)
      })
    )
  )

  it.effect("counts anew after a minute without failure", () =>
    test(
      Effect.gen(function* () {
        const { now, reporter } = yield* stage
        const tries: Array<number> = []
        const work = Effect.gen(function* () {
          tries.push(yield* Clock.currentTimeMillis)
          if (tries.length % 5 === 0) yield* Effect.sleep(60_001)
          return yield* fail("defect")
        })
        const fiber = yield* Effect.forkChild(supervise(reporter, work, { once: false }))
        yield* TestClock.adjust("10 minutes")
        assert.isAbove(tries.length, 20)
        const all = yield* now
        assert.strictEqual(all.problem?.class, "defect")
        assert.strictEqual(all.restarts, tries.length - 1)
        // Without the minute of health the budget would be used up at the sixth.
        assert.strictEqual(tries[5]! - tries[4]!, 60_001 + 250)
        yield* Fiber.interrupt(fiber)
      })
    )
  )

  it.effect("ends at once when it is interrupted, and counts nothing", () =>
    test(
      Effect.gen(function* () {
        const { now, reporter } = yield* stage
        const started = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          supervise(reporter, Effect.andThen(Deferred.succeed(started, undefined), Effect.never), { once: false })
        )
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(fiber.pollUnsafe()?._tag, "Failure")
        const status = yield* now
        assert.deepStrictEqual([status.state, status.problem, status.restarts], ["starting", null, 0])
        assert.deepStrictEqual(lines, [])
      })
    )
  )

  it.effect("restarts work that somebody else interrupted: a stage never stops in silence", () =>
    test(
      Effect.gen(function* () {
        const { now, reporter } = yield* stage
        let tries = 0
        const work = Effect.gen(function* () {
          if (++tries === 2) return "done"
          const child = yield* Effect.forkChild(Effect.never)
          yield* Fiber.interrupt(child)
          return yield* Fiber.join(child)
        })
        const fiber = yield* Effect.forkChild(supervise(reporter, work, { once: false }))
        yield* TestClock.adjust(1)
        assert.include((yield* now).problem?.message, "interrupted")
        yield* TestClock.adjust(250)
        assert.strictEqual(yield* Fiber.join(fiber), "done")
      })
    )
  )

  it.effect("prefers what the work said to what broke beside it", () =>
    test(
      Effect.gen(function* () {
        const { now, reporter } = yield* stage
        const both = Effect.failCause(
          Cause.combine(
            Cause.die(new Error("the file was not closed")),
            Cause.fail({ failureClass: "misconfigured" as const, message: "no such table" })
          )
        )
        const fiber = yield* Effect.forkChild(supervise(reporter, both, { once: false }))
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* now).problem?.class, "misconfigured")
        yield* Fiber.interrupt(fiber)
      })
    )
  )
})

describe("supervise, once", () => {
  const once = (work: Effect.Effect<string, { readonly failureClass: FailureClass; readonly message: string }>) =>
    Effect.gen(function* () {
      const { now, reporter } = yield* stage
      const fiber = yield* Effect.forkChild(Effect.result(supervise(reporter, work, { once: true })))
      yield* TestClock.adjust("1 hour")
      return { result: yield* Fiber.join(fiber), status: yield* now }
    })

  for (const failureClass of ["misconfigured", "needs-consent"] as const) {
    it.effect(`gives up at once when ${failureClass}`, () =>
      test(
        Effect.gen(function* () {
          const { tries, work } = failing(failureClass)
          const { result, status } = yield* once(work)
          assert.strictEqual(tries.length, 1)
          assert.strictEqual(result._tag, "Failure")
          if (result._tag === "Failure") {
            assert.instanceOf(result.failure, GaveUp)
            assert.deepStrictEqual(
              [result.failure.failureClass, result.failure.message],
              [failureClass, `something ${failureClass}`]
            )
          }
          assert.deepStrictEqual([status.state, status.nextAt], ["paused", null])
        })
      )
    )
  }

  for (const failureClass of ["transient", "defect"] as const) {
    it.effect(`gives up after five more tries of ${failureClass} work`, () =>
      test(
        Effect.gen(function* () {
          const { tries, work } = failing(failureClass)
          const { result, status } = yield* once(work)
          assert.strictEqual(result._tag, "Failure")
          assert.strictEqual(tries.length, 6)
          assert.strictEqual(status.state, "paused")
        })
      )
    )
    it.effect(`and not before, if ${failureClass} work then succeeds`, () =>
      test(
        Effect.gen(function* () {
          const { result } = yield* once(failing(failureClass, 5).work)
          assert.deepStrictEqual(result._tag, "Success")
        })
      )
    )
  }

  /** Work that takes two minutes to fail, with or without a batch before. */
  const slow = (reporter: Reporter, tries: Array<number>, comesForward: boolean) =>
    Effect.gen(function* () {
      tries.push(yield* Clock.currentTimeMillis)
      if (tries.length > 20) return "done"
      if (comesForward) yield* reporter.progress({ records: 1, bytes: 1 })
      yield* Effect.sleep("2 minutes")
      return yield* fail("transient")
    })

  it.effect("gives up after one long try without a result: what failed in it was tried again for all that time", () =>
    test(
      Effect.gen(function* () {
        const { reporter } = yield* stage
        const tries: Array<number> = []
        const { result } = yield* once(slow(reporter, tries, false))
        assert.strictEqual(result._tag, "Failure")
        assert.strictEqual(tries.length, 1)
      })
    )
  )

  it.effect("waits on as long as it is told to, when it is throttled", () =>
    test(
      Effect.gen(function* () {
        const tries: Array<number> = []
        const work = Effect.gen(function* () {
          tries.push(yield* Clock.currentTimeMillis)
          yield* Effect.sleep("2 minutes")
          return yield* fail("throttled")
        })
        const { result } = yield* once(work)
        assert.strictEqual(result._tag, "Failure")
        assert.strictEqual(tries.length, 6)
      })
    )
  )

  it.effect("goes on as long as it comes forward", () =>
    test(
      Effect.gen(function* () {
        const { reporter } = yield* stage
        const tries: Array<number> = []
        const { result } = yield* once(slow(reporter, tries, true))
        assert.strictEqual(result._tag, "Success")
        assert.strictEqual(tries.length, 21)
      })
    )
  )

  it.effect("returns what the work returned", () =>
    test(
      Effect.gen(function* () {
        const { result } = yield* once(Effect.succeed("done"))
        assert.deepStrictEqual(result._tag === "Success" ? result.success : undefined, "done")
        assert.deepStrictEqual(lines, [])
      })
    )
  )
})
