import type { Effect } from "effect"
import type { SourceReason } from "../SourceError.ts"
import type { RequestDraft } from "./Request.ts"
import type { Slice } from "./Slice.ts"

/** Slot: what every request of a stream begins from. In YAML: `http`, `path`, `method`, `query`, `headers` and `body`. */
export interface Requester {
  /** A new draft for a slice. Called once per page; the caller owns what it returns. */
  readonly draft: (slice: Slice) => Effect.Effect<RequestDraft, SourceReason>
  /** Query parameters whose values are secrets: they are kept out of positions, and set anew in each request. */
  readonly secretParameters: ReadonlyMap<string, string>
  /** Secrets of the path: they are kept out of positions too, and put back into the addresses that the API gave. */
  readonly pathSecrets?: ReadonlyArray<string>
  /** Values that must never be shown. */
  readonly secrets: ReadonlyArray<string>
}
