import { type Allowance, Allowances } from "./Allowances.ts"
import { Clock, Context, Deferred, Duration, Effect, Layer, Semaphore } from "effect"

/** Largest rate of requests: never more than `requests` in any period of length `per`. */
export interface Rate {
  readonly requests: number
  readonly per: Duration.Duration
}

/** A rate with the period in milliseconds. */
interface Measure {
  readonly requests: number
  readonly per: number
}

/** A rate of very many requests is held to a tenth of them in a tenth of the time, and so on, to bound the ring below. */
const measureOf = (rate: Rate): Measure => {
  let requests = rate.requests
  let per = Duration.toMillis(rate.per)
  while (requests > 100_000) {
    requests = Math.floor(requests / 10)
    per /= 10
  }
  return { requests, per }
}

/** Times of the requests of the last period, in a ring. */
class Recent {
  readonly #times: Float64Array
  #at = 0
  constructor(requests: number) {
    this.#times = new Float64Array(requests).fill(Number.NEGATIVE_INFINITY)
  }
  /** When the request before `requests` others was sent. */
  get oldest(): number {
    return this.#times[this.#at]!
  }
  add(time: number): void {
    this.#times[this.#at] = time
    this.#at = (this.#at + 1) % this.#times.length
  }
}

/** Milliseconds by a clock that is never put back: no budget stands still because this machine's clock was. */
const elapsed = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

interface Budget {
  /** One request at a time waits for its turn; the others stand in line behind it. */
  readonly line: Semaphore.Semaphore
  /** As `elapsed` counts. */
  pausedUntil: number
  /** By number of requests and length of the period. */
  readonly recent: Map<string, Recent>
  readonly allowances: Allowances
  /** Wakes who waits for what was left, as more of it may be. */
  learnt: Deferred.Deferred<void>
}

/**
 * Budgets of requests, one per key (by default the host of an API, or the address of a token endpoint). Everything that talks
 * to the same server under the same key shares it, whatever connector it belongs to.
 */
export class Budgets extends Context.Service<
  Budgets,
  {
    /**
     * Waits in line until the next request of the key may be sent, and counts it. Without a rate it only waits for a pause to
     * end. Interrupting the wait gives the place back. If connectors state different rates for a key, each is held to its own.
     */
    readonly take: (key: string, rate: Rate | undefined) => Effect.Effect<void>
    /** Holds back all requests of the key from now on for this long, because the API asked for it. Never shortens a pause. */
    readonly pause: (key: string, duration: Duration.Duration) => Effect.Effect<void>
    /** Takes note of what the API says is left; requests of the key wait when nothing is. */
    readonly learn: (key: string, allowances: ReadonlyArray<Allowance>) => Effect.Effect<void>
  }
>()("@tributary/vault/Budgets") {
  /** Budgets of this process. */
  static readonly layer = Layer.sync(Budgets, () => {
    const budgets = new Map<string, Budget>()
    const budgetOf = (key: string): Budget => {
      let budget = budgets.get(key)
      if (budget === undefined) {
        budget = {
          line: Semaphore.makeUnsafe(1),
          pausedUntil: Number.NEGATIVE_INFINITY,
          recent: new Map(),
          allowances: new Allowances(),
          learnt: Deferred.makeUnsafe()
        }
        budgets.set(key, budget)
      }
      return budget
    }
    const recentOf = (budget: Budget, { requests, per }: Measure): Recent => {
      const name = `${requests}/${per}`
      let recent = budget.recent.get(name)
      if (recent === undefined) {
        recent = new Recent(requests)
        budget.recent.set(name, recent)
      }
      return recent
    }

    const inTurn = Effect.fnUntraced(function* (budget: Budget, rate: Rate | undefined) {
      const measure = rate === undefined ? undefined : measureOf(rate)
      const recent = measure === undefined ? undefined : recentOf(budget, measure)
      const per = measure?.per ?? 0
      for (;;) {
        const now = yield* elapsed
        const free = recent === undefined ? Number.NEGATIVE_INFINITY : recent.oldest + per
        const wait = Math.max(free, budget.pausedUntil) - now
        if (wait <= 0) {
          const early = budget.allowances.take(now)
          if (early <= 0) {
            recent?.add(now)
            return
          }
          // More may be told to be left before the time is over.
          yield* Effect.timeoutOption(Deferred.await(budget.learnt), early)
          continue
        }
        // A pause may grow meanwhile, so the time is looked at again afterwards.
        yield* Effect.sleep(wait)
      }
    })

    return Budgets.of({
      take: (key, rate) =>
        Effect.suspend(() => {
          const budget = budgetOf(key)
          return budget.line.withPermit(inTurn(budget, rate))
        }),
      pause: (key, duration) =>
        Effect.map(elapsed, (now) => {
          const budget = budgetOf(key)
          budget.pausedUntil = Math.max(budget.pausedUntil, now + Duration.toMillis(duration))
        }),
      learn: (key, allowances) =>
        Effect.map(elapsed, (now) => {
          const budget = budgetOf(key)
          budget.allowances.learn(allowances, now)
          const { learnt } = budget
          budget.learnt = Deferred.makeUnsafe()
          Deferred.doneUnsafe(learnt, Effect.void)
        })
    })
  })
}
