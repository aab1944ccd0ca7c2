import { Clock, DateTime, Effect, Fiber } from "effect"

/** Told of each change: what requests within a budget wait for, or, with `undefined`, nothing any more. */
export type WaitListener = (budget: string, problem: string | undefined) => Effect.Effect<void>

/** A wait that a person would take for a hang, milliseconds. */
export const longWait = 30_000
/** What stays is logged again so often, milliseconds; a new wait of a third of that at once. */
const sayAgain = 15 * 60_000

/** A moment as it is told, in UTC and whole seconds. */
export const timeOf = (millis: number): string =>
  DateTime.formatIso(DateTime.makeUnsafe(Math.ceil(millis / 1000) * 1000)).replace(".000Z", "Z")

/** What an API asked for: nothing is sent before `until`, milliseconds since 1970. */
interface Asked {
  readonly until: number
  /** A sentence: who asked, and how. */
  readonly said: string
}

interface Known {
  /** Requests that wait. */
  waiting: number
  /** What was told, `undefined` while nobody waits. */
  message: string | undefined
  until: number
  loggedAt: number
  loggedUntil: number
}

/** One request, which may wait. */
export interface Waiter {
  /** It waits from now on, and what for: at least `until`, milliseconds since 1970, if that is known. */
  readonly waits: (budget: string, message: string, until: number | undefined) => Effect.Effect<void>
  /** It waits no more. */
  readonly done: Effect.Effect<void>
}

/**
 * Long waits of the requests of a connector: each is logged when it begins and again while it lasts, and told to `listener` until
 * the last request that waits for the same budget does so no more.
 */
export const makeWaits = (listener: WaitListener | undefined) => {
  const budgets = new Map<string, Known>()
  const asked = new Map<string, Asked>()
  const tell = (budget: string, problem: string | undefined) => listener?.(budget, problem) ?? Effect.void

  const knownOf = (budget: string): Known => {
    let known = budgets.get(budget)
    if (known === undefined) {
      known = { waiting: 0, message: undefined, until: 0, loggedAt: Number.NEGATIVE_INFINITY, loggedUntil: 0 }
      budgets.set(budget, known)
    }
    return known
  }

  const say = Effect.fnUntraced(function* (budget: string, known: Known, message: string, until = 0) {
    const now = yield* Clock.currentTimeMillis
    // Of those who wait for the same, whoever knows of the longest wait speaks.
    if (known.message === undefined || until > known.until) {
      known.message = message
      known.until = until
      yield* tell(budget, message)
    }
    const isNew = until - now >= sayAgain / 3 && until > known.loggedUntil + longWait
    if (!isNew && now - known.loggedAt < sayAgain) return
    known.loggedAt = now
    known.loggedUntil = until
    yield* Effect.logWarning(known.message)
  })

  const waiter = (): Waiter => {
    let mine: string | undefined
    const done = Effect.suspend(() => {
      if (mine === undefined) return Effect.void
      const budget = mine
      mine = undefined
      const known = knownOf(budget)
      if (--known.waiting > 0) return Effect.void
      known.message = undefined
      return tell(budget, undefined)
    })
    return {
      waits: Effect.fnUntraced(function* (budget, message, until) {
        if (mine !== undefined && mine !== budget) yield* done
        const known = knownOf(budget)
        if (mine === undefined) known.waiting++
        mine = budget
        yield* say(budget, known, message, until)
      }),
      done
    }
  }

  /** Takes note of what the API asked for; nobody need wait for it. */
  const note = (budget: string, until: number, said: string): void => {
    if (until > (asked.get(budget)?.until ?? 0)) asked.set(budget, { until, said })
  }

  /** Looks again and again at how long a request waits for its turn in a budget. */
  const watch = Effect.fnUntraced(function* (budget: string, { waits }: Waiter) {
    const began = yield* Clock.currentTimeMillis
    for (;;) {
      const now = yield* Clock.currentTimeMillis
      const known = asked.get(budget)
      if (known !== undefined && known.until - now >= (now === began ? longWait : 1)) {
        yield* waits(
          budget,
          `${known.said} Nothing is asked until ${timeOf(known.until)}; until then the stream stands still.`,
          known.until
        )
      } else if (now - began >= longWait) {
        const why = `Requests within the budget of ${budget} have waited for their turn since ${timeOf(began)}: by http.rate_limit, or because the API asked another connector or process to wait.`
        yield* waits(budget, why, undefined)
      }
      yield* Effect.sleep(longWait)
    }
  })

  /** Waits for a turn in a budget by `take`; a long wait is said. */
  const taking = Effect.fnUntraced(function* (budget: string, take: Effect.Effect<void>) {
    const one = waiter()
    const watching = yield* Effect.forkChild(watch(budget, one))
    yield* Effect.ensuring(take, Effect.andThen(Fiber.interrupt(watching), one.done))
  })

  return { note, taking, waiter }
}

export type Waits = ReturnType<typeof makeWaits>
