import { Effect } from "effect"
import { type RunError, toRunError } from "../component/RunError.ts"

/** Runs a component's pure code; what it throws is the failure. */
export const pure = <A>(body: () => A): Effect.Effect<A, RunError> => Effect.try({ try: body, catch: toRunError })

/** The same where code inside an effect has thrown: what is no error of a manifest stays a defect. */
export const thrown = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | RunError, R> =>
  Effect.catchDefect(effect, (cause) =>
    Effect.flatMap(
      pure(() => toRunError(cause)),
      (error) => Effect.fail(error)
    )
  )
