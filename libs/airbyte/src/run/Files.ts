import type { Effect } from "effect"
import type { RunError } from "../component/RunError.ts"

/** Where the files of records go. */
export interface Files {
  /** Writes a file below the folder of files, in place of one that is there. */
  readonly write: (
    path: string,
    body: Uint8Array
  ) => Effect.Effect<{ readonly url: string; readonly size: number }, RunError>
}
