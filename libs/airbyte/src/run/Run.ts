import type { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import type { Expressions } from "../component/Expressions.ts"
import type { RunError } from "../component/RunError.ts"
import type { PlainDict } from "../expression/Value.ts"
import type { Budget } from "./Budget.ts"
import type { Files } from "./Files.ts"
import type { Message } from "./Message.ts"
import type { ManifestHttp } from "./ManifestHttp.ts"
import type { Authenticator } from "./Parts.ts"
import type { ResponseCache } from "./ResponseCache.ts"

/** What the streams of one run share. */
export interface Run {
  readonly expressions: Expressions
  readonly http: ManifestHttp["Service"]
  readonly cache: ResponseCache
  readonly budget: Budget | undefined
  readonly emit: (message: Message) => Effect.Effect<void, RunError>
  /** Takes the files of records; undefined where there is no place for them. */
  readonly files?: Files | undefined
  /** Folder that the manifest stands in, for schema files. */
  readonly folder: string
  /** Streams of the configured catalog: the cursor field that was chosen, and the properties that are wanted. */
  readonly configured: ReadonlyMap<string, ConfiguredStream>
  /**
   * What stands for authenticators of the manifest: for all of them, or for the `OAuthAuthenticator`s that it has one for. `undefined`:
   * the manifest's are used.
   */
  readonly authorization?:
    | { readonly replaces: "all"; readonly authenticator: (component: Component) => Authenticator }
    | {
        readonly replaces: "oauth"
        readonly authenticator: (component: Component) => Effect.Effect<Authenticator | undefined, RunError>
      }
    | undefined
}

export interface ConfiguredStream {
  readonly cursorField: string | undefined
  readonly schema: PlainDict
}
