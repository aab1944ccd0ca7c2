import type { FailureClass } from "@tributary/domain"
import type { Effect } from "effect"
import type { SourceReason } from "../SourceError.ts"
import type { Answer } from "../Transport.ts"

/** What to do with an answer. */
export type Decision =
  /** Take it for a success, whatever its status. */
  | { readonly action: "success" }
  /** Take it for a page without records, and the last of its slice. */
  | { readonly action: "ignore" }
  /** End the walk with this message. */
  | { readonly action: "fail"; readonly message: string; readonly failureClass: FailureClass }
  /** Send the request again, after `wait` milliseconds or, without it, after the usual back-off. Counts against the retries. */
  | { readonly action: "retry"; readonly message: string; readonly wait?: number | undefined }
  /** The same, but it holds back all requests of the rate limit's key, and does not count. */
  | { readonly action: "throttle"; readonly message: string; readonly wait?: number | undefined }
  /** Get a new token and send the request again, once. */
  | { readonly action: "refresh-token"; readonly message: string }
  /** The API does not go on from this position: ask for the rest of the slice anew (see `Cursor.restart`). */
  | { readonly action: "restart"; readonly message: string }
  /** The API does not know what the cursor knows: forget it, and ask for everything. */
  | { readonly action: "reset"; readonly message: string }

/** Slot: what answers mean. In YAML: `errors`. What it does not decide (`undefined`) is handled as HTTP says. */
export interface ErrorHandler {
  /** Whether successes are shown to it too, as for APIs that report errors with status 200. */
  readonly seesSuccesses: boolean
  /** `failures` counts how often in a row this request has failed, from 0. `now` is in milliseconds since 1970. */
  readonly decide: (
    answer: Answer,
    failures: number,
    now: number
  ) => Decision | undefined | Effect.Effect<Decision | undefined, SourceReason>
}
