import type { Leases } from "@tributary/vault"
import { Clock, Effect, Exit, Random, Scope } from "effect"
import { NoJobSlot } from "./JobError.ts"

/** How long a place outlives the process that held it: time for another to go on with its job, which still runs. */
const life = "1 minute"
const retry = 1000

/**
 * Places for jobs, as many as `job.at_once` says, shared by all processes: each is a lease that is held for a job, not for the process
 * that follows it. So whoever goes on with the job after a crash, a stop or a failure has its place at once. They spare the API, and promise
 * nothing: after an outage of Redis, or where nobody goes on with a job within a minute, a few jobs more may run.
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
    ): Effect.fn.Return<void, NoJobSlot> {
      if (this.#held !== undefined) return
      const until = (yield* Clock.currentTimeMillis) + longest
      const holding = { scope: yield* Scope.fork(this.#scope), isOver: false }
      let problem = `${jobs} run already (job.at_once).`
      const acquire = (place: number, onlyOver: boolean) =>
        this.#leases
          .acquire(`jobs/${key}/${place}`, {
            ttl: life,
            purpose: { name: job, isUnfinished: () => !holding.isOver, onlyOver }
          })
          .pipe(
            Scope.provide(holding.scope),
            Effect.as(true),
            Effect.catch((error) => {
              if (error._tag === "LeaseError") problem = error.message
              return Effect.succeed(false)
            })
          )
      for (;;) {
        // The place that the job has already; else any, beginning anywhere: those who wait do not all ask for the same.
        const first = yield* Random.nextIntBetween(0, jobs)
        for (const onlyOver of [true, false]) {
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
        yield* Effect.sleep(Math.min(left, retry))
      }
    }
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
