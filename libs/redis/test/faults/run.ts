import { OAuth2 } from "@tributary/domain"
import { type TokenManager, Tokens, TokenTransport } from "@tributary/oauth"
import { type AuthServer, type Fault, startAuthServer } from "@tributary/testkit"
import { Environment, Secrets } from "@tributary/secrets"
import { Budgets, type Lease, Leases, LeaseTaken, TokenStore, VaultError } from "@tributary/vault"
import {
  Clock,
  ConfigProvider,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Redacted,
  Schedule,
  Schema,
  Scope
} from "effect"
import { randomUUID } from "node:crypto"
import type { Case, Kill, Result, Verdict } from "./matrix.ts"
import { naive } from "./naive.ts"

/** Longest token request, in milliseconds. */
export const timeout = 1000
const decode = Schema.decodeUnknownSync(OAuth2)
const serverFault = {
  ok: "none",
  lost: "drop",
  slow: "hang",
  duplicated: "duplicate",
  reset: "reset"
} as const satisfies Record<Case["reply"], Fault | "none">

/** One process: what it does to the outside ends for ever when it is killed, in the middle of whatever it does. */
interface Process {
  isDead: boolean
  readonly died: Deferred.Deferred<void>
  /** Faults strike from here on. */
  isArmed: boolean
  readonly plan: Case | undefined
  isCutOff: boolean
}
const newProcess = (plan: Case | undefined): Process => ({
  isDead: false,
  died: Deferred.makeUnsafe(),
  isArmed: false,
  plan,
  isCutOff: false
})

const die = (process: Process) =>
  Effect.suspend(() => {
    process.isDead = true
    Deferred.doneUnsafe(process.died, Effect.void)
    return Effect.never
  })
const dieAt = (process: Process, kill: Kill) =>
  Effect.suspend(() => {
    if (process.isDead) return Effect.never
    return process.isArmed && process.plan?.kill === kill ? die(process) : Effect.void
  })

/** What the processes of a run share besides the store and the server. */
const makeShared = () => {
  const state = { downUntil: 0, holder: "", until: 0, epoch: 0, wasGivenBack: true, hasTimedOut: false }
  const leases = (process: Process) =>
    Leases.of({
      acquire: Effect.fnUntraced(function* (key, { ttl, wait = 0 }) {
        const life = Duration.toMillis(ttl)
        const deadline = (yield* Clock.currentTimeMillis) + Duration.toMillis(wait)
        for (;;) {
          if (process.isDead) return yield* Effect.never
          const now = yield* Clock.currentTimeMillis
          if (state.holder === "" || now >= state.until) break
          if (now >= deadline) return yield* new LeaseTaken({ key, endsIn: state.until - now })
          yield* Effect.sleep(Math.min(50, deadline - now))
        }
        const owner = randomUUID()
        const isInherited = !state.wasGivenBack
        Object.assign(state, {
          holder: owner,
          until: (yield* Clock.currentTimeMillis) + life,
          epoch: state.epoch + 1,
          wasGivenBack: false
        })
        const isMine = () => state.holder === owner && !process.isDead
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            if (isMine()) Object.assign(state, { holder: "", wasGivenBack: true })
          })
        )
        const renew = Effect.gen(function* () {
          while (isMine() && !process.isCutOff) {
            state.until = (yield* Clock.currentTimeMillis) + life
            yield* Effect.sleep(life / 3)
          }
        })
        yield* Effect.forkScoped(renew)
        return {
          key,
          owner,
          epoch: state.epoch,
          isInherited,
          lost: Effect.never,
          check: Effect.void,
          left: Effect.map(Clock.currentTimeMillis, (now) => (isMine() ? state.until - now : 0))
        } satisfies Lease
      })
    })
  return { state, leases }
}

