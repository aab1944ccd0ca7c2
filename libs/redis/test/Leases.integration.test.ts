import { RedisLeases } from "@tributary/redis"
import { Leases } from "@tributary/vault"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Scope } from "effect"
import { newKey } from "./keys.ts"
import { call, client, missing, redisServer } from "./RedisServer.ts"
import { type Line, makeWorkers, type Worker } from "./Workers.ts"

const ttl = 400
const keep = ["--appendonly", "yes", "--appendfsync", "always"] as const

/** Times at which each epoch was held for certain, by epoch. */
const holdings = (lines: ReadonlyArray<Line>) => {
  const found = new Map<number, { readonly holder: string; readonly first: number; last: number }>()
  for (const [holder = "", event, epoch, at] of lines) {
    if (event !== "had") continue
    const known = found.get(Number(epoch))
    if (known === undefined) found.set(Number(epoch), { holder, first: Number(at), last: Number(at) })
    else {
      assert.strictEqual(known.holder, holder, `epoch ${epoch} has one holder`)
      known.last = Number(at)
    }
  }
  return found
}

describe.skipIf(missing !== undefined)(`RedisLeases${missing === undefined ? "" : ` (${missing})`}`, () => {
  it.live(
    "never has two holders at once, nor one epoch twice, while holders and Redis are killed and paused",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer(...keep)
        const { lines, start, until } = yield* makeWorkers
        const key = newKey()
        let started = 0
        const begin = Effect.suspend(() => start("contend", server.url, `w${++started}`, key, String(ttl)))
        const team: Array<Worker> = [yield* begin, yield* begin, yield* begin]

        const progress = Effect.gen(function* () {
          const from = lines.length
          yield* until("two more epochs", (all) => holdings(all.slice(from)).size >= 2)
        })
        const replace = (index: number) =>
          Effect.gen(function* () {
            yield* team[index]?.kill ?? Effect.void
            team[index] = yield* begin
          })
        const stall = (worker: Worker | undefined) =>
          Effect.gen(function* () {
            yield* worker?.pause ?? Effect.void
            yield* Effect.sleep(ttl * 1.5)
            yield* worker?.resume ?? Effect.void
          })
        const faults: ReadonlyArray<Effect.Effect<void>> = [
          replace(0),
          stall(team[1]),
          Effect.andThen(server.kill, server.start),
          stall(team[2]),
          // Longer than the lease, shorter than it, and longer again.
          Effect.gen(function* () {
            for (const millis of [ttl * 2, ttl / 2, ttl * 1.2]) {
              yield* server.pause
              yield* Effect.sleep(millis)
              yield* server.resume
              yield* Effect.sleep(37)
            }
          }),
          replace(1),
          Effect.gen(function* () {
            yield* server.kill
            yield* Effect.sleep(ttl)
            yield* server.start
          }),
          // Whoever of them has the lease: all that work are paused at some time while they have it.
          Effect.forEach([0, 1, 2, 0, 1, 2], (index) => Effect.suspend(() => stall(team[index])), { discard: true })
        ]
        yield* progress
        for (const fault of faults) {
          yield* fault
          yield* progress
        }

        const found = [...holdings(lines)].toSorted(([a], [b]) => a - b)
        let before: { readonly last: number } = { last: 0 }
        for (const [epoch, holding] of found) {
          assert.isAtLeast(holding.first, before.last, `epoch ${epoch} began after the one before`)
          before = holding
        }
        assert.isAbove(found.length, 20)
        assert.isTrue(
          lines.some(([, event, tag]) => event === "error" && tag === "LeaseLost"),
          "a holder was told"
        )
      }),
    240_000
  )

  it.live("a holder that was paused cannot write what another has written meanwhile", () =>
    Effect.gen(function* () {
      const server = yield* redisServer(...keep)
      const { start, until } = yield* makeWorkers
      const key = newKey()
      const old = yield* start("fence", server.url, "old", key, String(ttl))
      yield* until("old holds", (all) => all.some(([name, event]) => name === "old" && event === "read"))
      yield* old.pause
      const young = yield* start("fence", server.url, "young", key, String(ttl))
      yield* until("young holds", (all) => all.some(([name, event]) => name === "young" && event === "read"))
      yield* young.tell
      yield* until("young wrote", (all) => all.some(([name, event]) => name === "young" && event === "saved"))
      yield* old.tell
      yield* old.resume
      let seen: ReadonlyArray<Line> = []
      yield* until("old tried", (all) => {
        seen = all
        return all.some(([name, event]) => name === "old" && event === "saved")
      })
      const said = (name: string, event: string) => seen.find((line) => line[0] === name && line[1] === event)?.[2]
      assert.strictEqual(said("young", "checked"), "held")
      assert.strictEqual(said("young", "saved"), "1")
      assert.strictEqual(said("old", "checked"), "LeaseLost")
      assert.strictEqual(said("old", "saved"), "Conflict")
      assert.isAbove(Number(said("young", "read")), Number(said("old", "read")))
    })
  )

  const inProcess = <A, E>(
    body: (
      server: Effect.Success<ReturnType<typeof redisServer>>,
      leases: Leases["Service"]
    ) => Effect.Effect<A, E, Scope.Scope>
  ) =>
    Effect.gen(function* () {
      const server = yield* redisServer(...keep)
      return yield* Effect.flatMap(Leases, (leases) => body(server, leases)).pipe(
        Effect.provide(
          Layer.merge(
            RedisLeases.layer.pipe(Layer.provide(server.layer({ timeout: "300 millis" }))),
            // What is warned of is expected here.
            Logger.layer([])
          )
        )
      )
    })

  it.live("tells the holder when Redis is paused for longer than the lease, and serves again afterwards", () =>
    inProcess((server, leases) =>
      Effect.gen(function* () {
        const lease = yield* leases.acquire("shop", { ttl })
        yield* server.pause
        const error = yield* Effect.flip(Effect.timeout(lease.lost, "20 seconds"))
        assert.strictEqual(error._tag, "LeaseLost")
        assert.match(error.message, /not confirmed for 360 ms/)
        assert.strictEqual((yield* Effect.flip(lease.check))._tag, "LeaseLost")
        const refused = yield* Effect.flip(leases.acquire("shop", { ttl }))
        assert.deepInclude(refused, { _tag: "LeaseError", failureClass: "transient" })
        yield* server.resume
        const next = yield* leases.acquire("shop", { ttl, wait: "30 seconds" })
        assert.isAbove(next.epoch, lease.epoch)
      })
    )
  )

  it.live("tells the holder when Redis lost its data; epochs go on all the same", () =>
    inProcess((server, leases) =>
      Effect.gen(function* () {
        const lease = yield* leases.acquire("shop", { ttl })
        yield* server.kill
        yield* server.wipe
        yield* server.start
        const error = yield* Effect.flip(Effect.timeout(lease.lost, "20 seconds"))
        assert.strictEqual(error._tag, "LeaseLost")
        const next = yield* leases.acquire("shop", { ttl, wait: "30 seconds" })
        assert.isAbove(next.epoch, lease.epoch)
      })
    )
  )

  it.live("leaves the lease of another alone", () =>
    inProcess((server, leases) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const lease = yield* Scope.provide(leases.acquire("shop", { ttl: "6 seconds" }), scope)
        const redis = yield* client(server)
        // As if the lease had ended early and another had taken it.
        yield* call(redis, "SET", "tributary:lease:{shop}", `${lease.epoch + 1}/another`, "PX", 60_000)
        const error = yield* Effect.flip(Effect.timeout(lease.lost, "30 seconds"))
        assert.match(error.message, /another process has it/)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* call(redis, "GET", "tributary:lease:{shop}"), `${lease.epoch + 1}/another`)
        assert.isAbove(Number(yield* call(redis, "PTTL", "tributary:lease:{shop}")), 30_000)
      })
    )
  )

  it.live("waits for a Redis that is down, for as long as it was told to", () =>
    inProcess((server, leases) =>
      Effect.gen(function* () {
        yield* server.kill
        const error = yield* Effect.flip(
          Effect.timeout(leases.acquire("shop", { ttl, wait: "300 millis" }), "20 seconds")
        )
        assert.strictEqual(error._tag, "LeaseError")
        assert.match(error.message, /ECONNREFUSED/)
        yield* Effect.forkScoped(Effect.delay(server.start, 300))
        yield* leases.acquire("shop", { ttl, wait: "30 seconds" })
      })
    )
  )

  it.live("keeps a lease over a restart of Redis that is shorter than the lease", () =>
    inProcess((server, leases) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const lease = yield* Scope.provide(leases.acquire("shop", { ttl: "15 seconds" }), scope)
        yield* server.kill
        yield* server.start
        // It is renewed after a third of its time.
        yield* Effect.sleep(6000)
        yield* lease.check
        const error = yield* Effect.flip(leases.acquire("shop", { ttl }))
        assert.strictEqual(error._tag, "LeaseTaken")
        yield* Scope.close(scope, Exit.void)
        yield* leases.acquire("shop", { ttl })
      })
    )
  )
})
