import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { type Lease, Leases, LeaseTaken } from "@tributary/vault"

/** What every lease service promises; run against each of them. The layer is built anew, and empty, for each promise. */
export const leasesConformance = <E>(name: string, layer: Layer.Layer<Leases, E>) =>
  describe(name, () => {
    const promises = (title: string, body: (leases: Leases["Service"]) => Effect.Effect<void, unknown>) =>
      it.live(title, () => Effect.provide(Effect.flatMap(Leases, body), Layer.fresh(layer)))

    /** Holds a lease until it is told to give it back. */
    const hold = Effect.fnUntraced(function* (leases: Leases["Service"], key: string) {
      const scope = yield* Scope.make()
      const lease = yield* Scope.provide(leases.acquire(key, { ttl: "5 seconds" }), scope)
      return { lease, giveBack: Scope.close(scope, Exit.void) }
    })

    promises("has one holder at a time; epochs grow, whoever holds", (leases) =>
      Effect.gen(function* () {
        let before: Lease | undefined
        for (let round = 0; round < 5; round++) {
          const { giveBack, lease } = yield* hold(leases, "shop")
          yield* lease.check
          const error = yield* Effect.flip(Effect.scoped(leases.acquire("shop", { ttl: "5 seconds" })))
          assert.instanceOf(error, LeaseTaken)
          assert.isAbove(lease.epoch, before?.epoch ?? 0)
          assert.notStrictEqual(lease.owner, before?.owner)
          before = lease
          yield* giveBack
        }
      })
    )

    promises("passes on to who goes on with what it is held for, at once, and ends by itself else", (leases) =>
      Effect.gen(function* () {
        // Long beside the few requests that are made within it.
        const ttl = 3000
        let isUnfinished = true
        const purposeOf = (name: string, onlyOver = false) => ({ name, isUnfinished: () => isUnfinished, onlyOver })
        const scope = yield* Scope.make()
        const first = yield* Scope.provide(leases.acquire("place", { ttl, purpose: purposeOf("job-1") }), scope)
        // Whether the first holder is there or not.
        const second = yield* Effect.scoped(
          Effect.tap(leases.acquire("place", { ttl, purpose: purposeOf("job-1", true) }), (lease) => lease.check)
        )
        assert.isAbove(second.epoch, first.epoch)
        yield* Scope.close(scope, Exit.void)
        for (const name of ["job-2", "job"]) {
          const refused = yield* Effect.flip(Effect.scoped(leases.acquire("place", { ttl, purpose: purposeOf(name) })))
          assert.instanceOf(refused, LeaseTaken)
        }
        assert.instanceOf(yield* Effect.flip(Effect.scoped(leases.acquire("place", { ttl }))), LeaseTaken)
        const third = yield* Effect.scoped(
          leases.acquire("place", { ttl, wait: "20 seconds", purpose: purposeOf("job-2") })
        )
        assert.isAbove(third.epoch, second.epoch)
        isUnfinished = false
        yield* Effect.scoped(leases.acquire("place", { ttl, purpose: purposeOf("job-2") }))
        // Given back: nobody has it, so there is nothing to take over.
        const only = leases.acquire("place", { ttl, purpose: purposeOf("job-2", true) })
        assert.instanceOf(yield* Effect.flip(Effect.scoped(only)), LeaseTaken)
        yield* Effect.scoped(leases.acquire("place", { ttl }))
      })
    )

    promises("keeps keys apart, whatever they are", (leases) =>
      Effect.scoped(
        Effect.forEach(["a", "A", "a/b", "ä", "{a}", "}{", "* KEYS[1]", ""], (key) =>
          leases.acquire(key, { ttl: "5 seconds" })
        )
      )
    )

    promises("lets those who wait have it one after the other", (leases) =>
      Effect.gen(function* () {
        let holders = 0
        const epochs: Array<number> = []
        yield* Effect.forEach(
          Array.from({ length: 8 }),
          () =>
            Effect.scoped(
              Effect.gen(function* () {
                const lease = yield* leases.acquire("shop", { ttl: "20 seconds", wait: "90 seconds" })
                assert.strictEqual(++holders, 1)
                epochs.push(lease.epoch)
                yield* Effect.sleep(5)
                yield* lease.check
                holders--
              })
            ),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(new Set(epochs).size, 8)
        assert.deepStrictEqual(
          epochs,
          epochs.toSorted((a, b) => a - b)
        )
      })
    )

    promises("waits no longer than it was told to", (leases) =>
      Effect.gen(function* () {
        const { giveBack } = yield* hold(leases, "shop")
        const waiting = Effect.scoped(leases.acquire("shop", { ttl: "5 seconds", wait: "150 millis" }))
        const error = yield* Effect.flip(Effect.timeout(waiting, "30 seconds"))
        assert.instanceOf(error, LeaseTaken)
        yield* giveBack
      })
    )

    promises("leaves nothing behind when a wait is interrupted", (leases) =>
      Effect.gen(function* () {
        const { giveBack } = yield* hold(leases, "shop")
        const waiting = yield* Effect.forkChild(
          Effect.scoped(Effect.andThen(leases.acquire("shop", { ttl: "1 minute", wait: "1 minute" }), Effect.never)),
          { startImmediately: true }
        )
        yield* Effect.sleep(20)
        yield* Fiber.interrupt(waiting)
        yield* giveBack
        yield* Effect.scoped(leases.acquire("shop", { ttl: "5 seconds" }))
      })
    )

    promises("renews for as long as the scope is open", (leases) =>
      Effect.scoped(
        Effect.gen(function* () {
          // It is renewed each second: late by two is not too late.
          const lease = yield* leases.acquire("shop", { ttl: "3 seconds" })
          const early = yield* Effect.timeoutOption(lease.lost, "4 seconds")
          assert.strictEqual(early._tag, "None")
          yield* lease.check
          const error = yield* Effect.flip(Effect.scoped(leases.acquire("shop", { ttl: "3 seconds" })))
          assert.instanceOf(error, LeaseTaken)
        })
      )
    )
  })
