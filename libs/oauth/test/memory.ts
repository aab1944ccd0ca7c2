import { type Authorization, type TokenManager, Tokens, TokenTransport, TransportError } from "@tributary/oauth"
import { AuthState, defaultClient } from "@tributary/testkit"
import { Budgets, type Conflict, Leases, type Superseded, TokenStore, VaultError } from "@tributary/vault"
import { Clock, ConfigProvider, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { secrets } from "./support.ts"
import { TestClock } from "effect/testing"

/** What may go wrong with a request when there is no network to break. */
export type MemoryFault =
  | "none"
  | "refused"
  | "drop"
  | "hang"
  | "bad-gateway"
  | "truncated"
  | "internal-error"
  | "throttled"
  | "error-200"

/** One request as the server saw it. */
export interface Seen {
  readonly at: number
  readonly fault: MemoryFault
}

/**
 * The strict server of the testkit without a socket, on the test's clock. `onRequest` is called for each request before
 * it is carried out; `deliver` when the answer with tokens got through.
 */
export const memoryServer = (options: {
  readonly tokenLife: number
  readonly hasExpiry: boolean
  readonly onRequest: (seen: Seen) => void
  readonly deliver: (body: Readonly<Record<string, unknown>>, obtainedAt: number) => void
}) => {
  let clock = 0
  const state = new AuthState({
    clients: [defaultClient],
    tokenLife: options.tokenLife,
    refreshTokenLife: undefined,
    rotate: true,
    // Lost answers are recoverable here; that nothing else is ever replayed is checked by the number of replays.
    graceMs: 1e12,
    now: () => clock
  })
  const faults: Array<MemoryFault> = []
  const server = { state, faults, before: 0, after: 20, inFlight: 0, maxInFlight: 0, lostAnswers: 0, requests: 0 }
  const transport = Layer.succeed(TokenTransport, {
    send: (request) =>
      Effect.gen(function* () {
        const started = yield* Clock.currentTimeMillis
        clock = started
        const fault = faults.shift() ?? "none"
        server.requests++
        options.onRequest({ at: started, fault })
        if (fault === "refused") {
          return yield* new TransportError({ reason: "unreachable", code: "ECONNREFUSED", isUncertain: false })
        }
        if (fault === "internal-error") return { status: 500, headers: {}, body: "" }
        if (fault === "throttled") return { status: 429, headers: { "retry-after": "30" }, body: "" }
        if (fault === "error-200") return { status: 200, headers: {}, body: '{"error":"server_error"}' }
        yield* Effect.sleep(server.before)
        clock = yield* Clock.currentTimeMillis
        const { body = "", headers } = Redacted.value(request.contents)
        const reply = state.token(headers["authorization"], headers["content-type"], body)
        const granted = reply.status === 200
        if (granted && fault !== "none") server.lostAnswers++
        yield* Effect.sleep(server.after)
        if (fault === "drop")
          return yield* new TransportError({ reason: "unreachable", code: "ECONNRESET", isUncertain: true })
        if (fault === "hang") return yield* Effect.never
        if (fault === "bad-gateway") return { status: 502, headers: {}, body: "<html>" }
        const { expires_in, ...rest } = reply.body
        const shaped = granted && !options.hasExpiry ? rest : granted ? { ...rest, expires_in } : reply.body
        const text = JSON.stringify(shaped)
        if (fault === "truncated") return { status: 200, headers: {}, body: text.slice(0, text.length >> 1) }
        if (granted) options.deliver(reply.body, started)
        return { status: reply.status, headers: { "content-type": "application/json" }, body: text }
      }).pipe(
        Effect.onExit(() => Effect.sync(() => server.inFlight--)),
        (send) =>
          Effect.suspend(() => {
            server.maxInFlight = Math.max(server.maxInFlight, ++server.inFlight)
            return send
          })
      )
  })
  const validate = Effect.map(Clock.currentTimeMillis, (now) => {
    clock = now
    return (token: string) => state.validate(token)
  })
  return { server, transport, validate }
}

/** A token store in memory that survives managers, and whose disk can be full. */
export const memoryStore = () => {
  const disk = { isFull: false, saves: 0 }
  const layer = Layer.effect(
    TokenStore,
    Effect.map(TokenStore, (store) =>
      TokenStore.of({
        ...store,
        save: (
          authorization,
          expected,
          tokens,
          attempt
        ): Effect.Effect<never, VaultError | Conflict | Superseded> | ReturnType<typeof store.save> =>
          Effect.suspend(() => {
            if (!disk.isFull) {
              disk.saves++
              return store.save(authorization, expected, tokens, attempt)
            }
            return new VaultError({ authorization, problem: "the disk is full.", failureClass: "transient" })
          })
      })
    )
  ).pipe(Layer.provide(TokenStore.layerMemory))
  return { disk, layer }
}

/** A program that can be stopped and started again, as after a crash, with what is stored and the server going on. */
export const restartable = Effect.fnUntraced(function* (
  authorization: Authorization,
  transport: Layer.Layer<TokenTransport>,
  store: Layer.Layer<TokenStore>,
  environment: Record<string, string>,
  leases: Layer.Layer<Leases> = Leases.layerMemory
) {
  const program = Layer.mergeAll(Tokens.layerNoDeps).pipe(
    Layer.provide([
      secrets(environment),
      leases,
      Budgets.layer,
      transport,
      ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))
    ]),
    Layer.provideMerge(store)
  )
  const context = yield* Layer.build(program)
  let scope = yield* Scope.make()
  const open = Effect.suspend(() =>
    Effect.flatMap(Tokens, (tokens) => tokens.manager(authorization)).pipe(
      Effect.provideService(Scope.Scope, scope),
      Effect.provideContext(context)
    )
  )
  const running: { manager: TokenManager } = { manager: yield* open }
  const stop = Effect.suspend(() => Scope.close(scope, Exit.void))
  const start = Effect.gen(function* () {
    scope = yield* Scope.make()
    running.manager = yield* open
  })
  yield* Effect.addFinalizer(() => stop)
  return { running, start, stop }
})

/** Lets promises that are not on the test's clock get done. */
export const settle = Effect.promise(async () => {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
})

/** Moves the clock in steps, so that what a promise starts in between falls into its place. */
export const advance = Effect.fnUntraced(function* (milliseconds: number, step = 100) {
  for (let left = milliseconds; left > 0; left -= step) {
    yield* TestClock.adjust(Math.min(step, left))
    yield* settle
  }
})
