import type { Effect } from "effect"
import type { Expressions } from "../component/Expressions.ts"
import type { RunError } from "../component/RunError.ts"
import type { PlainDict } from "../expression/Value.ts"
import type { Budget } from "./Budget.ts"
import type { Message } from "./Message.ts"
import type { ManifestHttp } from "./ManifestHttp.ts"
import type { ResponseCache } from "./ResponseCache.ts"

/** What the streams of one run share. */
export interface Run {
  readonly expressions: Expressions
  readonly http: ManifestHttp["Service"]
  readonly cache: ResponseCache
  readonly budget: Budget | undefined
  readonly emit: (message: Message) => Effect.Effect<void, RunError>
  /** Folder that the manifest stands in, for schema files. */
  readonly folder: string
  /** Streams of the configured catalog: the cursor field that was chosen, and the properties that are wanted. */
  readonly configured: ReadonlyMap<string, ConfiguredStream>
}

export interface ConfiguredStream {
  readonly cursorField: string | undefined
  readonly schema: PlainDict
}
