import { Log } from "@tributary/log"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Deferred, Effect, Fiber, Schema } from "effect"
import { around, checkpoint, connector, keys, keysUpTo, run, synthetic, until, withServices } from "./support.ts"

const records = 23
const pageSize = 5
const pages = Math.ceil(records / pageSize)

interface Crash {
  /** Page of this life, from 0, at which it ends. */
  readonly page: number
  readonly when: "asking" | "before" | "after"
}

/** Runs the source until it is killed at a moment, or is done. */
const live = Effect.fnUntraced(function* (
  url: string,
  { page, when }: Crash,
  asked: (n: number) => Effect.Effect<void>
) {
  const reached = yield* Deferred.make<void>()
  const stop = (moment: Crash["when"]) => (n: number) =>
    n === page && moment === when ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
  const work = run(connector(url), true).pipe(Effect.provide(around(stop("before"), stop("after"))), Effect.forkChild)
  const fiber = yield* work
  const request = when === "asking" ? asked(page) : Effect.never
  yield* Effect.raceFirst(Deferred.await(reached), Effect.raceFirst(request, Effect.asVoid(Fiber.await(fiber))))
  yield* Fiber.interrupt(fiber)
})

/** After any number of lives: what is committed fits together. */
const consistent = Effect.gen(function* () {
  const log = yield* Log
  if (!(yield* log.topics).some(({ name }) => name === "raw.shop.items")) return
  const found = yield* keys()
  assert.deepStrictEqual(found, keysUpTo(found.length))
  const known = yield* checkpoint()
  const through = known === undefined ? 0 : known.walk === undefined ? records : known.walk.number * pageSize
  assert.strictEqual(found.length, through)
})

const crashed = (crashes: ReadonlyArray<Crash>) =>
  withServices(
    Effect.gen(function* () {
      const api = yield* synthetic({ records, pageSize, latency: 1 })
      for (const crash of crashes) {
        const before = api.stats.requests
        yield* live(api.url, crash, (n) =>
          Effect.asVoid(
            until(
              Effect.sync(() => api.stats.requests - before),
              (requests) => requests > n
            )
          ).pipe(Effect.orDie)
        )
        yield* consistent
      }
      yield* run(connector(api.url), true)
      assert.deepStrictEqual(yield* keys(), keysUpTo(records))
      const done = yield* checkpoint()
      assert.isUndefined(done?.walk)
      assert.isDefined(done?.completedAt)
    })
  )

describe("a source that is killed", () => {
  for (const when of ["asking", "before", "after"] as const) {
    it.live(
      `${when === "asking" ? "while it asks for" : when === "before" ? "before it commits" : "after it has committed"} any page goes on without loss or repetition`,
      () =>
        Effect.forEach(
          Array.from({ length: pages }, (_, page) => page),
          (page) => crashed([{ page, when }]),
          { discard: true }
        )
    )
  }

  const Crashes = Schema.Array(
    Schema.Struct({
      page: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
      when: Schema.Literals(["asking", "before", "after"])
    })
  ).check(Schema.isMaxLength(6))
  it.live.prop(
    "again and again goes on without loss or repetition",
    [Arbitrary.schema(Crashes)],
    ([crashes]) => crashed(crashes),
    {
      arbitrary: { runs: 25 }
    }
  )
})
