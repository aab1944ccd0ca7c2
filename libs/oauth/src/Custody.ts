import type { StoredTokens } from "@tributary/vault"
import { type Deferred, Duration, Effect, Fiber, Option, Semaphore } from "effect"
import { Lineage } from "./Lineage.ts"
import type { TokenError } from "./TokenError.ts"
import type { TokenWatch } from "./watch/TokenWatch.ts"

/** A request that spends a refresh token, from its intent until its answer, or the want of one, is stored. */
export interface Spending {
  /**
   * Outcome of what is under way: at first of the request and of the first attempt to store its answer, then of each further
   * attempt. `undefined`: somebody else has stored others.
   */
  attempt: Deferred.Deferred<StoredTokens | undefined, TokenError>
  /** What would be lost with the process now: what the server may answer, or a refresh token that only is in memory. */
  stake: "answer" | "refresh token" | undefined
  /** Why the answer is not stored yet. */
  problem: string
  /** The process ends without having stored it: the lease is not given back, which tells the next holder that something is amiss. */
  isDropped: boolean
}

/**
 * What this process knows and keeps of one authorization, whichever managers come and go: a connector may be changed, moved or
 * removed while tokens that were received wait for the store, and they are nowhere else.
 */
export interface Custody {
  /** One acquisition at a time, whatever number of managers there are. */
  readonly lock: Semaphore.Semaphore
  readonly lineage: Lineage
  readonly watch: TokenWatch
  spending: Spending | undefined
  /** The fiber of the last spending, which belongs to no manager. */
  work: Fiber.Fiber<void> | undefined
  /** The request, by its name in the journal, that this process ended last: nothing of it is under way. */
  ended: string | undefined
}

const losses = {
  answer: {
    what: "a token request had no answer yet when the process ended",
    advice:
      "If the server carried it out, the refresh token it sent is lost, and the one in the store may be refused: get a new first refresh token then and put it where `refresh_token` points to."
  },
  "refresh token": {
    what: "a new refresh token was received and could not be stored before the process ended",
    advice:
      "It is lost, and most servers take the one before it no more: get a new first refresh token and put it where `refresh_token` points to."
  }
} as const

/** Gives what is under way time to be stored; what is not by then is lost, which is told. */
const endOf = Effect.fnUntraced(function* (authorization: string, custody: Custody, patience: Duration.Duration) {
  const { work } = custody
  if (work === undefined || work.pollUnsafe() !== undefined) return
  const waited = Duration.format(patience)
  if (custody.spending?.stake === "refresh token") {
    yield* Effect.logWarning(
      `Authorization ${authorization}: the end of the process waits up to ${waited} until a new refresh token is stored.`
    ).pipe(Effect.annotateLogs({ authorization, problem: custody.spending.problem }))
  }
  if (Option.isSome(yield* Effect.timeoutOption(Fiber.await(work), patience))) return
  const { spending } = custody
  if (spending !== undefined) {
    spending.isDropped = true
    if (spending.stake !== undefined) {
      const { advice, what } = losses[spending.stake]
      const why = spending.problem === "" ? "" : ` (${spending.problem})`
      yield* Effect.logError(
        `Authorization ${authorization}: ${what}, though it was waited for ${waited}${why}. ${advice}`
      ).pipe(Effect.annotateLogs({ authorization }))
    }
  }
  yield* Fiber.interrupt(work)
})

/**
 * Keeps the custodies of all authorizations until the scope closes, which waits up to `patience` for what is not stored yet and
 * logs an error for each that had to be given up.
 */
export const makeCustodies = Effect.fnUntraced(function* (
  patience: Duration.Duration,
  watchOf: (authorization: string) => TokenWatch
) {
  const custodies = new Map<string, Custody>()
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() =>
      Effect.forEach(custodies, ([authorization, custody]) => endOf(authorization, custody, patience), {
        concurrency: "unbounded",
        discard: true
      })
    )
  )
  return (authorization: string): Custody => {
    const known = custodies.get(authorization)
    if (known !== undefined) return known
    const custody: Custody = {
      lock: Semaphore.makeUnsafe(1),
      lineage: new Lineage(),
      watch: watchOf(authorization),
      spending: undefined,
      work: undefined,
      ended: undefined
    }
    custodies.set(authorization, custody)
    return custody
  }
})
