import { isConsentGrant } from "@tributary/domain"
import {
  type Lease,
  type LeaseError,
  Leases,
  type LeaseTaken,
  type StoredRecord,
  type StoredTokens,
  TokenStore,
  type VaultError
} from "@tributary/vault"
import { Clock, Deferred, Duration, Effect, Exit, Redacted, Result, Scope } from "effect"
import { consentAdvice } from "./consent/consentedGrant.ts"
import type { Custody, Spending } from "./Custody.ts"
import type { Grant, GrantRequest } from "./Grant.ts"
import { heldOf } from "./Held.ts"
import { makeSpend, type Turn } from "./journal/makeSpend.ts"
import type { RefreshPolicy } from "./journal/RefreshPolicy.ts"
import { isGivenUp } from "./journal/transitions.ts"
import { earliestRefresh, earlyMargin } from "./lifetime.ts"
import { type Outlook, outlookOf } from "./Outlook.ts"
import { nextLife, refreshWindow } from "./profile/lifecycle.ts"
import type { Settings } from "./Settings.ts"
import type { TokenEndpoint } from "./TokenEndpoint.ts"
import { TokenError } from "./TokenError.ts"
import type { TokenBody } from "./TokenResponse.ts"

/** A server that asks for a longer wait than this is not waited for inside an acquisition. Milliseconds. */
export const longestWaitInside = 1000
/** While another process has the lease, the store is looked at so often: that process may have ended after it saved. */
const turn = Duration.seconds(1)
/** So long the process that had the lease before and did not give it back has time to store what it may have received. */
const longestLegacy = 5000
const legacyLook = 250

export interface AcquisitionOptions {
  readonly id: string
  readonly settings: Settings
  readonly grant: Grant
  readonly endpoint: TokenEndpoint
  /** What the process keeps of the authorization beyond the life of this. */
  readonly custody: Custody
  /** What the provider does with refresh tokens. */
  readonly policy: RefreshPolicy
  /** Longest time for one token request. */
  readonly timeout: Duration.Duration
}

/**
 * Gets tokens of one authorization: from the store, where another process may have put them, or from the token endpoint; and
 * stores what it got before anybody sees it. How processes keep out of each other's way is told in docs/decisions/0005, and what is
 * done about requests of unknown outcome in 0008.
 */
