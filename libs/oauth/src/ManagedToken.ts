import { Cause, Clock, Deferred, Effect, Exit, Schedule, Scope } from "effect"
import { type Acquisition, longestWaitInside } from "./Acquisition.ts"
import type { Custody } from "./Custody.ts"
import { defectProblem } from "./defectProblem.ts"
import type { Held } from "./Held.ts"
import type { Outlook } from "./Outlook.ts"
import type { Passing } from "./Passing.ts"
import type { Timetable } from "./Timetable.ts"
import { TokenError } from "./TokenError.ts"
import type { AccessToken, Authorization, TokenManager } from "./TokenManager.ts"

/** A failure that later callers share from `from` until `until`. */
interface Hold {
  readonly error: TokenError
  readonly from: number
  readonly until: number
  readonly streak: number
}

interface State {
  held: Held | undefined
  hold: Hold | undefined
  /** The acquisition that is under way. */
  flight: Deferred.Deferred<Held, TokenError> | undefined
  /** Highest generation that the API rejected. */
  rejectedUpTo: number
  /** How many tokens in a row were rejected as soon as they were used. */
  rejectedFresh: number
  outlook: Outlook
  /** Whether the refresh token is kept alive by a fiber of its own. */
  isKeptAlive: boolean
  /** When a person was told last that the refresh token ends. */
  warnedAt: number
}

/** Repetitions inside one acquisition: after about 0.2, 0.4 and 0.8 seconds. */
const repetitions = Schedule.exponential("200 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 3 }))
const day = 24 * 3_600_000
/** So long before a refresh token ends for good a person is told. */
export const reconnectNotice = 14 * day
/** Between two attempts to keep a refresh token alive that failed. */
const keepAlivePause = 60_000

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
  /** Whether requests of the grant can be repeated at will. */
  readonly isRepeatable: boolean
  /** The means to get tokens. */
  readonly acquisition: Passing<Acquisition, never>
  /** One per authorization in the process, whatever number of managers it has. */
  readonly custody: Custody
  readonly timetable: Timetable
}

/**
 * What a manager does beside handing out the token that it holds. Made when it is needed: all that a manager keeps is its state,
 * for a process may have very many of them.
 */
const workings = (options: ManagedTokenOptions, scope: Scope.Scope, state: State) => {
  const { acquisition } = options
  const { lock, watch } = options.custody
  const { id } = options.authorization

  const failure = (parts: Pick<TokenError, "failureClass" | "problem" | "advice">, retryAfter?: number) =>
    new TokenError({ authorization: id, endpoint: undefined, retryAfter, ...parts })

  const attempt = Effect.suspend(() =>
    acquisition.use(({ attempt }) => attempt(Math.max(state.rejectedUpTo, state.held?.token.generation ?? 0)))
  )

  /** Tells a person, once a day, that a new consent is needed soon. */
  const warn = Effect.fnUntraced(function* (reconnectBy: number | undefined) {
    const now = yield* Clock.currentTimeMillis
    if (reconnectBy === undefined || reconnectBy - now > reconnectNotice || now - state.warnedAt < day) return
    state.warnedAt = now
    const days = Math.max(0, Math.floor((reconnectBy - now) / day))
    yield* Effect.logWarning(
      `Authorization ${id}: its refresh token ends within ${days + 1} day(s), however often it is used. Authorize again before.`
    ).pipe(Effect.annotateLogs({ authorization: id, reconnectBy }))
  })

  /** Takes note of what is to be expected of the refresh token. */
  const foresee = (outlook: Outlook) =>
    Effect.suspend(() => {
      state.outlook = outlook
      return Effect.all([warn(outlook.reconnectBy), watch.reconnectBy(outlook.reconnectBy), startKeepAlive], {
        discard: true
      })
    })

  /** The same of what is stored, where no token of it is held. What cannot be read now is learnt with the next token. */
  const lookAhead = Effect.matchEffect(
    acquisition.use(({ outlook }) => outlook),
    { onFailure: () => Effect.void, onSuccess: foresee }
  )

  // Not Effect.fn, which keeps an error with its stack for each manager that there is.
  const acquire = Effect.fnUntraced(
    function* () {
      yield* Effect.annotateCurrentSpan({ authorization: id })
      const next = yield* attempt.pipe(
        Effect.retry({
          schedule: repetitions,
          while: (error) => error.failureClass === "transient" && (error.retryAfter ?? 0) <= longestWaitInside
        }),
        lock.withPermit
      )
      state.held = next
      state.hold = undefined
      yield* watch.held({ obtainedAt: next.obtainedAt, expiresAt: next.token.expiresAt })
      yield* foresee(next.outlook)
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
        const wait = acquisition.current()?.isFinal(error) === true ? 1000 : holdFor(error, streak)
        state.hold = { error, from: now, until: now + wait, streak }
      })
    ),
    Effect.tapError((error) => watch.failed(error)),
    Effect.withSpan("TokenManager.acquire", {}, { captureStackTrace: false })
  )

  // Made when it is needed: an error keeps what was on the stack.
  const closed = () => failure({ failureClass: "transient", problem: "the connector is being stopped.", advice: "" })

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
          Deferred.doneUnsafe(mine, isInterrupt ? Exit.fail(closed()) : exit)
        })
        return restore(Deferred.await(mine))
      })
    })
  )

  const joinUnlessHeldOff = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    // A clock that was put back says nothing of how long it has lasted, and must not make it last.
    state.flight === undefined && state.hold !== undefined && state.hold.from <= now && now < state.hold.until
      ? state.hold.error
      : join
  )

  /** Replaces a token in the background while it is still handed out; a failure is tried again until it cannot be. */
  const replace = Effect.fnUntraced(function* (mine: Held) {
    // Once in any case: where the provider refuses to replace a token before its end, this begins when it can no longer be used.
    while (state.held === mine) {
      const error = yield* Effect.match(joinUnlessHeldOff, { onFailure: (error) => error, onSuccess: () => undefined })
      if (error === undefined) return
      yield* Effect.logWarning("Access token not refreshed; the old one is used until it expires.").pipe(
        Effect.annotateLogs({ authorization: id, failureClass: error.failureClass, error: error.message })
      )
      const now = yield* Clock.currentTimeMillis
      const wait = Math.max(1000, (state.hold?.until ?? 0) - now)
      if (now + wait >= mine.usableUntil) return
      yield* Effect.sleep(wait)
    }
  })

  /** Uses the refresh token before it dies of not being used. Another process may have done it meanwhile. */
  const keepAlive = Effect.gen(function* () {
    for (;;) {
      const due = state.outlook.keepAliveAt ?? Infinity
      const wait = due - (yield* Clock.currentTimeMillis)
      if (wait > 0) {
        yield* Effect.sleep(Math.min(wait, day))
        continue
      }
      yield* lookAhead
      if ((state.outlook.keepAliveAt ?? Infinity) > (yield* Clock.currentTimeMillis)) continue
      const error = yield* Effect.match(joinUnlessHeldOff, { onFailure: (error) => error, onSuccess: () => undefined })
      if (error !== undefined) {
        yield* Effect.logWarning(
          "A refresh token that nobody uses was not refreshed; it is tried again until it ends."
        ).pipe(Effect.annotateLogs({ authorization: id, failureClass: error.failureClass, error: error.message }))
      }
      // Also after a success: no provider is asked in a loop, whatever lives it tells.
      yield* Effect.sleep(error === undefined ? 1000 : keepAlivePause)
    }
  })

  const startKeepAlive: Effect.Effect<void> = Effect.uninterruptible(
    Effect.suspend(() => {
      if (state.isKeptAlive || state.outlook.keepAliveAt === undefined) return Effect.void
      state.isKeptAlive = true
      return Effect.forkIn(Effect.interruptible(keepAlive), scope)
    })
  )

  const rejected = Effect.fnUntraced(
    function* (token: AccessToken) {
      if (state.held !== undefined && state.held.token.generation > token.generation) return
      const now = yield* Clock.currentTimeMillis
      if (token.generation > state.rejectedUpTo) {
        state.rejectedUpTo = token.generation
        yield* watch.rejected
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
          state.hold = { error, from: now, until: now + holdFor(error, streak), streak }
        }
      }
      if (state.held === undefined) yield* joinUnlessHeldOff
    },
    Effect.withSpan("TokenManager.rejected", {}, { captureStackTrace: false })
  )

  return { foresee, joinUnlessHeldOff, lookAhead, rejected, replace }
}

