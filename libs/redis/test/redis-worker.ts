import { Budgets } from "@tributary/connector"
import { Redis, RedisBudgets, RedisLeases, RedisTokenStore } from "@tributary/redis"
import { Leases, TokenStore } from "@tributary/vault"
import { tokens } from "@tributary/vault/testing"
import { Clock, ConfigProvider, Duration, Effect, Fiber, Layer, Option, Result } from "effect"
import { writeSync } from "node:fs"
import process from "node:process"
import { createInterface } from "node:readline"

/** A process of the tests: does one kind of work for ever, and prints what it saw. Killed by the test. */
const [mode = "", url = "", name = "", key = "", setting = "0"] = process.argv.slice(2)

// A pipe takes a short line at once, so what the test reads was so before any kill.
const print = (...words: ReadonlyArray<string | number>) =>
  Effect.sync(() => void writeSync(1, `${name} ${words.join(" ")}\n`))

const lines = createInterface({ input: process.stdin })
// The test ended without ending this process.
lines.once("close", () => process.exit(1))
// A line may come before anything waits for it.
let words = 0
let heard = () => {}
lines.on("line", () => {
  words++
  heard()
})
/** Waits for a line of the test. */
const told = Effect.callback<void>((resume) => {
  heard = () => {
    if (words === 0) return
    words--
    heard = () => {}
    resume(Effect.void)
  }
  heard()
})

/** Takes the lease again and again, and prints the times at which it was sure to have it, with the epoch. */
const contend = Effect.gen(function* () {
  const leases = yield* Leases
  const ttl = Duration.millis(Number(setting))
  for (;;) {
    yield* Effect.scoped(
      Effect.gen(function* () {
        const lease = yield* leases.acquire("shop", { ttl, wait: "1 minute" })
        for (let step = 0; step < 10; step++) {
          const now = yield* Clock.currentTimeMillis
          // Stopped before this line, the process finds out here; stopped after it, the time it prints was right.
          yield* lease.check
          yield* print("had", lease.epoch, now)
          yield* Effect.timeoutOption(lease.lost, 10)
        }
      })
    ).pipe(Effect.catch((error) => print("error", error._tag)))
    yield* Effect.sleep(5)
  }
})

/** Reads under the lease, waits for a word, and writes without looking at the lease. */
const fence = Effect.scoped(
  Effect.gen(function* () {
    const leases = yield* Leases
    const store = yield* TokenStore
    const lease = yield* leases.acquire("shop", { ttl: Duration.millis(Number(setting)), wait: "1 minute" })
    const found = yield* store.load("shop")
    yield* print("read", lease.epoch)
    yield* told
    const checked = yield* Effect.result(lease.check)
    const saved = yield* Effect.result(
      store.save("shop", Option.isSome(found) ? found.value.generation : 0, tokens(name))
    )
    yield* print("checked", Result.isSuccess(checked) ? "held" : checked.failure._tag)
    yield* print("saved", Result.isSuccess(saved) ? saved.success.generation : saved.failure._tag)
    return yield* Effect.never
  })
)

/** Takes from the budget with several fibers and prints when each request would have been sent. */
const spend = Effect.gen(function* () {
  const budgets = yield* Budgets
  const rate = { requests: 20, per: Duration.seconds(1) }
  yield* told
  const one = Effect.gen(function* () {
    for (;;) {
      yield* budgets.take("api", rate)
      yield* print("sent", yield* Clock.currentTimeMillis)
    }
  })
  const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(one))
  yield* Effect.forEach(fibers, Fiber.join, { concurrency: "unbounded" })
})

/** Saves generation after generation, each until it is acknowledged, and prints it then. */
const save = Effect.gen(function* () {
  const store = yield* TokenStore
  let generation = Option.match(yield* store.load(name), { onNone: () => 0, onSome: (found) => found.generation })
  for (;;) {
    const next = generation + 1
    const result = yield* Effect.result(
      Effect.retry(store.save(name, generation, tokens(`${name}-${next}`)), {
        while: (error) => error._tag === "VaultError"
      })
    )
    if (Result.isFailure(result)) return yield* print("conflict", generation)
    generation = result.success.generation
    yield* print("saved", generation)
  }
})

/** Replaces whatever is stored, in competition with others, so many times. */
const compete = Effect.gen(function* () {
  const store = yield* TokenStore
  let left = Number(setting)
  yield* told
  while (left > 0) {
    const found = yield* store.load("shop")
    const expected = Option.isSome(found) ? found.value.generation : 0
    const result = yield* Effect.result(store.save("shop", expected, tokens(name)))
    if (Result.isSuccess(result)) {
      left--
      yield* print("saved", result.success.generation)
    }
  }
  yield* print("done")
  return yield* Effect.never
})

const modes: Readonly<Record<string, Effect.Effect<unknown, unknown, Budgets | Leases | TokenStore>>> = {
  contend,
  fence,
  spend,
  save,
  compete
}

const environment = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_VAULT_KEY: key }))
const redis = Redis.layer({ url, timeout: "300 millis" })

await Effect.runPromise(
  Effect.andThen(print("started"), modes[mode] ?? Effect.die(`There is no mode ${mode}.`)).pipe(
    Effect.provide(
      Layer.mergeAll(RedisLeases.layer, RedisTokenStore.layer, RedisBudgets.layer).pipe(
        Layer.provide([redis, environment])
      )
    )
  )
)
