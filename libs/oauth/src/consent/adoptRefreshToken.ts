import { type JournalEntry, Leases, type StoredTokens, TokenStore, VaultError } from "@tributary/vault"
import { Clock, Duration, Effect, Redacted, Schedule, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { fingerprint } from "../fingerprint.ts"
import { mayRepeat, type RefreshPolicy } from "../journal/RefreshPolicy.ts"
import { begin, next, type Outcome, type Step } from "../journal/transitions.ts"
import type { ExchangeFailure } from "../TokenEndpoint.ts"
import { TokenError } from "../TokenError.ts"
import { consentAdvice } from "./consentedGrant.ts"
import { ConsentError } from "./ConsentError.ts"
import { storeGrant } from "./storeGrant.ts"

type Tokens = Omit<StoredTokens, "generation">

interface AdoptOptions {
  readonly id: string
  readonly refreshToken: Redacted.Redacted<string>
  readonly policy: RefreshPolicy
  /** Longest time for the request. */
  readonly timeout: Duration.Duration
  /** Sends the refresh token, once. */
  readonly exchange: (mayBeSent: Effect.Effect<boolean>) => Effect.Effect<Tokens, ExchangeFailure>
}

/** A refresh that is under way with what is stored is waited for so long. */
const patience = Duration.seconds(20)
/** A write that failed is made again after about 0.2, 0.4 ... seconds. */
const writes = Schedule.exponential("200 millis").pipe(Schedule.jittered, Schedule.upTo({ duration: "30 seconds" }))
/** A request that failed for now is made again, as far as the provider allows that. */
const requests = Schedule.exponential("500 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 2 }))

/**
 * The journal of a refresh token that is put in, apart from that of the stored one: trying the one must not make what is known of the
 * other forgotten. No authorization has such a name.
 */
const journalOf = (id: string, spends: string) => `${id}/${spends}`

const transient = (id: string, problem: string, advice: string) =>
  new TokenError({
    authorization: id,
    endpoint: undefined,
    failureClass: "transient",
    problem,
    advice,
    retryAfter: undefined
  })

/**
 * Uses a refresh token that a person has for the first time, and stores what comes of it. It is used as any other one is (docs/decisions
 * 0008): the intent is durable before it is sent, so that neither this command, when it is run again after it was ended or its answer
 * was lost, nor another one sends it once more where the provider would revoke everything for that.
 */
export const adoptRefreshToken = Effect.fn("consent.adoptRefreshToken")(function* (
  options: AdoptOptions
): Effect.fn.Return<Tokens, ConsentError | TokenError | VaultError, TokenStore | Leases | Scope.Scope> {
  const { exchange, id, policy, refreshToken } = options
  const store = yield* TokenStore
  const leases = yield* Leases
  const reach = Duration.toMillis(options.timeout)
  const spends = fingerprint(Redacted.value(refreshToken))
  const lease = yield* leases
    .acquire(`tokens/${id}`, { ttl: 2 * reach, wait: patience })
    .pipe(Effect.mapError(({ message }) => transient(id, message, "Nothing was sent. Run the command again.")))

  const once = Effect.gen(function* () {
    const { tokens: stored } = yield* store.read(id)
    // The same as the stored one has a journal already.
    const isStored = stored?.refreshToken !== undefined && fingerprint(Redacted.value(stored.refreshToken)) === spends
    const journal = isStored ? id : journalOf(id, spends)
    const expected = isStored ? stored.generation : 0
    const found = (yield* store.read(journal)).entry
    const now = yield* Clock.currentTimeMillis
    const note = (over: JournalEntry | undefined, entry: JournalEntry | undefined) =>
      store.note(journal, expected, over?.attempt, entry).pipe(
        Effect.as<Outcome<Tokens>>({ is: "written" }),
        Effect.catchTags({
          Conflict: () => Effect.succeed<Outcome<Tokens>>({ is: "conflict" }),
          Superseded: () => Effect.succeed<Outcome<Tokens>>({ is: "superseded", by: undefined, isAbandoned: false })
        }),
        Effect.retry({ schedule: writes, while: ({ failureClass }) => failureClass === "transient" })
      )
    let unavailable: VaultError | undefined
    let refusal: ExchangeFailure | undefined
    let brought: Tokens | undefined

    const perform = (
      step: Exclude<Step<Tokens>, { readonly do: "end" }>
    ): Effect.Effect<Outcome<Tokens>, VaultError> => {
      switch (step.do) {
        case "intend":
          return Effect.catchIf(
            note(step.before, step.entry),
            ({ failureClass }) => failureClass === "transient",
            (error) =>
              Effect.sync(() => {
                unavailable = error
                return { is: "store-down" } satisfies Outcome<Tokens>
              })
          )
        case "note":
          return note(step.entry, step.next)
        case "send": {
          const mayBeSent = Effect.gen(function* () {
            if ((yield* lease.left) < reach) return false
            return (
              step.entry.tries === 1 || mayRepeat(policy, step.entry.firstAt, yield* Clock.currentTimeMillis, reach)
            )
          })
          return Effect.match(exchange(mayBeSent), {
            onSuccess: (tokens): Outcome<Tokens> => ({ is: "granted", tokens }),
            onFailure: (failed): Outcome<Tokens> => {
              refusal = failed
              if (failed.isUncertain) return { is: "lost" }
              return { is: failed.error.failureClass === "needs-consent" ? "refused" : "not-carried-out" }
            }
          })
        }
        case "save":
          return Effect.gen(function* () {
            brought = yield* Effect.retry(Effect.provideService(storeGrant(id, step.tokens), TokenStore, store), {
              schedule: writes,
              while: ({ failureClass }) => failureClass === "transient"
            }).pipe(
              Effect.mapError(
                (error) =>
                  new VaultError({
                    ...error,
                    problem: `${error.problem} The server had answered: what it sent is lost, and the refresh token may be used up.`
                  })
              )
            )
            // Where it is another journal than that of what was stored now.
            if (!isStored) yield* Effect.ignore(note(step.entry, undefined))
            return { is: "written" } satisfies Outcome<Tokens>
          })
      }
    }

    let step: Step<Tokens> = begin({ policy, found, spends, attempt: randomUUID(), epoch: lease.epoch, now, reach })
    while (step.do !== "end") {
      step = next(step, yield* perform(step), { policy, reach, now: yield* Clock.currentTimeMillis })
    }
    const { end } = step
    if (end.is === "given-up") {
      return yield* new ConsentError({
        authorization: id,
        reason: "refused",
        problem:
          "this refresh token was sent before, and the answer was lost, or the command was ended before it was stored. The provider replaces refresh tokens and revokes everything when one is used twice, so it was not sent again.",
        advice: `Get a new refresh token. ${consentAdvice(id)}`
      })
    }
    if (brought !== undefined) return brought
    if (unavailable !== undefined) return yield* unavailable
    if (refusal === undefined) {
      return yield* transient(id, "another process is using the same refresh token.", "Run the command again.")
    }
    if (refusal.code !== "invalid_grant") return yield* refusal.error
    return yield* new ConsentError({
      authorization: id,
      reason: "refused",
      problem: `the server refuses the refresh token: ${refusal.error.problem}`,
      advice: `It was not stored; what was stored before is as it was. ${consentAdvice(id)}`
    })
  })

  // Once it was sent, what comes of it has to be stored.
  return yield* Effect.retry(Effect.uninterruptible(once), {
    schedule: requests,
    while: (error) => error._tag === "TokenError" && error.failureClass === "transient"
  })
})
