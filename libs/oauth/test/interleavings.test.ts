import { assert, it } from "@effect/vitest"
import type { AccessToken } from "@tributary/oauth"
import { Leases } from "@tributary/vault"
import { Clock, Effect, Exit, Fiber, Layer, Redacted, Schema } from "effect"
import { advance, memoryServer, memoryStore, restartable, settle, type MemoryFault } from "./memory.ts"
import { authorization } from "./support.ts"

/** Which of the two processes. */
const who = Schema.Literals([0, 1])
const Command = Schema.Union([
  Schema.Struct({
    do: Schema.Literals(["get"]),
    who,
    callers: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))
  }),
  Schema.Struct({
    do: Schema.Literals(["wait"]),
    part: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 130 }))
  }),
  Schema.Struct({
    do: Schema.Literals(["reject"]),
    who,
    which: Schema.Literals(["last", "old"]),
    callers: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 }))
  }),
  Schema.Struct({ do: Schema.Literals(["interrupt", "fill disk", "free disk"]) }),
  Schema.Struct({ do: Schema.Literals(["restart"]), who }),
  Schema.Struct({ do: Schema.Literals(["slow to begin", "slow to answer", "fast"]) }),
  Schema.Struct({ do: Schema.Literals(["wait for the brink"]), who }),
  Schema.Struct({
    do: Schema.Literals(["fail"]),
    fault: Schema.Literals([
      "refused",
      "drop",
      "hang",
      "bad-gateway",
      "truncated",
      "internal-error",
      "throttled",
      "error-200"
    ]),
    times: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))
  })
])
const Run = Schema.Struct({
  grant: Schema.Literals(["client_credentials", "refresh_token"]),
  life: Schema.Literals([5, 60, 3600]),
  hasExpiry: Schema.Literals([true, true, true, false]),
  commands: Schema.Array(Command).check(Schema.isMinLength(4), Schema.isMaxLength(25))
})

