import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { advance, memoryServer, memoryStore, restartable, settle } from "./memory.ts"
import { authorization } from "./support.ts"

const hour = 3_600_000

const world = Effect.fnUntraced(function* (grant: "client_credentials" | "refresh_token" = "client_credentials") {
  const times: Array<number> = []
  const { server, transport } = memoryServer({
    tokenLife: 3600,
    hasExpiry: true,
    onRequest: ({ at }) => void times.push(at),
    deliver: () => {}
  })
  const { disk, layer } = memoryStore()
  const program = yield* restartable(
    authorization({
      token_url: "https://id.example/token",
      oauth2: grant,
      ...(grant === "refresh_token" ? { refresh_token: "${env:FIRST}" } : {})
    }),
    transport,
    layer,
    { CLIENT_SECRET: "client-secret", FIRST: server.state.issueRefreshToken("client") }
  )
  /** Gets a token, giving the server the time it takes. */
  const get = Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.exit(program.running.manager.get))
    yield* settle
    yield* advance(20, 20)
    return yield* Fiber.join(fiber)
  }).pipe(Effect.flatMap((exit) => exit))
  return { server, disk, program, get, times }
})

describe("refresh in the background", () => {
  it.effect("comes at 60 to 80 % of the life of a token that is used, and no caller waits for it", () =>
    Effect.gen(function* () {
      const { get, program, server, times } = yield* world()
      yield* get
      yield* advance(0.59 * hour, 60_000)
      assert.strictEqual(server.requests, 1)
      server.after = 10_000
      yield* advance(0.21 * hour, 1000)
      assert.strictEqual(server.requests, 2)
      assert.isAtLeast(times[1] ?? 0, 0.6 * hour)
      assert.isAtMost(times[1] ?? 0, 0.8 * hour)
      // Whether the request is under way or done, the answer comes at once.
      const fiber = yield* Effect.forkChild(program.running.manager.get, { startImmediately: true })
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("does not come for a token that nobody uses", () =>
    Effect.gen(function* () {
      const { get, server } = yield* world()
      yield* get
      yield* advance(10 * hour, 60_000)
      assert.strictEqual(server.requests, 2, "the first was used, the second was not")
      assert.strictEqual((yield* get).generation, 3)
    })
  )

  it.effect("starts at different times for different tokens", () =>
    Effect.gen(function* () {
      const { get, times } = yield* world()
      for (let turn = 0; turn < 8; turn++) {
        yield* get
        yield* advance(0.8 * hour + 1000, 60_000)
      }
      const parts = times.slice(1).map((time, index) => (time - (times[index] ?? 0)) / hour)
      assert.isAbove(new Set(parts.map((part) => part.toFixed(3))).size, 4)
    })
  )

  it.effect("may fail without disturbing anybody, and is tried again gently until it works", () =>
    Effect.gen(function* () {
      const { get, server } = yield* world()
      const first = yield* get
      server.faults.push(...Array.from({ length: 1000 }, () => "refused" as const))
      yield* advance(0.8 * hour, 60_000)
      const early = server.requests
      for (let minute = 0; minute < 10; minute++) {
        assert.strictEqual((yield* get).generation, first.generation)
        yield* advance(60_000, 1000)
      }
      // An acquisition of four attempts about every ten seconds.
      const perMinute = (server.requests - early) / 10
      assert.isAtMost(perMinute, 4 * 7)
      assert.isAtLeast(perMinute, 4 * 4)
      server.faults.length = 0
      yield* advance(15_000, 1000)
      assert.strictEqual((yield* get).generation, first.generation + 1)
    })
  )
})

describe("failures", () => {
  it.effect("are shared for a while that doubles up to ten seconds, and end with the first success", () =>
    Effect.gen(function* () {
      const { get, program, server } = yield* world()
      server.faults.push(...Array.from({ length: 1000 }, () => "refused" as const))
      const starts: Array<number> = []
      let seen = 0
      for (let tick = 0; tick < 600; tick++) {
        const fiber = yield* Effect.forkChild(Effect.exit(program.running.manager.get))
        yield* settle
        if (server.requests > seen + 3) {
          starts.push(tick)
          seen = server.requests
        }
        yield* advance(100)
        yield* Fiber.interrupt(fiber)
      }
      const gaps = starts.slice(1).map((at, index) => (at - (starts[index] ?? 0)) / 10)
      // 1, 2, 4, 8, 10, 10 seconds beside the second and a half that four attempts take.
      const [one = 0, two = 0, three = 0, four = 0, five = 0] = gaps
      assert.isTrue(one >= 2 && one < two && two < three && three < four && four < five, JSON.stringify(gaps))
      for (const gap of gaps) assert.isAtMost(gap, 12.5)
      server.faults.length = 0
      yield* advance(12_000)
      assert.strictEqual((yield* get).generation, 1)
    })
  )

  it.effect("are not shared for longer because the clock was put back meanwhile", () =>
    Effect.gen(function* () {
      const { get, program, server } = yield* world()
      yield* TestClock.setTime(10 * hour)
      server.faults.push("refused", "refused", "refused", "refused")
      const fiber = yield* Effect.forkChild(Effect.exit(program.running.manager.get))
      yield* settle
      yield* advance(5000)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
      assert.strictEqual(server.requests, 4)
      yield* TestClock.setTime(hour)
      yield* get
      assert.strictEqual(server.requests, 5)
    })
  )

  it.effect("of the server wait for as long as it says", () =>
    Effect.gen(function* () {
      const { get, server } = yield* world()
      server.faults.push("throttled")
      assert.strictEqual((yield* Effect.flip(get)).failureClass, "throttled")
      yield* advance(29_900)
      yield* Effect.flip(get)
      assert.strictEqual(server.requests, 1)
      yield* advance(200)
      yield* get
      assert.strictEqual(server.requests, 2)
    })
  )

  it.effect("of the disk keep a rotated token back, and in memory, until it is stored", () =>
    Effect.gen(function* () {
      const { disk, get, program, server } = yield* world("refresh_token")
      disk.isFull = true
      const fiber = yield* Effect.forkChild(Effect.flip(program.running.manager.get))
      yield* settle
      yield* advance(5000)
      const error = yield* Fiber.join(fiber)
      assert.match(error.message, /the disk is full/)
      assert.strictEqual(error.failureClass, "transient")
      assert.strictEqual(server.requests, 1)
      disk.isFull = false
      yield* advance(2000)
      const token = yield* get
      assert.strictEqual(token.generation, 1)
      assert.isNotEmpty(Redacted.value(token.value))
      assert.strictEqual(server.requests, 1)
      yield* program.stop
      yield* program.start
      yield* get
      assert.strictEqual(server.requests, 1)
    })
  )

  it.effect("by a token that is about to expire when it arrives are no loop", () =>
    Effect.gen(function* () {
      const { program, server } = yield* world()
      server.state.tokenLife = 5
      server.before = 0
      server.after = 4800
      const fiber = yield* Effect.forkChild(Effect.flip(program.running.manager.get))
      yield* settle
      yield* advance(6000)
      assert.match((yield* Fiber.join(fiber)).message, /about to expire when it arrived/)
      assert.strictEqual(server.requests, 1)
    })
  )
})
