import { type StoredTokens, TokenStore, type VaultError } from "@tributary/vault"
import {
  Cause,
  Clock,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Option,
  Random,
  Redacted,
  Schedule,
  Scope,
  type Semaphore
} from "effect"
import { defectProblem } from "./defectProblem.ts"
import type { Grant, GrantRequest } from "./Grant.ts"
import { schedule } from "./lifetime.ts"
import type { Settings } from "./Settings.ts"
import type { ExchangeFailure, TokenEndpoint } from "./TokenEndpoint.ts"
import { TokenError } from "./TokenError.ts"
import type { AccessToken, Authorization, TokenManager } from "./TokenManager.ts"
import type { TokenBody } from "./TokenResponse.ts"

/** A token that may be handed out. */
interface Held {
  readonly token: AccessToken
  readonly obtainedAt: number
  readonly refreshAt: number
  readonly usableUntil: number
  /** Whether its replacement is planned; it is from its first use on, so an idle connector costs no requests. */
  isPlanned: boolean
}

/** A failure that later callers share until `until`. */
interface Hold {
  readonly error: TokenError
  readonly until: number
  readonly streak: number
}

/** Tokens that were received and could not be stored yet. */
interface Unsaved {
  readonly expected: number
  readonly tokens: Omit<StoredTokens, "generation">
}

interface State {
  held: Held | undefined
  hold: Hold | undefined
  /** The acquisition that is under way. */
  flight: Deferred.Deferred<Held, TokenError> | undefined
  unsaved: Unsaved | undefined
  /** Highest generation that the API rejected. */
  rejectedUpTo: number
  /** How many tokens in a row were rejected as soon as they were used. */
  rejectedFresh: number
  /** A credential that the server refused for good; it is not sent again. */
  dead: { readonly spends: string; readonly error: TokenError } | undefined
  /** A credential whose last request has an unknown outcome. */
  uncertain: string | undefined
}

