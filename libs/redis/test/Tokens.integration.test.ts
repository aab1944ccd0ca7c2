import { startAuthServer } from "@tributary/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { newKey } from "./keys.ts"
import { call, client, durable, missing, redisServer } from "./RedisServer.ts"
import { type Line, makeWorkersOf, type Worker } from "./Workers.ts"

/** Twice the longest token request of the workers, see `libs/oauth`. */
const leaseTime = 2000

const linesOf = (lines: ReadonlyArray<Line>, event: string, name?: string) =>
  lines.filter(([who, what]) => what === event && (name === undefined || who === name))
/** Tokens by generation; two tokens of one generation are an error. */
const tokensOf = (lines: ReadonlyArray<Line>) => {
  const tokens = new Map<number, string>()
  for (const [, , generation, token = ""] of linesOf(lines, "got")) {
    assert.strictEqual(tokens.get(Number(generation)) ?? token, token, `generation ${generation} has one token`)
    tokens.set(Number(generation), token)
  }
  return tokens
}
const messagesOf = (lines: ReadonlyArray<Line>) => linesOf(lines, "error").map((line) => line.slice(2).join(" "))

/** A strict authorization server, a Redis that keeps its data, and processes that share one authorization. */
const world = Effect.fnUntraced(function* (
  grant: "client_credentials" | "refresh_token",
  settings: { readonly tokenLife: number; readonly latencyMs?: number }
) {
  const auth = yield* Effect.acquireRelease(
    Effect.promise(() =>
      startAuthServer({ tokenLife: settings.tokenLife, faults: { latencyMs: settings.latencyMs ?? 0 } })
    ),
    (server) => Effect.promise(() => server.stop())
  )
  const base = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-tokens-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
  const consent = Effect.sync(() => writeFileSync(join(base, "first"), auth.control.issueRefreshToken("client")))
  yield* consent
  const redis = yield* redisServer(...durable)
  const { lines, start, until } = yield* makeWorkersOf("token-worker.ts")
  const key = newKey()
  let started = 0
  const begin = Effect.suspend(() => start(grant, redis.url, `w${++started}`, key, auth.tokenUrl, base))
  const generation = Effect.scoped(
    Effect.flatMap(client(redis), (client) =>
      Effect.map(call(client, "HGET", "tributary:tokens:shop", "generation"), Number)
    )
  )
  /** Waits until each of these has used, from now on, a token that is valid. */
  const allServed = (names: ReadonlyArray<string>) =>
    Effect.suspend(() => {
      const from = lines.length
      return until(`${names.join()} have a valid token`, (all) =>
        names.every((name) => {
          const last = all
            .slice(from)
            .findLast(([who, event]) => who === name && (event === "got" || event === "error"))
          return last?.[1] === "got" && auth.validate(last[3] ?? "").active
        })
      )
    })
  const team = (size: number) => Effect.forEach(Array.from({ length: size }), () => begin)
  return { auth, redis, lines, until, begin, team, consent, generation, allServed, names: () => started }
})

const title = `Tokens in several processes${missing === undefined ? "" : ` (${missing})`}`

