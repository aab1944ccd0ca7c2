import { Effect } from "effect"
import type { RunError } from "../component/RunError.ts"

/**
 * Holds each thing back until the next comes or there is none, so that whoever is given it knows whether it is the last.
 * `push` takes the next one, `end` gives out the one that is held.
 */
export const lookahead = <A>(visit: (item: A, isLast: boolean) => Effect.Effect<void, RunError>) => {
  let held: { readonly item: A } | undefined
  return {
    push: (item: A): Effect.Effect<void, RunError> => {
      const previous = held
      held = { item }
      return previous === undefined ? Effect.void : visit(previous.item, false)
    },
    /** False when there was none at all. */
    end: (): Effect.Effect<boolean, RunError> => {
      const last = held
      held = undefined
      return last === undefined ? Effect.succeed(false) : Effect.as(visit(last.item, true), true)
    }
  }
}
