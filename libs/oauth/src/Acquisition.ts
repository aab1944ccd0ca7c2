import {
  type Lease,
  type LeaseError,
  Leases,
  type LeaseTaken,
  type StoredTokens,
  TokenStore,
  type VaultError
} from "@tributary/vault"
import { Cause, Clock, Deferred, Duration, Effect, Exit, Option, Redacted, Result, Scope } from "effect"
import type { Custody, Spending } from "./Custody.ts"
import { fingerprint } from "./fingerprint.ts"
import type { Grant, GrantRequest } from "./Grant.ts"
import { heldOf } from "./Held.ts"
import type { Settings } from "./Settings.ts"
import type { ExchangeFailure, TokenEndpoint } from "./TokenEndpoint.ts"
import { TokenError } from "./TokenError.ts"
import type { TokenBody } from "./TokenResponse.ts"

/** A server that asks for a longer wait than this is not waited for inside an acquisition. Milliseconds. */
export const longestWaitInside = 1000
/** While another process has the lease, the store is looked at so often: that process may have ended after it saved. */
const turn = Duration.seconds(1)
/** So long the process that had the lease before and did not give it back has time to store what it may have received. */
const legacy = 5000
const legacyLook = 250
/** Between two attempts to store tokens that were received. */
const savePause = 500

/** What the request of a grant that spends something needs, with the lease held. */
interface Turn {
  readonly lease: Lease
  readonly stored: StoredTokens | undefined
  readonly request: GrantRequest
}

export interface AcquisitionOptions {
  readonly id: string
  readonly settings: Settings
  readonly grant: Grant
  readonly endpoint: TokenEndpoint
  /** What the process keeps of the authorization beyond the life of this. */
  readonly custody: Custody
  /** Longest time for one token request. */
  readonly timeout: Duration.Duration
}

/**
 * Gets tokens of one authorization: from the store, where another process may have put them, or from the token endpoint; and
 * stores what it got before anybody sees it. How processes keep out of each other's way is told in docs/decisions/0005.
 */