/** The store as a process sees it: it may stand still or fail, and the process may die before or after a write. */
const storeOf = (store: TokenStore["Service"], process: Process, shared: ReturnType<typeof makeShared>["state"]) => {
  const failed = (authorization: string) =>
    new VaultError({ authorization, problem: "the store does not answer.", failureClass: "transient" })
  const unlessDown = <A, E>(authorization: string, effect: Effect.Effect<A, E>) =>
    Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<A, E | VaultError> => {
      if (process.isDead) return Effect.never
      return now < shared.downUntil ? failed(authorization) : effect
    })
  let hasStruck = false
  const struck = <A, E>(at: "intent" | "save", authorization: string, effect: Effect.Effect<A, E>) =>
    Effect.gen(function* () {
      yield* dieAt(process, `before ${at}`)
      const trouble = process.isArmed ? process.plan?.trouble : undefined
      if (trouble === "store slow") yield* Effect.sleep(700)
      if (trouble === `store down at ${at}` && !hasStruck) {
        hasStruck = true
        yield* Effect.exit(effect)
        shared.downUntil = (yield* Clock.currentTimeMillis) + 1000
      }
      const result = yield* unlessDown(authorization, effect)
      yield* dieAt(process, `after ${at}`)
      if (at === "intent" && trouble === "lease lost") process.isCutOff = true
      return result
    })
  return TokenStore.of({
    load: (authorization) => unlessDown(authorization, store.load(authorization)),
    read: (authorization) => unlessDown(authorization, store.read(authorization)),
    remove: (authorization, expected) => unlessDown(authorization, store.remove(authorization, expected)),
    note: (authorization, expected, over, entry) => {
      const write = store.note(authorization, expected, over, entry)
      const isIntent = entry?.state === "sent" && entry.attempt !== over
      return isIntent ? struck("intent", authorization, write) : unlessDown(authorization, write)
    },
    save: (authorization, expected, tokens, attempt) =>
      struck("save", authorization, store.save(authorization, expected, tokens, attempt))
  })
}

const transportOf = (
  real: TokenTransport["Service"],
  process: Process,
  shared: ReturnType<typeof makeShared>["state"]
) =>
  TokenTransport.of({
    send: (request) =>
      Effect.gen(function* () {
        yield* dieAt(process, "before send")
        const answer = yield* real.send(request).pipe(
          Effect.onInterrupt(() => Effect.sync(() => (shared.hasTimedOut = true))),
          Effect.exit
        )
        yield* dieAt(process, "before reply")
        return yield* answer
      })
  })

/** Builds a process on the shared store; `close` ends it without a word once it is dead. */
const startProcess = Effect.fnUntraced(function* (
  plan: Case | undefined,
  id: string,
  provider: Case["provider"],
  server: AuthServer,
  first: string,
  shared: ReturnType<typeof makeShared>
) {
  const process = newProcess(plan)
  const store = storeOf(yield* TokenStore, process, shared.state)
  const transport = transportOf(yield* TokenTransport, process, shared.state)
  const scope = yield* Scope.make()
  const layer = Layer.fresh(
    Tokens.layerNoDeps.pipe(
      Layer.provide([
        Secrets.layer.pipe(Layer.provide(Layer.succeed(Environment, { CLIENT_SECRET: "client-secret", FIRST: first }))),
        Layer.succeed(TokenStore, store),
        Layer.succeed(TokenTransport, transport),
        Layer.succeed(Leases, shared.leases(process)),
        Budgets.layer,
        ConfigProvider.layer(
          ConfigProvider.fromEnvRecord({
            TRIBUTARY_OAUTH_TIMEOUT: `${timeout} millis`,
            TRIBUTARY_DRAIN_DEADLINE: "1 millis"
          })
        )
      ])
    )
  )
  const oauth2 = decode({
    oauth2: "refresh_token",
    client_id: "client",
    client_secret: "${env:CLIENT_SECRET}",
    token_url: server.tokenUrl,
    refresh_token: "${env:FIRST}"
  })
  const context = yield* Layer.buildWithScope(layer, scope)
  const manager = yield* Effect.flatMap(Tokens, (tokens) =>
    tokens.manager({ id, oauth2, base: "/", lifecycle: provider.lifecycle })
  ).pipe(Effect.provideContext(context), Scope.provide(scope))
  return { process, manager, close: Scope.close(scope, Exit.void) }
})

