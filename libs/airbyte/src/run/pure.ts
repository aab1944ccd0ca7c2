import { Effect } from "effect"
import { type RunError, toRunError } from "../component/RunError.ts"

/** Runs a component's pure code; what it throws is the failure. */
export const pure = <A>(body: () => A): Effect.Effect<A, RunError> => Effect.try({ try: body, catch: toRunError })
