import type { Log, NewRecord } from "@tributary/log"
import { Deferred, Effect, Fiber, type Scope } from "effect"

/** Most records, and bytes, that are written at once. */
const most = { records: 1000, bytes: 4_194_304 }
/** A log that does not answer in this time is taken for one that is down: senders do not wait longer. */
const patience = "8 seconds"

/** What became of a record. `unknown`: it may be in the log or not. `refused`: the log does not take such a record. */
export type Fate = "kept" | "unknown" | "refused"

interface Waiting {
  readonly record: NewRecord
  readonly done: (fate: Fate) => void
}

/**
 * Writes records that come one by one in groups: what comes while the log writes is written together next. Each is told when it is
 * durable, or that this is not known. A record that the log does not take holds up no other.
 */
export class GroupCommit {
  #waiting: Array<Waiting> = []
  #isWriting = false
  #wake = Deferred.makeUnsafe<void>()
  #idle = Deferred.makeUnsafe<void>()

  /** Writes for as long as the scope is open. */
  static readonly make = (log: Log["Service"]): Effect.Effect<GroupCommit, never, Scope.Scope> =>
    Effect.gen(function* () {
      const group = new GroupCommit()
      yield* Effect.forkScoped(group.#run(log, yield* Effect.scope))
      return group
    })

  /** Callable from anywhere; `done` is called once. */
  add(record: NewRecord, done: Waiting["done"]): void {
    this.#waiting.push({ record, done })
    Deferred.doneUnsafe(this.#wake, Effect.void)
  }

  /** Waits until nothing waits. */
  readonly drained: Effect.Effect<void> = Effect.suspend(() =>
    this.#waiting.length === 0 && !this.#isWriting
      ? Effect.void
      : Effect.andThen(
          Effect.suspend(() => Deferred.await(this.#idle)),
          this.drained
        )
  )

  #take(): ReadonlyArray<Waiting> {
    let bytes = 0
    let count = 0
    for (const { record } of this.#waiting) {
      bytes += record.value?.length ?? 0
      if (count > 0 && (bytes > most.bytes || count >= most.records)) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  #run(log: Log["Service"], scope: Scope.Scope): Effect.Effect<never> {
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        if (this.#waiting.length === 0) {
          this.#wake = Deferred.makeUnsafe<void>()
          Deferred.doneUnsafe(this.#idle, Effect.void)
          this.#idle = Deferred.makeUnsafe<void>()
          yield* Deferred.await(this.#wake)
          // This is the turn in which the first one came; all others that are there already come before the next.
          yield* Effect.yieldNow
        }
        const group = this.#take()
        this.#isWriting = true
        const fate = yield* this.#write(log, scope, group)
        if (fate !== "refused" || group.length === 1) for (const { done } of group) done(fate)
        else for (const one of group) one.done(yield* this.#write(log, scope, [one]))
        this.#isWriting = false
      }
    })
  }

  #write(log: Log["Service"], scope: Scope.Scope, group: ReadonlyArray<Waiting>): Effect.Effect<Fate> {
    return log.publish(group.map(({ record }) => record)).pipe(
      Effect.forkIn(scope, { startImmediately: true }),
      Effect.flatMap((fiber) =>
        Fiber.join(fiber).pipe(
          Effect.timeout(patience),
          // A commit that was asked for is not interrupted, only no longer waited for.
          Effect.onError(() => Effect.sync(() => fiber.interruptUnsafe()))
        )
      ),
      Effect.as<Fate>("kept"),
      Effect.catch((error) => {
        const isRefused = error._tag === "LogError" && error.reason._tag === "InvalidRequest"
        const fate: Fate = isRefused ? "refused" : "unknown"
        return isRefused && group.length > 1
          ? Effect.succeed(fate)
          : Effect.as(Effect.logWarning(`Deliveries were not taken: ${error.message}`), fate)
      })
    )
  }
}