/** Has the token replaced, and gives the verdict once a valid one is there, or a person is asked for and that stays so. */
const replaced = (
  manager: TokenManager,
  server: AuthServer,
  limit: number
): Effect.Effect<readonly [Verdict, string]> =>
  Effect.gen(function* () {
    const started = yield* Clock.currentTimeMillis
    const old = yield* Effect.option(manager.get)
    let said = ""
    let asked: number | undefined
    for (;;) {
      const now = yield* Clock.currentTimeMillis
      if (now - started > limit) return ["lost", said] as const
      if (Option.isSome(old)) yield* Effect.ignore(manager.rejected(old.value))
      const exit = yield* Effect.result(manager.get)
      if (exit._tag === "Success") {
        const isNewer = Option.isNone(old) || exit.success.generation > old.value.generation
        if (isNewer && server.validate(Redacted.value(exit.success.value)).active) return ["recovered", ""] as const
        // A token of a family that was revoked.
        if (isNewer) yield* Effect.ignore(manager.rejected(exit.success))
      } else {
        said = exit.failure.message
        if (exit.failure.failureClass !== "needs-consent") asked = undefined
        else {
          asked ??= now
          // Another process may still hold, and store, the answer.
          if (now - asked > 1500) return ["needs-consent", said] as const
        }
      }
      yield* Effect.sleep(100)
    }
  })

/** One run: a process gets tokens, meets the faults of the case while it refreshes, and another one takes over. */
export const run = (
  plan: Case,
  client: "journal" | "naive"
): Effect.Effect<Result, unknown, TokenStore | TokenTransport> =>
  Effect.gen(function* () {
    const { provider, reply } = plan
    const server = yield* Effect.acquireRelease(
      Effect.promise(() => startAuthServer({ rotate: provider.rotate, graceMs: provider.graceMs, discovery: "none" })),
      (server) => Effect.promise(() => server.stop())
    )
    const first = server.control.issueRefreshToken("client")
    const id = randomUUID()
    const blameless = () => (reply === "duplicated" && provider.rotate && provider.graceMs === 0 ? 1 : 0)
    const shared = makeShared()
    const result = (verdict: Verdict, detail: string): Result => ({
      // A machine that is busy makes replies slow, too.
      case: shared.state.hasTimedOut && reply === "ok" ? { ...plan, reply: "slow" } : plan,
      verdict,
      revoked: Math.max(0, server.stats.reuses - blameless()),
      detail
    })
    if (client === "naive") {
      const [verdict, detail] = yield* naive(plan, id, server, first, serverFault[reply])
      return result(verdict, detail)
    }
    const one = yield* startProcess(plan, id, provider, server, first, shared)
    yield* Effect.addFinalizer(() => one.close)
    const token = yield* one.manager.get
    one.process.isArmed = true
    server.control.next(serverFault[reply])
    const work = yield* Effect.forkScoped(Effect.exit(one.manager.rejected(token)), { startImmediately: true })
    yield* Effect.raceFirst(Deferred.await(one.process.died), Fiber.await(work))
    if (one.process.isDead) yield* one.close
    one.process.isArmed = false
    const two = yield* startProcess(undefined, id, provider, server, first, shared).pipe(
      // What keeps the store's data may not be there yet.
      Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo({ times: 100 })))
    )
    yield* Effect.addFinalizer(() => two.close)
    const [verdict, detail] = yield* replaced(two.manager, server, 30_000)
    if (verdict !== "recovered") return result(verdict, detail)
    // The refresh token behind it is good, too; and the first process gets what the second one has.
    const again = yield* replaced(two.manager, server, 30_000)
    if (again[0] !== "recovered" || one.process.isDead) return result(...again)
    return result(...(yield* replaced(one.manager, server, 30_000)))
  }).pipe(
    Effect.scoped,
    // Its first tokens, before anything goes wrong; on a busy machine even these may not come in time.
    Effect.retry(Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 60 })))
  )