describe.skipIf(missing !== undefined)(title, () => {
  for (const grant of ["refresh_token", "client_credentials"] as const) {
    it.live(
      `with ${grant}: four processes ask once for each generation`,
      () =>
        Effect.gen(function* () {
          const { allServed, auth, generation, lines, team } = yield* world(grant, { tokenLife: 2, latencyMs: 30 })
          yield* team(4)
          yield* allServed(["w1", "w2", "w3", "w4"])
          while ((yield* generation) < 8) yield* Effect.sleep(50)
          yield* allServed(["w1", "w2", "w3", "w4"])
          const { stats } = auth
          const stored = yield* generation
          assert.isAtMost(stats.issued - stored, 1, "one may be on its way")
          assert.strictEqual(stats.refused, 0)
          assert.strictEqual(stats.maxInFlight, 1)
          assert.isAtLeast(tokensOf(lines).size, 8)
          assert.isEmpty(messagesOf(lines))
        }),
      240_000
    )
  }

  it.live(
    "uses no refresh token twice while processes and Redis are killed and paused; what a crash loses is told",
    () =>
      Effect.gen(function* () {
        const { allServed, auth, begin, consent, generation, lines, redis, team, until } = yield* world(
          "refresh_token",
          { tokenLife: 2, latencyMs: 30 }
        )
        const workers: Array<Worker> = yield* team(4)
        const names = ["w1", "w2", "w3", "w4"]
        let [lost, next] = [0, 4]
        yield* allServed(names)

        const replace = Effect.fnUntraced(function* (index: number) {
          const { kill } = workers[index] ?? (yield* Effect.die("no such worker"))
          yield* Effect.sleep(Math.floor((yield* Random.next) * 1500))
          yield* kill
          // Issued and not stored, and it stays so: the process died between the answer and the save.
          yield* Effect.sleep(400)
          const [issued, stored] = [auth.stats.issued - lost, yield* generation]
          workers[index] = yield* begin
          names[index] = `w${++next}`
          if (issued <= stored) return
          yield* Effect.sleep(400)
          if (auth.stats.issued - lost <= (yield* generation)) return
          lost++
          const from = lines.length
          yield* until("the loss is told", (all) =>
            messagesOf(all.slice(from)).some((text) => text.startsWith("needs-consent"))
          )
          assert.isTrue(
            messagesOf(lines).some((text) => /the process that sent it ended before the answer was stored/.test(text))
          )
          yield* consent
        })
        const stall = (pause: Effect.Effect<void>, resume: Effect.Effect<void>, millis: number) =>
          Effect.gen(function* () {
            yield* Effect.sleep(Math.floor((yield* Random.next) * 1500))
            yield* pause
            yield* Effect.sleep(millis)
            yield* resume
          })
        const stallWorker = (index: number) =>
          Effect.suspend(() => {
            const worker = workers[index]
            return worker === undefined ? Effect.void : stall(worker.pause, worker.resume, leaseTime * 1.5)
          })
        const faults = [
          replace(0),
          stallWorker(1),
          stall(redis.pause, redis.resume, leaseTime * 1.5),
          replace(2),
          stall(redis.kill, redis.start, leaseTime * 1.5),
          stallWorker(3),
          stall(redis.kill, redis.start, 0),
          replace(1),
          stall(redis.pause, redis.resume, 500)
        ]
        for (const fault of faults) {
          yield* fault
          yield* allServed(names)
          assert.strictEqual(
            auth.stats.reuses,
            lost,
            "a refresh token is used twice only after a crash lost its successor"
          )
        }
        assert.isAtMost(auth.stats.issued - lost - (yield* generation), 1)
        assert.strictEqual(auth.stats.maxInFlight, 1)
        tokensOf(lines)
        yield* Effect.logInfo(`Generations ${yield* generation}, lost by crashes ${lost}.`)
      }),
    400_000
  )

  it.live(
    "keeps an answer that comes while Redis stands still or is down for longer than the lease",
    () =>
      Effect.gen(function* () {
        const { allServed, auth, generation, lines, redis, team, until } = yield* world("refresh_token", {
          tokenLife: 4,
          latencyMs: 700
        })
        yield* team(3)
        const names = ["w1", "w2", "w3"]
        yield* allServed(names)
        for (const [stop, go] of [
          [redis.pause, redis.resume],
          [redis.kill, redis.start]
        ] as const) {
          const before = yield* generation
          yield* until("a request is on its way", () => auth.stats.inFlight === 1)
          yield* stop
          yield* Effect.sleep(leaseTime * 1.5)
          assert.strictEqual(auth.stats.inFlight, 0)
          yield* go
          yield* allServed(names)
          // The answer was kept: the next generation is the one that was on its way.
          assert.isAtMost(auth.stats.issued - (yield* generation), 1)
          assert.isAbove(yield* generation, before)
        }
        assert.deepInclude(auth.stats, { reuses: 0, refused: 0, maxInFlight: 1 })
        tokensOf(lines)
      }),
    240_000
  )

  it.live(
    "asks for consent when Redis lost its tokens, sends no token that was replaced, and goes on with a new one",
    () =>
      Effect.gen(function* () {
        const { allServed, auth, begin, consent, lines, redis, team, until } = yield* world("refresh_token", {
          tokenLife: 6
        })
        yield* team(3)
        const names = ["w1", "w2", "w3"]
        yield* allServed(names)
        const requests = auth.stats.tokenRequests
        const from = lines.length
        yield* redis.kill
        yield* redis.wipe
        yield* redis.start
        const told = (name: string) => (all: ReadonlyArray<Line>) =>
          messagesOf(linesOf(all.slice(from), "error", name)).some((text) => text.startsWith("needs-consent"))
        // The token in memory is used to its end.
        yield* Effect.sleep(3000)
        assert.isEmpty(messagesOf(lines.slice(from)).filter((text) => text.startsWith("needs-consent")))
        for (const name of names) yield* until(`${name} is told`, told(name))
        assert.match(
          messagesOf(lines).join(),
          /the token store has lost its newest tokens .* Get a new first refresh token/
        )
        yield* Effect.sleep(3000)
        assert.strictEqual(auth.stats.tokenRequests, requests, "what was replaced is not sent")

        // A process that knows nothing of it tries the configured token, once.
        yield* begin
        yield* until("w4 is told", told("w4"))
        yield* Effect.sleep(2500)
        assert.strictEqual(auth.stats.tokenRequests, requests + 1)
        yield* consent
        yield* allServed([...names, "w4"])
        assert.strictEqual(auth.stats.reuses, 1)
      }),
    240_000
  )

  it.live(
    "with refresh_token: the token in memory is used while Redis is down, and nothing is sent",
    () =>
      Effect.gen(function* () {
        const { allServed, auth, lines, redis, team, until } = yield* world("refresh_token", { tokenLife: 6 })
        yield* team(2)
        yield* allServed(["w1", "w2"])
        const requests = auth.stats.tokenRequests
        const from = lines.length
        yield* redis.kill
        yield* Effect.sleep(3500)
        assert.isEmpty(messagesOf(lines.slice(from)))
        yield* until("the token has ended", (all) => messagesOf(all.slice(from)).length > 0)
        assert.match(messagesOf(lines).join(), /^transient .*Redis at/)
        yield* Effect.sleep(2000)
        assert.strictEqual(auth.stats.tokenRequests, requests)
        yield* redis.start
        yield* allServed(["w1", "w2"])
        assert.deepInclude(auth.stats, { reuses: 0, refused: 0 })
      }),
    240_000
  )

  it.live(
    "with client_credentials: each process gets tokens of its own while Redis is down, and shares them again afterwards",
    () =>
      Effect.gen(function* () {
        const { allServed, auth, generation, lines, redis, team } = yield* world("client_credentials", { tokenLife: 3 })
        yield* team(2)
        yield* allServed(["w1", "w2"])
        yield* redis.kill
        for (let life = 0; life < 3; life++) yield* allServed(["w1", "w2"])
        const before = auth.stats.issued
        yield* redis.start
        const from = yield* generation
        while ((yield* generation) < from + 4) yield* Effect.sleep(100)
        assert.isEmpty(messagesOf(lines))
        // At the change each may ask once more for itself.
        assert.isAtMost(auth.stats.issued - before, 4 + 2)
      }),
    240_000
  )
})