/** Makes the manager of one authorization. Background work ends with the scope, but for what its custody has to see stored. */
export const makeManagedToken = Effect.fnUntraced(function* (options: ManagedTokenOptions) {
  const scope = yield* Scope.Scope
  const state: State = {
    held: undefined,
    hold: undefined,
    flight: undefined,
    rejectedUpTo: 0,
    rejectedFresh: 0,
    outlook: { unusedEnd: undefined, reconnectBy: undefined, keepAliveAt: undefined },
    isKeptAlive: false,
    warnedAt: -Infinity
  }
  const works = () => workings(options, scope, state)

  const plan = (mine: Held) => {
    mine.isPlanned = true
    const start = Effect.suspend(() =>
      state.held === mine ? Effect.forkIn(Effect.interruptible(works().replace(mine)), scope) : Effect.void
    )
    options.timetable.add(mine.refreshAt, start)
  }

  const handOut = (mine: Held) => {
    if (!mine.isPlanned && mine.refreshAt !== Infinity) plan(mine)
    return Effect.succeed(mine.token)
  }

  const get: TokenManager["get"] = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    state.held !== undefined && now < state.held.usableUntil
      ? handOut(state.held)
      : Effect.flatMap(works().joinUnlessHeldOff, handOut)
  )

  const status: TokenManager["status"] = Effect.map(Clock.currentTimeMillis, (now) => {
    const { held, hold, outlook } = state
    const isDead = hold?.error.failureClass === "needs-consent"
    return {
      authorization: options.authorization.id,
      generation: held?.token.generation ?? 0,
      obtainedAt: held?.obtainedAt,
      expiresAt: held?.token.expiresAt,
      unusedEnd: outlook.unusedEnd,
      reconnectBy: outlook.reconnectBy,
      isReconnectDue: isDead || (outlook.reconnectBy ?? Infinity) - now <= reconnectNotice,
      failure: hold === undefined ? undefined : { failureClass: hold.error.failureClass, message: hold.error.message }
    }
  })

  state.held = yield* options.acquisition.use(({ stored }) => stored)
  if (state.held !== undefined) {
    yield* options.custody.watch.held({ obtainedAt: state.held.obtainedAt, expiresAt: state.held.token.expiresAt })
    yield* works().foresee(state.held.outlook)
  } else if (!options.isRepeatable) yield* works().lookAhead
  return {
    get,
    rejected: (token) => Effect.suspend(() => works().rejected(token)),
    status
  } satisfies TokenManager
})
