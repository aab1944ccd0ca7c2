import { Effect } from "effect"
import type { CursorState } from "./Checkpoint.ts"
import type { Cursor, Partition } from "./slots/index.ts"
import type { SourceReason } from "./SourceError.ts"

/** The state that a slice of a stream begins with: what is known of it, or else where its cursor says that it begins. */
export const beginning = (
  cursor: Cursor | undefined,
  known: CursorState,
  partition: Partition | undefined
): Effect.Effect<CursorState, SourceReason> =>
  cursor?.initial === undefined || known.cursor !== undefined || known.seen !== undefined || known.state !== undefined
    ? Effect.succeed(known)
    : cursor.initial(partition)
