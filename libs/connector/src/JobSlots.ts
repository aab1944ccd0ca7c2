import type { LeaseError, Leases, LeaseTaken } from "@tributary/vault"
import { Clock, Effect, Exit, Random, Scope } from "effect"
import { NoJobSlot } from "./JobError.ts"

/** How long a place outlives the process that held it: time for another to go on with its job, which still runs. */
const life = "1 minute"
/** How long the turn of a process outlives it. */
const turnLife = "5 seconds"
/** Pauses of those who wait: of the one whose turn it is, and of the others. */
const pause = { turn: 200, least: 500, most: 1000 }

/**
 * Places for jobs, as many as `job.at_once` says, shared by all processes: each is a lease that is held for a job, not for the process
 * that follows it. So whoever goes on with the job after a crash, a stop or a failure has its place at once. They spare the API, and promise
 * nothing: after an outage of Redis, or where nobody goes on with a job within a minute, a few jobs more may run.
 *
 * Only the one who has the turn, another lease, looks for a free place. So who gives a place back and wants another at once stands behind
 * one who waits; else it would always be there first, and streams with many jobs would keep others from having any.
 */
export class JobSlots {
  readonly #leases: Leases["Service"]
  readonly #scope: Scope.Scope
  #held: { readonly scope: Scope.Closeable; isOver: boolean } | undefined

  constructor(leases: Leases["Service"], scope: Scope.Scope) {
    this.#leases = leases
    this.#scope = scope
  }

  /** Waits for a place for the job of this key, for `longest` milliseconds; at once with one that is held. */
  readonly take = Effect.fn("connector.jobSlot")(
    { self: this },
    function* (
      { jobs, key }: { readonly jobs: number; readonly key: string },
      job: string,
      longest: number
    ): Effect.fn.Return<void, NoJobSlot, Scope.Scope> {
      if (this.#held !== undefined) return
      const until = (yield* Clock.currentTimeMillis) + longest
      const holding = { scope: yield* Scope.fork(this.#scope), isOver: false }
      let problem = `${jobs} run already (job.at_once).`
      const isTaken = <A, R>(lease: Effect.Effect<A, LeaseError | LeaseTaken, R>) =>
        lease.pipe(
          Effect.as(true),
          Effect.catch((error) => {
            if (error._tag === "LeaseError") problem = error.message
            return Effect.succeed(false)
          })
        )
      const acquire = (place: number, onlyOver: boolean) =>
        this.#leases
          .acquire(`jobs/${key}/${place}`, {
            ttl: life,
            purpose: { name: job, isUnfinished: () => !holding.isOver, onlyOver }
          })
          .pipe(Scope.provide(holding.scope), isTaken)
      const isTurn = Effect.suspend(() => isTaken(this.#leases.acquire(`jobs/${key}/turn`, { ttl: turnLife })))
      let hasTurn = false
      for (;;) {
        // The place that the job has already; else any, beginning anywhere: those who wait do not all ask for the same.
        const first = yield* Random.nextIntBetween(0, jobs)
        for (const onlyOver of [true, false]) {
          if (!onlyOver && !(hasTurn ||= yield* isTurn)) continue
          for (let index = 0; index < jobs; index++) {
            if (!(yield* acquire((first + index) % jobs, onlyOver))) continue
            this.#held = holding
            return
          }
        }
        const left = until - (yield* Clock.currentTimeMillis)
        if (left <= 0) {
          yield* Scope.close(holding.scope, Exit.void)
          return yield* new NoJobSlot({ key, problem })
        }
        const wait = hasTurn ? pause.turn : yield* Random.nextIntBetween(pause.least, pause.most)
        yield* Effect.sleep(Math.min(left, wait))
      }
    },
    // Gives the turn back.
    Effect.scoped
  )

  /** Gives the place back, for its job is over. */
  readonly free: Effect.Effect<void> = Effect.suspend(() => {
    const held = this.#held
    this.#held = undefined
    if (held === undefined) return Effect.void
    held.isOver = true
    return Scope.close(held.scope, Exit.void)
  })
}
