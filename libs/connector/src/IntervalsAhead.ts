import { type Cause, Effect, Exit, Fiber, Queue, type Scope } from "effect"
import type { Position } from "./Checkpoint.ts"
import type { Interval } from "./slots/index.ts"
import type { SourceReason } from "./SourceError.ts"

/** Pages of an interval that are there before the ones before it are read. */
const pagesAhead = 2

const isSame = (a: Position | undefined, b: Position | undefined): boolean => JSON.stringify(a) === JSON.stringify(b)

/** An interval whose pages are asked for before its turn. */
export interface IntervalAhead<A> {
  readonly interval: Interval
  /** The page at a position. It is asked for now if it was not asked for ahead. */
  readonly page: (position: Position | undefined) => Effect.Effect<A, SourceReason>
  readonly stop: Effect.Effect<void>
}

interface Options<A> {
  /** Most intervals at a time, the one that is read among them. */
  readonly count: number
  readonly scope: Scope.Scope
  readonly fetch: (interval: Interval, position: Position | undefined) => Effect.Effect<A, SourceReason>
  /** Where an interval goes on after a page; `undefined`: that is for the reader to say. */
  readonly positionAfter: (page: A) => Position | undefined
  /** The interval after another. */
  readonly following: (interval: Interval) => Effect.Effect<Interval | undefined, SourceReason>
}

/**
 * Asks for the pages of the next intervals while one is read, each up to two pages further. The records are read in order all the
 * same, by whoever takes the pages, so a checkpoint knows nothing of this: what was asked for and not read is asked for again.
 */
export const intervalsAhead = <A>({ count, fetch, following, positionAfter, scope }: Options<A>) => {
  let upcoming: Array<IntervalAhead<A>> = []

  const begin = Effect.fnUntraced(function* (interval: Interval) {
    const queue = yield* Queue.bounded<readonly [Position | undefined, Exit.Exit<A, SourceReason>], Cause.Done>(
      pagesAhead
    )
    const pages = Effect.gen(function* () {
      let position: Position | undefined
      do {
        const page: Exit.Exit<A, SourceReason> = yield* Effect.exit(fetch(interval, position))
        yield* Queue.offer(queue, [position, page])
        position = Exit.isSuccess(page) ? positionAfter(page.value) : undefined
      } while (position !== undefined)
    })
    const fiber = yield* Effect.forkIn(Effect.ensuring(pages, Queue.end(queue)), scope, { startImmediately: true })
    const stop = Effect.asVoid(Fiber.interrupt(fiber))
    const ahead: IntervalAhead<A> = {
      interval,
      page: (position) =>
        Queue.take(queue).pipe(
          Effect.catch(() => Effect.undefined),
          Effect.flatMap((found) =>
            found !== undefined && isSame(found[0], position)
              ? found[1]
              : Effect.andThen(stop, fetch(interval, position))
          )
        ),
      stop
    }
    return ahead
  })

  const stopAll = Effect.suspend(() => {
    const all = upcoming
    upcoming = []
    return Effect.forEach(all, ({ stop }) => stop, { discard: true })
  })

  /** Asks for what follows an interval, as far as it is not asked for. */
  const lookPast = Effect.fnUntraced(function* (interval: Interval) {
    let last = upcoming.at(-1)?.interval ?? interval
    while (upcoming.length < count - 1) {
      // What is wrong with an interval is said when its turn comes.
      const next = yield* Effect.orElseSucceed(following(last), () => undefined)
      if (next === undefined) return
      upcoming.push(yield* begin(next))
      last = next
    }
  })

  /** The pages of an interval whose turn has come, if they are on their way. */
  const take = Effect.fnUntraced(function* ({ since, until }: Interval) {
    const [first] = upcoming
    if (first !== undefined && first.interval.since === since && first.interval.until === until) {
      upcoming.shift()
      return first
    }
    yield* stopAll
    return undefined
  })

  return { lookPast, take }
}
