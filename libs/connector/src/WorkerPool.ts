import { Cause, Effect, Fiber, Pull, Semaphore, Stream } from "effect"

/** What a worker made and nobody has taken yet. */
interface Offer<B> {
  readonly value: B
  /** Lets the worker go on. */
  readonly taken: () => void
}

/** Hands values of many workers to one reader; each worker waits until its value is taken, or until the reader is back for the next. */
class Counter<B> {
  readonly #isPatient: boolean
  readonly #offers: Array<Offer<B>> = []
  /** The offer that the reader has, while its worker waits. */
  #held: Offer<B> | undefined
  #reader: (() => void) | undefined
  #end: Effect.Effect<never, Cause.Done> | undefined

  constructor(isPatient: boolean) {
    this.#isPatient = isPatient
  }

  readonly offer = (value: B): Effect.Effect<void> =>
    Effect.callback((resume) => {
      const offer = { value, taken: () => resume(Effect.void) }
      this.#offers.push(offer)
      this.#wake()
      return Effect.sync(() => {
        const at = this.#offers.indexOf(offer)
        if (at >= 0) this.#offers.splice(at, 1)
      })
    })

  /** Nothing comes any more. */
  readonly close = Effect.sync(() => {
    this.#end = Cause.done()
    this.#wake()
  })

  readonly take: Effect.Effect<B, Cause.Done> = Effect.suspend((): Effect.Effect<B, Cause.Done> => {
    this.#held?.taken()
    this.#held = undefined
    const first = this.#offers.shift()
    if (first === undefined) return this.#end ?? Effect.andThen(this.#comes, this.take)
    if (this.#isPatient) this.#held = first
    else first.taken()
    return Effect.succeed(first.value)
  })

  readonly #comes: Effect.Effect<void> = Effect.callback((resume) => {
    this.#reader = () => resume(Effect.void)
  })

  #wake(): void {
    const reader = this.#reader
    this.#reader = undefined
    reader?.()
  }
}

/**
 * What the work on all tasks gives, up to `size` of them at a time, begun in the tasks' order; each waits until what it gave is taken. A
 * single worker also waits until that was used. Once a worker is interrupted, no more tasks are asked for. Fails as `tasks` does, after
 * what was begun.
 *
 * In place of `Stream.flatMap`, whose fibers, scopes and queues are made for each task: that is most of what a task of one small page
 * costs. What is made anew for each also goes through maps that live long, and V8 keeps much of what went through a map in its old
 * generation until the next full collection: values of weak maps, as streams have them, and half of what has left a map, since each of
 * its old tables refers to the one that took its place.
 */
export const pooled = <A, B, E, R>(
  tasks: Stream.Stream<A, E, R>,
  size: number,
  work: (task: A, give: (value: B) => Effect.Effect<void>) => Effect.Effect<void>
): Stream.Stream<B, E, R> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const pull = yield* Stream.toPull(tasks)
      const counter = new Counter<B>(size === 1)
      const turn = Semaphore.makeUnsafe(1)
      let ready: ReadonlyArray<A> = []
      let used = 0
      /** There are no more tasks. */
      let isOver = false
      let failure: Cause.Cause<E | Cause.Done> | undefined
      const fill = Effect.suspend(() =>
        used < ready.length || isOver
          ? Effect.void
          : Effect.matchCause(pull, {
              onSuccess: (found) => {
                ready = found
                used = 0
              },
              onFailure: (cause) => {
                isOver = true
                failure = cause
              }
            }).pipe(
              // What was to name the next tasks is broken off with the worker that asked for them.
              Effect.onInterrupt(() =>
                Effect.sync(() => {
                  isOver = true
                })
              )
            )
      )
      const worker = Effect.gen(function* () {
        for (;;) {
          if (used === ready.length) yield* turn.withPermit(fill)
          if (used < ready.length) yield* work(ready[used++]!, counter.offer)
          else if (isOver) return
        }
      })
      const workers = yield* Effect.forEach(Array.from({ length: size }), () => Effect.forkIn(worker, scope))
      yield* Effect.forkIn(Effect.andThen(Fiber.awaitAll(workers), counter.close), scope)
      const given = Stream.fromPull(Effect.succeed(Effect.map(counter.take, (value) => [value] as const)))
      return Stream.concat(
        given,
        Stream.suspend(() => (failure === undefined || !isFailure(failure) ? Stream.empty : Stream.failCause(failure)))
      )
    })
  )

const isFailure = <E>(cause: Cause.Cause<E | Cause.Done>): cause is Cause.Cause<E> => !Pull.isDoneCause(cause)