/** Repetitions inside one acquisition: after about 0.2, 0.4 and 0.8 seconds. */
const repetitions = Schedule.exponential("200 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 3 }))
/** A server that asks for a longer wait than this is not waited for inside an acquisition. */
const longestWaitInside = 1000
/** A token rejected at this age or younger counts as rejected at once. */
const freshFor = 5000
/** So many tokens in a row may be rejected at once before the token endpoint is spared. */
const toleratedRejections = 5

/**
 * Milliseconds that a failure is shared, so that a failing server is not hammered. What the server asks for is obeyed, up
 * to an hour; without that a failure that may pass is shared for 1 to 10 seconds and any other for 5 to 60.
 */
const holdFor = ({ failureClass, retryAfter }: TokenError, streak: number): number => {
  if (retryAfter !== undefined) return Math.min(Math.max(1000, retryAfter), 3_600_000)
  const doubling = 2 ** Math.min(streak - 1, 10)
  return failureClass === "transient" ? Math.min(1000 * doubling, 10_000) : Math.min(5000 * doubling, 60_000)
}

/** What a manager is made of. */
export interface ManagedTokenOptions {
  readonly authorization: Authorization
  readonly settings: Settings
  readonly grant: Grant
  readonly endpoint: TokenEndpoint
  /** One per authorization in the process, whatever number of managers it has. */
  readonly lock: Semaphore.Semaphore
}

/** Makes the manager of one authorization; background work ends with the scope. */
export const makeManagedToken = Effect.fnUntraced(function* (options: ManagedTokenOptions) {
  const { endpoint, grant, lock, settings } = options
  const { id } = options.authorization
  const store = yield* TokenStore
  const scope = yield* Scope.Scope

  const state: State = {
    held: undefined,
    hold: undefined,
    flight: undefined,
    unsaved: undefined,
    rejectedUpTo: 0,
    rejectedFresh: 0,
    dead: undefined,
    uncertain: undefined
  }

  const failure = (parts: Pick<TokenError, "failureClass" | "problem" | "advice">, retryAfter?: number) =>
    new TokenError({ authorization: id, endpoint: undefined, retryAfter, ...parts })
  const fromVault = (error: VaultError) =>
    failure({ failureClass: error.failureClass, problem: error.message, advice: "" })
  const load = Effect.map(Effect.mapError(store.load(id), fromVault), Option.getOrUndefined)

  const toHeld = Effect.fnUntraced(function* (stored: StoredTokens) {
    const { accessToken, expiresAt, generation, obtainedAt, tokenType } = stored
    const plan = schedule(obtainedAt, expiresAt, yield* Random.next)
    const token: AccessToken = { value: accessToken, generation, tokenType, expiresAt }
    return { token, obtainedAt, ...plan, isPlanned: false } satisfies Held
  })

  /** Takes stored tokens over if they may be used: asked with the same settings, not rejected, good for a while. */
  const adopt = Effect.fnUntraced(function* (stored: StoredTokens | undefined) {
    if (stored === undefined || stored.settings !== settings.fingerprint) return undefined
    if (stored.generation <= Math.max(state.rejectedUpTo, state.held?.token.generation ?? 0)) return undefined
    if (stored.seed !== (yield* grant.seed(stored))) return undefined
    const candidate = yield* toHeld(stored)
    return (yield* Clock.currentTimeMillis) < candidate.usableUntil ? candidate : undefined
  })

  /** Makes tokens durable. Whatever happens, tokens that were received are not forgotten: the old ones may be dead. */
  const keep = Effect.fnUntraced(function* (expected: number, tokens: Omit<StoredTokens, "generation">) {
    state.unsaved = { expected, tokens }
    const saved = yield* store.save(id, expected, tokens).pipe(
      Effect.catchTag("Conflict", () => Effect.undefined),
      Effect.mapError(fromVault)
    )
    state.unsaved = undefined
    return saved
  })

  const toTokens = (body: TokenBody, request: GrantRequest, obtainedAt: number): Omit<StoredTokens, "generation"> => ({
    accessToken: Redacted.make(body.access_token),
    tokenType: "Bearer",
    expiresAt: body.expires_in === undefined ? undefined : obtainedAt + body.expires_in * 1000,
    obtainedAt,
    refreshToken:
      request.refreshToken !== undefined && body.refresh_token !== undefined
        ? Redacted.make(body.refresh_token)
        : request.refreshToken,
    scopes: (body.scope ?? settings.scope).split(" ").filter((word) => word !== ""),
    settings: settings.fingerprint,
    seed: request.seed
  })

  const refused = (request: GrantRequest, { error, isUncertain }: ExchangeFailure): TokenError => {
    if (request.spends === undefined) return error
    if (isUncertain) state.uncertain = request.spends
    if (error.failureClass !== "needs-consent") return error
    const told =
      state.uncertain === request.spends
        ? new TokenError({
            ...error,
            problem: `${error.problem} The answer to an earlier request with this refresh token was lost, so the server may have taken the repetition for a theft.`
          })
        : error
    state.dead = { spends: request.spends, error: told }
    return told
  }

  /** Sends one request and makes its answer durable, before anybody gets to see it. */
  const exchangeAndKeep = Effect.fnUntraced(function* (stored: StoredTokens | undefined, request: GrantRequest) {
    const expected = stored?.generation ?? 0
    // The place of the intent journal: here, before anything is sent, an intent (authorization, `expected`,
    // `request.spends`, deadline) has to become durable if `request.spends` is set; `keep` below completes it. What to do
    // with an intent that was found without completion is decided where `uncertain` is used now.
    //
    // The life of a token is counted from before it was asked for, so it ends here no later than at the server.
    const obtainedAt = yield* Clock.currentTimeMillis
    const body = yield* Effect.mapError(endpoint.exchange(request), (error) => refused(request, error))
    state.uncertain = undefined
    return yield* keep(expected, toTokens(Redacted.value(body), request, obtainedAt))
  })

  const guarded = (stored: StoredTokens | undefined, request: GrantRequest) => {
    const work = exchangeAndKeep(stored, request)
    if (request.spends === undefined) return work
    // Once a one-time credential was sent, its answer has to be waited for and stored even when the program is ending;
    // the endpoint's time limit bounds it. The work runs in a fiber of its own so that this limit can interrupt it.
    return Effect.uninterruptible(Effect.flatMap(Effect.forkDetach(work, { startImmediately: true }), Fiber.join))
  }

  const attempt = Effect.fnUntraced(function* () {
    if (state.unsaved !== undefined) yield* keep(state.unsaved.expected, state.unsaved.tokens)
    const stored = yield* load
    const adopted = yield* adopt(stored)
    if (adopted !== undefined) return adopted
    const request = yield* grant.prepare(stored)
    if (state.dead !== undefined && state.dead.spends === request.spends) return yield* state.dead.error
    const saved = yield* guarded(stored, request).pipe(
      Effect.catchIf(
        (error) => error.failureClass === "needs-consent",
        // Somebody else may have used the same refresh token just before; what they stored counts.
        (error) => Effect.flatMap(load, (now) => (now?.generation === stored?.generation ? error : Effect.undefined))
      )
    )
    const result = saved === undefined ? yield* adopt(yield* load) : yield* toHeld(saved)
    if (result === undefined) {
      return yield* failure({
        failureClass: "transient",
        problem: "another process changed the tokens at the same time.",
        advice: "It is tried again."
      })
    }
    if ((yield* Clock.currentTimeMillis) >= result.usableUntil) {
      return yield* failure(
        {
          failureClass: "transient",
          problem: "the token was about to expire when it arrived.",
          advice: "Let the server issue tokens that live longer, and check how long its answers take."
        },
        // Asking again at once would most likely end the same way.
        2 * longestWaitInside
      )
    }
    return result
  })

  const acquire = Effect.fn("TokenManager.acquire")(
    function* () {
      yield* Effect.annotateCurrentSpan({ authorization: id })
      const next = yield* attempt().pipe(
        Effect.retry({
          schedule: repetitions,
          while: (error) => error.failureClass === "transient" && (error.retryAfter ?? 0) <= longestWaitInside
        }),
        lock.withPermit
      )
      state.held = next
      state.hold = undefined
      yield* Effect.logDebug("Access token obtained.").pipe(
        Effect.annotateLogs({ authorization: id, generation: next.token.generation })
      )
      return next
    },
    Effect.catchDefect((defect) =>
      failure({ failureClass: "defect", problem: defectProblem(defect), advice: "Please report it." })
    ),
    Effect.tapError((error) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const streak = (state.hold?.streak ?? 0) + 1
        // Looking whether a dead credential was replaced asks nobody.
        const wait = state.dead?.error === error ? 1000 : holdFor(error, streak)
        state.hold = { error, until: now + wait, streak }
      })
    )
  )

  const closed = failure({ failureClass: "transient", problem: "the connector is being stopped.", advice: "" })

  /** The one acquisition that is under way, started if there is none. Interrupting a caller leaves it alone. */
  const join = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      if (state.flight !== undefined) return restore(Deferred.await(state.flight))
      const mine = Deferred.makeUnsafe<Held, TokenError>()
      state.flight = mine
      return Effect.flatMap(Effect.forkIn(Effect.interruptible(acquire()), scope), (fiber) => {
        fiber.addObserver((exit) => {
          state.flight = undefined
          const isInterrupt = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
          Deferred.doneUnsafe(mine, isInterrupt ? Exit.fail(closed) : exit)
        })
        return restore(Deferred.await(mine))
      })
    })
  )

  const joinUnlessHeldOff = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    state.flight === undefined && state.hold !== undefined && now < state.hold.until ? state.hold.error : join
  )

  /** Replaces a token in the background while it is still handed out; a failure is tried again until it cannot be. */
  const replaceLater = Effect.fnUntraced(function* (mine: Held) {
    yield* Effect.sleep(Math.max(0, mine.refreshAt - (yield* Clock.currentTimeMillis)))
    while (state.held === mine && (yield* Clock.currentTimeMillis) < mine.usableUntil) {
      const error = yield* Effect.match(joinUnlessHeldOff, { onFailure: (error) => error, onSuccess: () => undefined })
      if (error === undefined) return
      yield* Effect.logWarning("Access token not refreshed; the old one is used until it expires.").pipe(
        Effect.annotateLogs({ authorization: id, failureClass: error.failureClass, error: error.message })
      )
      yield* Effect.sleep(Math.max(1000, (state.hold?.until ?? 0) - (yield* Clock.currentTimeMillis)))
    }
  })

  const plan = (mine: Held) =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        if (mine.isPlanned) return Effect.void
        mine.isPlanned = true
        return Effect.forkIn(Effect.interruptible(replaceLater(mine)), scope)
      })
    )

  const handOut = (mine: Held) =>
    mine.isPlanned || mine.refreshAt === Infinity ? Effect.succeed(mine.token) : Effect.as(plan(mine), mine.token)

  const get: TokenManager["get"] = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    state.held !== undefined && now < state.held.usableUntil
      ? handOut(state.held)
      : Effect.flatMap(joinUnlessHeldOff, handOut)
  )

  const rejected: TokenManager["rejected"] = Effect.fn("TokenManager.rejected")(function* (token) {
    if (state.held !== undefined && state.held.token.generation > token.generation) return
    const now = yield* Clock.currentTimeMillis
    if (token.generation > state.rejectedUpTo) {
      state.rejectedUpTo = token.generation
      const isFresh = state.held !== undefined && now - state.held.obtainedAt <= freshFor
      state.rejectedFresh = isFresh ? state.rejectedFresh + 1 : 0
      state.held = undefined
      if (state.rejectedFresh >= toleratedRejections) {
        const error = failure({
          failureClass: "transient",
          problem: `the API rejected ${state.rejectedFresh} tokens in a row that the server had just issued.`,
          advice: "Check `scopes`, `audience` and `resource`, and whether base_url is the API these tokens are for."
        })
        const streak = state.rejectedFresh - toleratedRejections + 1
        state.hold = { error, until: now + holdFor(error, streak), streak }
      }
    }
    if (state.held === undefined) yield* joinUnlessHeldOff
  })

  state.held = yield* Effect.flatMap(load, adopt)
  return { get, rejected } satisfies TokenManager
})
