import { Context, Deferred, Effect, Schema } from "effect"

/** Only a new process can help; whatever watches over this one should start it again. */
export class ProcessFailed extends Schema.TaggedError<ProcessFailed>()("ProcessFailed", { problem: Schema.String }) {
  readonly failureClass = "defect" as const
  override get message(): string {
    return `This process cannot go on and ends, to be started again: ${this.problem}`
  }
}

/** Ends the process with exit code 1, as if its program had failed. */
export const Fatal = Context.Reference<(problem: string) => Effect.Effect<void>>("@tributary/cli/Fatal", {
  defaultValue: () => (problem) => Effect.logError(problem)
})

/**
 * Runs a program that ends when something in it is fatal to the process. `onFatal` runs first: what is broken may hold up the
 * program's end for ever.
 */
export const untilFatal = Effect.fnUntraced(function* <A, E, R>(
  program: Effect.Effect<A, E, R>,
  onFatal: (failed: ProcessFailed) => Effect.Effect<void>
) {
  const died = yield* Deferred.make<never, ProcessFailed>()
  return yield* Effect.raceFirst(program, Deferred.await(died)).pipe(
    Effect.provideService(Fatal, (problem) => {
      const failed = new ProcessFailed({ problem })
      return Effect.andThen(
        onFatal(failed),
        Effect.suspend(() => Deferred.fail(died, failed))
      ).pipe(Effect.asVoid)
    })
  )
})