/** Runs the commands against a strict server and checks, at every step, what the token layer promises. */
const check = Effect.fnUntraced(function* ({ commands, grant, hasExpiry, life }: typeof Run.Type) {
  const lifeMs = life * 1000
  const rejectedTokens = new Set<string>()
  // A rejection is not stored: after a restart the token may be handed out, and rejected, once more.
  const processes = [0, 1].map(() => ({
    rejectedInThisRun: new Set<string>(),
    byGeneration: new Map<number, string>(),
    newest: undefined as AccessToken | undefined,
    oldest: undefined as AccessToken | undefined
  }))
  /** Without the store each process asks for itself, if that does no harm. */
  let isLoose = false
  const problems: Array<string> = []
  let last: { readonly token: string; readonly obtainedAt: number } | undefined

  const { server, transport, validate } = memoryServer({
    tokenLife: life,
    hasExpiry,
    onRequest: ({ at }) => {
      // At most one request per life of a token, and one for each that was rejected.
      const isDue = hasExpiry && last !== undefined && at >= last.obtainedAt + lifeMs * 0.59
      if (!isLoose && last !== undefined && !rejectedTokens.has(last.token) && !isDue) {
        problems.push(`a needless request at ${at}, the token is of ${last.obtainedAt}`)
      }
    },
    deliver: (body, obtainedAt) => {
      last = { token: String(body["access_token"]), obtainedAt }
    }
  })
  const { disk, layer } = memoryStore()
  const settings = {
    token_url: "https://id.example/token",
    oauth2: grant,
    ...(grant === "refresh_token" ? { refresh_token: "${env:FIRST}" } : {})
  }
  const environment = { CLIENT_SECRET: "client-secret", FIRST: server.state.issueRefreshToken("client") }
  const shared = Layer.succeedContext(yield* Layer.build(Layer.merge(layer, Leases.layerMemory)))
  const start = restartable(authorization(settings), transport, shared, environment, shared)
  const programs = [yield* start, yield* start] as const

  let waiting: Array<Fiber.Fiber<unknown, unknown>> = []

  const getAndCheck = Effect.fnUntraced(function* (who: 0 | 1) {
    const mine = processes[who]
    if (mine === undefined) return
    const token = yield* programs[who].running.manager.get
    const now = yield* Clock.currentTimeMillis
    const value = Redacted.value(token.value)
    const valid = (yield* validate)(value)
    if (hasExpiry) {
      const left = (valid.expiresAt ?? 0) - now
      if (!valid.active || left < Math.max(500, Math.min(lifeMs / 10, 60_000))) {
        problems.push(`a token with ${left} ms left was handed out`)
      }
    }
    if (mine.rejectedInThisRun.has(value)) problems.push("a rejected token was handed out")
    if ((mine.byGeneration.get(token.generation) ?? value) !== value) problems.push("two tokens of one generation")
    mine.byGeneration.set(token.generation, value)
    mine.oldest ??= token
    if (mine.newest === undefined || token.generation > mine.newest.generation) mine.newest = token
  })
  const fork = <E>(effect: Effect.Effect<void, E>) =>
    Effect.map(Effect.forkDetach(effect), (fiber) => void waiting.push(fiber))

  for (const command of commands) {
    switch (command.do) {
      case "get":
        for (let caller = 0; caller < command.callers; caller++) yield* fork(getAndCheck(command.who))
        break
      case "wait":
        yield* advance((lifeMs * command.part) / 100, Math.max(100, lifeMs / 100))
        break
      case "reject": {
        const token = command.which === "last" ? processes[command.who]?.newest : processes[command.who]?.oldest
        if (token === undefined) break
        rejectedTokens.add(Redacted.value(token.value))
        processes[command.who]?.rejectedInThisRun.add(Redacted.value(token.value))
        for (let caller = 0; caller < command.callers; caller++)
          yield* fork(programs[command.who].running.manager.rejected(token))
        break
      }
      case "interrupt": {
        const fiber = waiting.shift()
        if (fiber !== undefined) yield* Fiber.interrupt(fiber)
        break
      }
      case "restart": {
        // Of its connectors: the process goes on, with what the disk has no room for.
        const stopping = yield* Effect.forkDetach(programs[command.who].stop)
        yield* advance(30_000, 1000)
        assert.isDefined(stopping.pollUnsafe(), "stopping takes too long")
        yield* programs[command.who].start
        processes[command.who]?.rejectedInThisRun.clear()
        break
      }
      case "fill disk":
        disk.isFull = true
        if (grant === "client_credentials") isLoose = true
        break
      case "free disk":
        disk.isFull = false
        break
      case "slow to begin":
        server.before = 1500
        break
      case "slow to answer":
        server.after = 1500
        break
      case "fast":
        server.before = 0
        server.after = 20
        break
      case "wait for the brink": {
        // The last tenth of a token's life, with the server failing so that the token is still the only one.
        if (last === undefined || !hasExpiry) break
        server.faults.push(...Array.from({ length: 40 }, (): MemoryFault => "refused"))
        const left = last.obtainedAt + lifeMs * 0.95 - (yield* Clock.currentTimeMillis)
        if (left > 0) yield* advance(left, Math.max(100, lifeMs / 100))
        yield* fork(getAndCheck(command.who))
        yield* settle
        server.faults.length = 0
        break
      }
      case "fail":
        server.faults.push(...Array.from({ length: command.times }, (): MemoryFault => command.fault))
        break
    }
    yield* settle
  }

  // When all is well again, a token is there in bounded time, and nobody still waits.
  server.faults.length = 0
  server.before = 0
  server.after = 20
  disk.isFull = false
  yield* advance(120_000, 1000)
  for (const fiber of waiting) if (fiber.pollUnsafe() === undefined) problems.push("a caller still waits")
  waiting = []
  for (const who of [0, 1] as const) yield* fork(getAndCheck(who))
  yield* advance(1000)
  for (const fiber of waiting) {
    const exit = fiber.pollUnsafe()
    if (exit === undefined || Exit.isFailure(exit)) problems.push(`no token in the end: ${JSON.stringify(exit)}`)
  }

  if (server.maxInFlight > (isLoose ? 2 : 1)) problems.push(`${server.maxInFlight} requests at once`)
  // A refresh token used twice outside of a lost answer, or one that was forgotten.
  if (server.state.stats.reuses > 0) problems.push("a spent refresh token was used: the family is revoked")
  if (server.state.stats.replays > server.lostAnswers) problems.push("a refresh token was lost by the client")
  assert.deepStrictEqual(problems, [])
  for (const program of programs) yield* program.stop
})

it.effect.prop("no interleaving of two processes breaks a promise", [Run], ([run]) => check(run), {
  arbitrary: { runs: 150 },
  timeout: 240_000
})