export const makeAcquisition = Effect.fnUntraced(function* (options: AcquisitionOptions) {
  const { custody, endpoint, grant, id, settings } = options
  const window = refreshWindow(settings.lifecycle)
  const { lineage } = custody
  const store = yield* TokenStore
  const leases = yield* Leases
  const timeout = Duration.toMillis(options.timeout)
  /** So that, renewed every third of it, more is left than one request may take. */
  const leaseTime = 2 * timeout
  const legacy = Math.min(longestLegacy, timeout)

  const renewal = isConsentGrant(settings.grant)
    ? `${consentAdvice(id)}.`
    : "Get a new first refresh token and put it where `refresh_token` points to."

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

  const load = store.read(id).pipe(
    Effect.tap(({ tokens }) => Effect.sync(() => tokens !== undefined && lineage.observe(tokens))),
    Effect.mapError(fromVault)
  )

  /** Takes stored tokens over if they may be used: asked with the same settings, not rejected, good for a while. */
  const adopt = Effect.fnUntraced(function* (stored: StoredTokens | undefined, newerThan: number) {
    if (stored === undefined || stored.settings !== settings.fingerprint || lineage.isBehind(stored)) return undefined
    const generation = lineage.generationOf(stored)
    if (generation <= newerThan || stored.seed !== (yield* grant.seed(stored))) return undefined
    const candidate = yield* heldOf(stored, generation, settings.lifecycle)
    return (yield* Clock.currentTimeMillis) < candidate.usableUntil ? candidate : undefined
  })

  const own = (saved: StoredTokens) =>
    Effect.suspend(() => {
      lineage.replace(saved)
      return heldOf(saved, lineage.generationOf(saved), settings.lifecycle)
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
    scopes: body.scope === undefined ? settings.scopes : body.scope.split(" ").filter((word) => word !== ""),
    settings: settings.fingerprint,
    seed: request.seed,
    ...(request.refreshToken === undefined
      ? {}
      : {
          refreshLife: nextLife(request.refreshLife, {
            obtainedAt,
            lifetime: body.refresh_token_expires_in,
            isReplaced: body.refresh_token !== undefined && body.refresh_token !== Redacted.value(request.refreshToken)
          })
        })
  })

  /** From here on the credential is not sent again. */
  const condemn = (spends: string | undefined, error: TokenError): TokenError => {
    if (spends !== undefined && error.failureClass === "needs-consent") dead = { spends, error }
    return error
  }

  const prepare = Effect.fnUntraced(function* ({ entry, tokens }: StoredRecord) {
    const request = yield* grant.prepare(tokens)
    if (dead !== undefined && dead.spends === request.spends) return yield* dead.error
    if (request.spends !== undefined && isGivenUp(entry, request.spends)) return yield* givenUp(request)
    if (!lineage.isUsedUp(tokens, request)) return request
    const error = failure({
      failureClass: "needs-consent",
      problem:
        "the token store has lost its newest tokens (it holds none, or older ones), and the refresh token that is left was replaced by one of those. It was not sent, because the server would take that for a theft.",
      advice: `${renewal} And let the store keep its data over a restart (Redis: \`appendonly yes\`).`
    })
    return yield* error
  })

  const ask = Effect.fnUntraced(function* (request: GrantRequest, mayBeSent?: Effect.Effect<boolean>) {
    // The life of a token is counted from before it was asked for, so it ends here no later than at the server.
    const { askedAt, body } = yield* endpoint.exchange(request, mayBeSent)
    return toTokens(Redacted.value(body), request, askedAt)
  })

  const { givenUp, spend } = yield* makeSpend({
    id,
    custody,
    policy: options.policy,
    advice: renewal,
    timeout,
    takeover: 2 * leaseTime + legacy,
    exchange: ask,
    failure,
    condemn
  })

  /** Waits for the lease, or for the tokens that the process which has it stores. */
  const waitForTurn = Effect.fnUntraced(function* (newerThan: number) {
    const started = yield* Clock.currentTimeMillis
    for (;;) {
      const taken = yield* Effect.result(leases.acquire(`tokens/${id}`, { ttl: leaseTime, wait: turn }))
      if (Result.isSuccess(taken)) return taken.success
      if (taken.failure._tag !== "LeaseTaken") return yield* taken.failure
      const adopted = yield* adopt((yield* load).tokens, newerThan)
      if (adopted !== undefined) return adopted
      if ((yield* Clock.currentTimeMillis) - started >= timeout) return yield* taken.failure
    }
  })

  /**
   * What is stored, once what another process began is over: its request has reached the server or never will, and a process that
   * had the lease before and did not give it back had time to store what it received. Without an intent it received nothing, and its
   * intent would be refused by now.
   */
  const settledStore = Effect.fnUntraced(function* (lease: Lease) {
    const first = yield* load
    const { entry } = first
    if (entry?.state !== "sent" || entry.attempt === custody.ended) return first
    const began = yield* Clock.currentTimeMillis
    // The other's clock may be ahead.
    const until = Math.max(lease.isInherited ? began + legacy : began, Math.min(began, entry.at) + timeout)
    let now: StoredRecord = first
    while (now.tokens?.generation === first.tokens?.generation && (yield* Clock.currentTimeMillis) < until) {
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
    const record = yield* settledStore(lease)
    const adopted = yield* adopt(record.tokens, newerThan)
    if (adopted !== undefined) return adopted
    const request = yield* prepare(record)
    return { lease, stored: record.tokens, found: record.entry, request } satisfies Turn
  })

  /** Leaves the request and its answer to the process: they go on when the manager is gone. */
  const startSpending = Effect.fnUntraced(function* (turn: Turn, scope: Scope.Closeable) {
    const spending: Spending = { attempt: Deferred.makeUnsafe(), stake: undefined, problem: "", isDropped: false }
    custody.spending = spending
    const first = spending.attempt
    const work = yield* spend(turn, spending).pipe(
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
    custody.work = work
    // A fiber that has ended keeps what it worked with.
    work.addObserver(() => {
      if (custody.work === work) custody.work = undefined
    })
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
              Effect.flatMap(load, ({ tokens }) =>
                tokens?.generation === begun.stored?.generation ? error : Effect.undefined
              )
          )
        )
        return saved === undefined ? yield* adopt((yield* load).tokens, newerThan) : yield* own(saved)
      })
    )

  /** What is stored, or `undefined` if the store cannot be reached now. */
  const reachable = load.pipe(
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
    const adopted = yield* adopt(found?.tokens, newerThan)
    if (adopted !== undefined) return adopted
    const request = yield* prepare(found ?? { tokens: undefined, entry: undefined })
    const tokens = yield* Effect.mapError(ask(request), ({ error }) => error)
    const saved =
      found === undefined
        ? ("lost" as const)
        : yield* store.save(id, found.tokens?.generation ?? 0, tokens).pipe(
            Effect.catchTags({ Conflict: () => Effect.undefined, Superseded: () => Effect.undefined }),
            Effect.catchIf(
              (error) => error.failureClass === "transient",
              () => Effect.succeed("lost" as const)
            ),
            Effect.mapError(fromVault)
          )
    yield* custody.watch.stored("obtained")
    if (saved === "lost") return yield* heldOf(tokens, lineage.nextUnstored(), settings.lifecycle)
    return saved === undefined ? yield* adopt((yield* load).tokens, newerThan) : yield* own(saved)
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

  /**
   * Waits until a token that has just ended here has ended at the server too, where that refuses to replace it before. A token that
   * has long to live was rejected by the API, or is of other settings: then the server is asked all the same.
   */
  const inSeason = Effect.fnUntraced(function* (tokens: StoredTokens | undefined) {
    if (tokens?.expiresAt === undefined || window === Infinity) return
    const wait = earliestRefresh(tokens.expiresAt, window) - (yield* Clock.currentTimeMillis)
    if (wait > 0 && wait <= earlyMargin) yield* Effect.sleep(wait)
  })

  /** One attempt to get a token of a greater generation than this. */
  const attempt = Effect.fnUntraced(function* (newerThan: number) {
    yield* settled
    const before = yield* grant.isRepeatable ? reachable : load
    const adopted = yield* adopt(before?.tokens, newerThan)
    if (adopted !== undefined) return adopted
    if (!grant.isRepeatable) yield* inSeason(before?.tokens)
    // What cannot be sent needs no lease.
    if (before !== undefined) yield* prepare(before)
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
      custody.spending === undefined ? Effect.flatMap(load, ({ tokens }) => adopt(tokens, 0)) : Effect.undefined
    ),
    /** What is to be expected of the refresh token that is stored. Asks nobody. */
    outlook: Effect.flatMap(load, ({ tokens }): Effect.Effect<Outlook> =>
      outlookOf(settings.lifecycle, grant.isRepeatable ? undefined : tokens)
    ),
    /** Whether the failure is that of a credential which will not be sent again: to look for another one costs nothing. */
    isFinal: (error: TokenError) => error === dead?.error,
    /** Whether it knows of nothing that the next one would have to know. */
    mayGo: () => dead === undefined
  }
})
export type Acquisition = Effect.Success<ReturnType<typeof makeAcquisition>>