export const makeAcquisition = Effect.fnUntraced(function* (options: AcquisitionOptions) {
  const { custody, endpoint, grant, id, settings } = options
  const { lineage } = custody
  const store = yield* TokenStore
  const leases = yield* Leases
  const timeout = Duration.toMillis(options.timeout)
  /** So that, renewed every third of it, more is left than one request may take. */
  const leaseTime = 2 * timeout

  /** A credential that the server refused for good; it is not sent again. */
  let dead: { readonly spends: string; readonly error: TokenError } | undefined

  const failure = (parts: Pick<TokenError, "failureClass" | "problem" | "advice">, retryAfter?: number) =>
    new TokenError({ authorization: id, endpoint: undefined, retryAfter, ...parts })
  const fromVault = ({ failureClass, message }: VaultError) => failure({ failureClass, problem: message, advice: "" })
  const fromLease = ({ failureClass, message }: LeaseError | LeaseTaken) =>
    failure({
      failureClass,
      problem: message,
      advice: "Nothing was sent, because no two processes may use one refresh token at the same time."
    })

  const load = store.load(id).pipe(
    Effect.map(Option.getOrUndefined),
    Effect.tap((stored) => Effect.sync(() => stored !== undefined && lineage.observe(stored))),
    Effect.mapError(fromVault)
  )

  /** Takes stored tokens over if they may be used: asked with the same settings, not rejected, good for a while. */
  const adopt = Effect.fnUntraced(function* (stored: StoredTokens | undefined, newerThan: number) {
    if (stored === undefined || stored.settings !== settings.fingerprint || lineage.isBehind(stored)) return undefined
    const generation = lineage.generationOf(stored)
    if (generation <= newerThan || stored.seed !== (yield* grant.seed(stored))) return undefined
    const candidate = yield* heldOf(stored, generation)
    return (yield* Clock.currentTimeMillis) < candidate.usableUntil ? candidate : undefined
  })

  const own = (saved: StoredTokens) =>
    Effect.suspend(() => {
      lineage.replace(saved)
      return heldOf(saved, lineage.generationOf(saved))
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

  const prepare = Effect.fnUntraced(function* (stored: StoredTokens | undefined) {
    const request = yield* grant.prepare(stored)
    if (dead !== undefined && dead.spends === request.spends) return yield* dead.error
    if (!lineage.isUsedUp(stored, request)) return request
    const error = failure({
      failureClass: "needs-consent",
      problem:
        "the token store has lost its newest tokens (it holds none, or older ones), and the refresh token that is left was replaced by one of those. It was not sent, because the server would take that for a theft.",
      advice:
        "Get a new first refresh token and put it where `refresh_token` points to; and let the store keep its data over a restart (Redis: `appendonly yes`)."
    })
    return yield* error
  })

  const refused = (request: GrantRequest, { error, isUncertain }: ExchangeFailure): TokenError => {
    if (request.spends === undefined) return error
    if (isUncertain) custody.uncertain = request.spends
    if (error.failureClass !== "needs-consent") return error
    const told =
      custody.uncertain === request.spends
        ? new TokenError({
            ...error,
            problem: `${error.problem} The answer to an earlier request with this refresh token was lost, or the process that sent it ended before the answer was stored; so the server may have taken the repetition for a theft.`
          })
        : error
    dead = { spends: request.spends, error: told }
    return told
  }

  const ask = Effect.fnUntraced(function* (request: GrantRequest, mayBeSent?: Effect.Effect<boolean>) {
    // The life of a token is counted from before it was asked for, so it ends here no later than at the server.
    const obtainedAt = yield* Clock.currentTimeMillis
    const body = yield* Effect.mapError(endpoint.exchange(request, mayBeSent), (error) => refused(request, error))
    return toTokens(Redacted.value(body), request, obtainedAt)
  })

  /** Waits for the lease, or for the tokens that the process which has it stores. */
  const waitForTurn = Effect.fnUntraced(function* (newerThan: number) {
    const started = yield* Clock.currentTimeMillis
    for (;;) {
      const taken = yield* Effect.result(leases.acquire(`tokens/${id}`, { ttl: leaseTime, wait: turn }))
      if (Result.isSuccess(taken)) return taken.success
      if (taken.failure._tag !== "LeaseTaken") return yield* taken.failure
      const adopted = yield* adopt(yield* load, newerThan)
      if (adopted !== undefined) return adopted
      if ((yield* Clock.currentTimeMillis) - started >= timeout) return yield* taken.failure
    }
  })

  /** What is stored, once the process that had the lease before had time to store what it may have received. */
  const settledStore = Effect.fnUntraced(function* (lease: Lease) {
    const first = yield* load
    if (!lease.isInherited) return first
    const until = (yield* Clock.currentTimeMillis) + legacy
    let now = first
    while (now?.generation === first?.generation && (yield* Clock.currentTimeMillis) < until) {
      yield* Effect.sleep(legacyLook)
      now = yield* load
    }
    return now
  })

  /** Takes the lease, and reads again what is stored: another process may have refreshed meanwhile. */
  const begin = Effect.fnUntraced(function* (newerThan: number) {
    const lease = yield* waitForTurn(newerThan).pipe(
      Effect.mapError((error) => (error._tag === "TokenError" ? error : fromLease(error)))
    )
    if ("token" in lease) return lease
    const stored = yield* settledStore(lease)
    const adopted = yield* adopt(stored, newerThan)
    if (adopted !== undefined) return adopted
    const request = yield* prepare(stored)
    if (lease.isInherited) custody.uncertain = request.spends
    return { lease, stored, request } satisfies Turn
  })

  /**
   * Sends one request that spends something and stores its answer, however long that takes: what was received is not
   * forgotten, for what was spent is dead, and the lease keeps the others from spending it again.
   */
  const spend = Effect.fnUntraced(function* ({ lease, request, stored }: Turn, spending: Spending) {
    const expected = stored?.generation ?? 0
    yield* Effect.logDebug("Token request.").pipe(
      Effect.annotateLogs({ authorization: id, generation: expected + 1, epoch: lease.epoch })
    )
    // The place of the intent journal: here, before anything is sent, an intent (authorization, `expected`, `lease.epoch`,
    // `request.spends`, deadline) has to become durable; the save below completes it. What to do with an intent that was
    // found without completion is decided where `uncertain` is used now.
    const mayBeSent = Effect.map(lease.left, (left) => left >= timeout)
    const tokens = yield* ask(request, mayBeSent)
    custody.uncertain = undefined
    // A refresh token that the server did not replace is in the store, or where it was configured.
    const { refreshToken } = tokens
    const isReplaced = refreshToken !== undefined && fingerprint(Redacted.value(refreshToken)) !== request.spends
    spending.stake = isReplaced ? "refresh token" : undefined
    for (;;) {
      const saved = yield* store.save(id, expected, tokens).pipe(
        Effect.catchTag("Conflict", () =>
          Effect.as(
            Effect.logWarning("Tokens that were received are not stored: others were stored meanwhile.").pipe(
              Effect.annotateLogs({ authorization: id })
            ),
            undefined
          )
        ),
        Effect.mapError(fromVault),
        Effect.exit
      )
      const { attempt } = spending
      if (Exit.isSuccess(saved)) {
        if (saved.value !== undefined) lineage.replace(saved.value)
        custody.spending = undefined
        if (spending.problem !== "") {
          yield* Effect.logInfo("Tokens that waited for the store are stored.").pipe(
            Effect.annotateLogs({ authorization: id })
          )
        }
        return yield* Deferred.done(attempt, saved)
      }
      const error = Cause.findErrorOption(saved.cause)
      const problem = Option.match(error, { onNone: () => "internal error.", onSome: (error) => error.problem })
      if (spending.problem === "") {
        yield* Effect.logWarning("Tokens were received and cannot be stored yet; it is tried until they are.").pipe(
          Effect.annotateLogs({ authorization: id, problem })
        )
      }
      spending.problem = problem
      spending.attempt = Deferred.makeUnsafe()
      yield* Deferred.done(attempt, saved)
      yield* Effect.sleep(savePause)
    }
  })

  /** Leaves the request and its answer to the process: they go on when the manager is gone. */
  const startSpending = Effect.fnUntraced(function* (turn: Turn, scope: Scope.Closeable) {
    const spending: Spending = { attempt: Deferred.makeUnsafe(), stake: "answer", problem: "", isDropped: false }
    custody.spending = spending
    const first = spending.attempt
    custody.work = yield* spend(turn, spending).pipe(
      Effect.onExit((exit) => {
        if (Exit.isSuccess(exit)) return Effect.void
        custody.spending = undefined
        return Deferred.failCause(spending.attempt, exit.cause)
      }),
      Effect.ensuring(Effect.suspend(() => (spending.isDropped ? Effect.void : Scope.close(scope, Exit.void)))),
      Effect.ignoreCause,
      Effect.interruptible,
      Effect.forkDetach({ startImmediately: true })
    )
    return first
  })

  /** For grants that spend something: under the lease, or not at all. */
  const exclusively = (newerThan: number) =>
    // Between the lease and the start of the request nobody may be interrupted: the lease would stay.
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const begun = yield* restore(Scope.provide(begin(newerThan), scope)).pipe(
          Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
        )
        if ("token" in begun) return yield* Effect.as(Scope.close(scope, Exit.void), begun)
        const first = yield* startSpending(begun, scope)
        const saved = yield* restore(Deferred.await(first)).pipe(
          Effect.catchIf(
            (error) => error.failureClass === "needs-consent",
            // Somebody else may have used the same refresh token just before; what they stored counts.
            (error) =>
              Effect.flatMap(load, (now) => (now?.generation === begun.stored?.generation ? error : Effect.undefined))
          )
        )
        return saved === undefined ? yield* adopt(yield* load, newerThan) : yield* own(saved)
      })
    )

  /** What is stored, or `undefined` if the store cannot be reached now. */
  const reachable = load.pipe(
    Effect.map((stored) => ({ stored })),
    Effect.catchIf(
      (error) => error.failureClass === "transient",
      () => Effect.undefined
    )
  )

  /**
   * For grants whose requests can be repeated at will: under the lease if it can be had, so that one request is enough for all;
   * without it, and without the store, if they are out of reach. Then the token is this process's own.
   */
  const freely = Effect.fnUntraced(function* (newerThan: number) {
    const turnOrHeld = yield* Effect.orElseSucceed(waitForTurn(newerThan), () => undefined)
    if (turnOrHeld !== undefined && "token" in turnOrHeld) return turnOrHeld
    const found = yield* reachable
    const adopted = yield* adopt(found?.stored, newerThan)
    if (adopted !== undefined) return adopted
    const tokens = yield* ask(yield* prepare(found?.stored))
    const saved =
      found === undefined
        ? ("lost" as const)
        : yield* store.save(id, found.stored?.generation ?? 0, tokens).pipe(
            Effect.catchTag("Conflict", () => Effect.undefined),
            Effect.catchIf(
              (error) => error.failureClass === "transient",
              () => Effect.succeed("lost" as const)
            ),
            Effect.mapError(fromVault)
          )
    if (saved === "lost") return yield* heldOf(tokens, lineage.nextUnstored())
    return saved === undefined ? yield* adopt(yield* load, newerThan) : yield* own(saved)
  }, Effect.scoped)

  /**
   * Waits for what a manager before this one began. While its tokens cannot be stored, what is stored is not used: the refresh
   * token there was spent. How its request failed is its own affair, for its settings may have been others.
   */
  const settled = Effect.suspend(() => {
    const { spending } = custody
    if (spending === undefined) return Effect.void
    return Deferred.await(spending.attempt).pipe(
      Effect.catch((error) => (custody.spending === spending ? error : Effect.void)),
      Effect.asVoid
    )
  })

  /** One attempt to get a token of a greater generation than this. */
  const attempt = Effect.fnUntraced(function* (newerThan: number) {
    yield* settled
    const before = yield* grant.isRepeatable ? reachable : Effect.map(load, (stored) => ({ stored }))
    const adopted = yield* adopt(before?.stored, newerThan)
    if (adopted !== undefined) return adopted
    // What cannot be sent needs no lease.
    if (before !== undefined) yield* prepare(before.stored)
    const result = yield* grant.isRepeatable ? freely(newerThan) : exclusively(newerThan)
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

  return {
    attempt,
    /** What is stored, if it may be used and nothing newer waits to be stored. Asks nobody. */
    stored: Effect.suspend(() =>
      custody.spending === undefined ? Effect.flatMap(load, (stored) => adopt(stored, 0)) : Effect.undefined
    ),
    /** Whether the failure is that of a credential which will not be sent again: to look for another one costs nothing. */
    isFinal: (error: TokenError) => error === dead?.error
  }
})
