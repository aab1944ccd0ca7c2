import { Clock, Duration, Effect, Redacted, type Scope, Semaphore } from "effect"
import { makeFlights } from "./flights.ts"
import type { PlaceError } from "./PlaceError.ts"
import type { SecretStore } from "./SecretStore.ts"

/** What came of asking again. `unknown`: a store did not answer, so what is known may be older than what it holds. */
export type Renewal = "changed" | "unchanged" | "unknown"

/** What is known of a secret. Times are milliseconds since 1970. */
interface Entry {
  value: Redacted.Redacted<string> | undefined
  readAt: number
  /** How often the store has told it. */
  answers: number
  /** Until then it is used without being asked for. */
  goodUntil: number
}

/** A store that does not answer is left alone for so long while the old secret is used. */
const spared = 30_000
/** A secret that was read so recently is not read again because it was refused: the store would say the same. */
const freshFor = 5000

/**
 * Keeps secrets for `life`, so that a store is asked seldom; one question at a time for each. While the store is away the last
 * known secret is used; what the store denies or no longer has is not.
 */
export const makeCachedStore = (
  open: Effect.Effect<SecretStore, PlaceError>,
  life: Effect.Effect<Duration.Duration, PlaceError>,
  scope: Scope.Scope
) => {
  const entries = new Map<string, Entry>()
  const share = makeFlights<Redacted.Redacted<string>, PlaceError>(scope)
  const opening = Semaphore.makeUnsafe(1)
  let store: SecretStore | undefined
  const opened = Effect.suspend(() =>
    store === undefined ? Effect.tap(open, (opened) => Effect.sync(() => (store = opened))) : Effect.succeed(store)
  ).pipe(opening.withPermit)

  const look = Effect.fnUntraced(function* (name: string, entry: Entry) {
    const keptFor = Duration.toMillis(yield* life)
    const { read } = yield* opened
    const result = yield* Effect.result(read(name))
    const now = yield* Clock.currentTimeMillis
    if (result._tag === "Success") {
      entry.value = result.success
      entry.readAt = now
      entry.answers++
      entry.goodUntil = now + keptFor
      return result.success
    }
    const { failure } = result
    if (failure.failureClass === "misconfigured" || entry.value === undefined) {
      entries.delete(name)
      return yield* failure
    }
    entry.goodUntil = now + spared
    yield* Effect.logWarning(`${failure.message} What was read before is used meanwhile.`)
    return entry.value
  })

  return {
    read: (name: string): Effect.Effect<Redacted.Redacted<string>, PlaceError> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const entry = entries.get(name) ?? { value: undefined, readAt: 0, answers: 0, goodUntil: 0 }
        entries.set(name, entry)
        return entry.value !== undefined && now < entry.goodUntil
          ? Effect.succeed(entry.value)
          : share(name, look(name, entry))
      }),
    /** Asks again for a secret that is known, unless that was done just now (`isForced`: even then). */
    renew: (name: string, isForced: boolean): Effect.Effect<Renewal> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const entry = entries.get(name)
        const before = entry?.value
        if (entry === undefined || before === undefined) return Effect.succeed<Renewal>("unchanged")
        if (!isForced && now - entry.readAt < freshFor) return Effect.succeed<Renewal>("unchanged")
        const { answers } = entry
        return Effect.match(share(name, look(name, entry)), {
          // Whoever needs it next is told.
          onFailure: (): Renewal => "unknown",
          onSuccess: (value): Renewal =>
            entry.answers === answers
              ? "unknown"
              : Redacted.value(value) === Redacted.value(before)
                ? "unchanged"
                : "changed"
        })
      })
  }
}
