import { type JournalEntry, type Lease, type StoredTokens, TokenStore } from "@tributary/vault"
import { Clock, Deferred, Effect, Exit, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import type { Custody, Spending } from "../Custody.ts"
import { fingerprint } from "../fingerprint.ts"
import type { GrantRequest } from "../Grant.ts"
import type { ExchangeFailure } from "../TokenEndpoint.ts"
import { TokenError } from "../TokenError.ts"
import { mayRepeat, type RefreshPolicy } from "./RefreshPolicy.ts"
import { begin, type End, next, type Outcome, type Step } from "./transitions.ts"

/** Between two attempts to write what must not be forgotten. */
const pause = 500

/** What the request of a grant that spends something needs, with the lease held. */
export interface Turn {
  readonly lease: Lease
  readonly stored: StoredTokens | undefined
  readonly found: JournalEntry | undefined
  readonly request: GrantRequest
}

type Tokens = Omit<StoredTokens, "generation">

export interface SpendOptions {
  readonly id: string
  readonly custody: Custody
  readonly policy: RefreshPolicy
  /** Longest time for one token request, in milliseconds. */
  readonly timeout: number
  /** Time after which a process that held the lease has stored its answer, or is gone. Milliseconds. */
  readonly takeover: number
  /** What a person does to give a new refresh token. */
  readonly advice: string
  readonly exchange: (
    request: GrantRequest,
    mayBeSent: Effect.Effect<boolean>
  ) => Effect.Effect<Tokens, ExchangeFailure>
  readonly failure: (parts: Pick<TokenError, "failureClass" | "problem" | "advice">) => TokenError
  /** Remembers an error after which the credential is not sent again. */
  readonly condemn: (spends: string | undefined, error: TokenError) => TokenError
}

/**
 * Carries out what the journal's transitions demand, from the intent until everything is durable, however long that takes: what
 * was received is not forgotten, for what was spent is dead, and the lease keeps the others from spending it again.
 */
export const makeSpend = Effect.fnUntraced(function* (options: SpendOptions) {
  const { condemn, custody, exchange, failure, id, policy, takeover, timeout } = options
  const store = yield* TokenStore

  /** The failure that this refresh token ends with once its outcome is unknown and it must not be sent again. */
  const givenUp = (request: GrantRequest) =>
    condemn(
      request.spends,
      failure({
        failureClass: "needs-consent",
        problem:
          "the answer to a request with this refresh token was lost, or the process that sent it ended before the answer was stored. The provider replaces refresh tokens and revokes everything when one is used twice, so it was not sent again.",
        advice: options.advice
      })
    )

  const spend = Effect.fnUntraced(function* ({ found, lease, request, stored }: Turn, spending: Spending) {
    const expected = stored?.generation ?? 0
    const spends = request.spends ?? ""
    const attempt = randomUUID()
    yield* Effect.logDebug("Token request.").pipe(
      Effect.annotateLogs({ authorization: id, attempt, generation: expected + 1, epoch: lease.epoch })
    )
    const reach = timeout
    // What is told before anything else is known.
    let refusal = failure({ failureClass: "defect", problem: "no answer was looked at.", advice: "Please report it." })
    let unavailable = refusal
    let saved: StoredTokens | undefined
    let since: { readonly by: string | undefined; readonly at: number } | undefined

    /** What those who wait get of an end. */
    const exitOf = (end: End): Exit.Exit<StoredTokens | undefined, TokenError> => {
      switch (end.is) {
        case "saved":
        case "overtaken":
          return Exit.succeed(saved)
        case "given-up":
          return Exit.fail(givenUp(request))
        case "unavailable":
          return Exit.fail(unavailable)
        case "failed":
          return Exit.fail(refusal)
        case "refused": {
          const error = refusal
          const told = end.isRepetition
            ? new TokenError({
                ...error,
                problem: `${error.problem} The answer to an earlier request with this refresh token was lost, or the process that sent it ended before the answer was stored; so the server may have taken the repetition for a theft.`
              })
            : error
          return Exit.fail(condemn(request.spends, told))
        }
      }
    }

    /** Does a write of the store; what keeps it from being done is told to those who wait. */
    const write = <A>(
      effect: Effect.Effect<A, Effect.Error<ReturnType<(typeof store)["save"]>>>
    ): Effect.Effect<Outcome<Tokens>> =>
      effect.pipe(
        Effect.as<Outcome<Tokens>>({ is: "written" }),
        Effect.catchTags({
          Conflict: () => Effect.succeed<Outcome<Tokens>>({ is: "conflict" }),
          Superseded: () =>
            Effect.gen(function* () {
              const by = (yield* Effect.orElseSucceed(store.read(id), () => undefined))?.entry
              const now = yield* Clock.currentTimeMillis
              if (since === undefined || since.by !== by?.attempt) since = { by: by?.attempt, at: now }
              return { is: "superseded", by, isAbandoned: now - since.at >= takeover } satisfies Outcome<Tokens>
            }),
          VaultError: ({ failureClass, message }) =>
            Effect.sync(() => {
              unavailable = failure({ failureClass, problem: message, advice: "" })
              return { is: "store-down" } satisfies Outcome<Tokens>
            })
        }),
        Effect.catchDefect(() =>
          Effect.sync((): Outcome<Tokens> => {
            unavailable = failure({ failureClass: "defect", problem: "internal error.", advice: "Please report it." })
            return { is: "store-down" }
          })
        )
      )

    const perform = (step: Exclude<Step<Tokens>, { readonly do: "end" }>): Effect.Effect<Outcome<Tokens>> => {
      switch (step.do) {
        case "intend":
          return write(store.note(id, expected, step.before?.attempt, step.entry))
        case "note":
          return write(store.note(id, expected, step.entry.attempt, step.next))
        case "save":
          return write(
            Effect.map(store.save(id, expected, step.tokens, attempt), (tokens) => {
              saved = tokens
            })
          )
        case "send": {
          const { entry } = step
          spending.stake = "answer"
          const mayBeSent = Effect.gen(function* () {
            if ((yield* lease.left) < timeout) return false
            return entry.tries === 1 || mayRepeat(policy, entry.firstAt, yield* Clock.currentTimeMillis, reach)
          })
          return Effect.match(exchange(request, mayBeSent), {
            onSuccess: (tokens): Outcome<Tokens> => {
              // A refresh token that the server did not replace is in the store, or where it was configured.
              const { refreshToken } = tokens
              const isReplaced = refreshToken !== undefined && fingerprint(Redacted.value(refreshToken)) !== spends
              spending.stake = isReplaced ? "refresh token" : undefined
              return { is: "granted", tokens }
            },
            onFailure: ({ error, isUncertain }): Outcome<Tokens> => {
              refusal = error
              spending.stake = undefined
              if (isUncertain) return { is: "lost" }
              return { is: error.failureClass === "needs-consent" ? "refused" : "not-carried-out" }
            }
          })
        }
      }
    }

    /** Tells those who wait what is the matter, and goes on. */
    const wait = Effect.fnUntraced(function* (step: Step<Tokens>, outcome: Outcome<Tokens>) {
      const isDown = outcome.is === "store-down"
      const problem = isDown
        ? unavailable.problem
        : "another process began a request with the same refresh token, whose outcome is not known yet."
      if (spending.problem === "") {
        const what =
          step.do === "save"
            ? "Tokens were received and cannot be stored yet; it is tried until they are."
            : "The journal of token requests cannot be written; it is tried until it can."
        yield* Effect.logWarning(what).pipe(Effect.annotateLogs({ authorization: id, problem }))
      }
      spending.problem = problem
      const { attempt } = spending
      spending.attempt = Deferred.makeUnsafe()
      const isFinal = step.do === "note" && step.after.do === "end" && step.after.end.is === "given-up"
      const told = isDown ? unavailable : failure({ failureClass: "transient", problem, advice: "It is tried again." })
      yield* Deferred.done(attempt, isFinal ? exitOf({ is: "given-up" }) : Exit.fail(told))
      yield* Effect.sleep(pause)
    })

    const now = yield* Clock.currentTimeMillis
    let step: Step<Tokens> = begin({ policy, found, spends, attempt, epoch: lease.epoch, now, reach })
    while (step.do !== "end") {
      const outcome = yield* perform(step)
      const following: Step<Tokens> = next(step, outcome, { policy, reach, now: yield* Clock.currentTimeMillis })
      if (outcome.is === "store-down" || following === step) yield* wait(step, outcome)
      step = following
    }
    const { end } = step
    if (end.is === "overtaken" && spending.stake === "refresh token") {
      yield* Effect.logWarning("Tokens that were received are not stored: others were stored meanwhile.").pipe(
        Effect.annotateLogs({ authorization: id })
      )
    }
    if (saved !== undefined) {
      custody.lineage.replace(saved)
      if (end.is === "saved") {
        const isRepetition = found?.spends === spends
        yield* custody.watch.stored(isRepetition ? "recovered" : stored === undefined ? "obtained" : "refreshed")
      }
      if (spending.problem !== "") {
        yield* Effect.logInfo("Tokens that waited for the store are stored.").pipe(
          Effect.annotateLogs({ authorization: id })
        )
      }
    }
    custody.ended = attempt
    custody.spending = undefined
    yield* Deferred.done(spending.attempt, exitOf(end))
  })

  return { spend, givenUp }
})
