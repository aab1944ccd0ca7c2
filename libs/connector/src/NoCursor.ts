import { Effect } from "effect"
import type { Cursor } from "./slots/index.ts"

/** The cursor of a stream that reads everything each time. */
export const noCursor: Cursor = {
  field: undefined,
  parameters: [],
  interval: (_state, _startedAt, previous) => Effect.succeed(previous === undefined ? {} : undefined),
  restart: (_state, previous) => previous,
  apply: () => {},
  follow: () => ({
    observe: () => ({ left: undefined, skipped: 0, unmarked: 0, isOver: false }),
    progress: () => ({}),
    finish: () => ({})
  })
}
