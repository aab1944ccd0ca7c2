import type { Effect, Scope } from "effect"
import type { SourceReason } from "../SourceError.ts"
import type { Authenticator } from "./Authenticator.ts"
import type { Cursor } from "./Cursor.ts"
import type { ErrorHandler } from "./ErrorHandler.ts"
import type { Extractor } from "./Extractor.ts"
import type { Job } from "./Job.ts"
import type { Paginator } from "./Paginator.ts"
import type { Requester } from "./Requester.ts"
import type { Retriever } from "./Retriever.ts"
import type { Router } from "./Router.ts"
import type { Transformation } from "./Transformation.ts"

/** The slots that every stream may have. Those that may be left out have a built-in that does nothing. */
interface SharedSlots {
  /** Left out: the connector's `auth`. */
  readonly authenticator?: Authenticator | undefined
  /** Left out: the stream is one part. */
  readonly router?: Router | undefined
  /** Left out: each walk reads everything. */
  readonly cursor?: Cursor | undefined
}

/** A stream of which each page is one request. */
export interface RequestSlots extends SharedSlots {
  readonly retriever?: undefined
  readonly requester: Requester
  readonly extractor: Extractor
  /** Left out: the API answers with records at once. */
  readonly job?: Job | undefined
  /** Left out: one page is all. */
  readonly paginator?: Paginator | undefined
  /** Left out: records stay as the API sent them. */
  readonly transformation?: Transformation | undefined
  /** Left out: answers mean what HTTP says. */
  readonly errorHandler?: ErrorHandler | undefined
}

/** A stream that makes its pages by rules of its own. */
export interface RetrieverSlots extends SharedSlots {
  readonly job?: undefined
  readonly retriever: Retriever
}

/** A stream in code: one value per slot. */
export type StreamSlots = RequestSlots | RetrieverSlots

/**
 * A kind of record that a connector reads, wherever its definition came from: Tributary's YAML, an Airbyte manifest or a
 * TypeScript module.
 */
export interface StreamDefinition {
  /**
   * The slots for one walk. Called at the start of each walk, so that what it reads (secrets, the time) is today's; it makes no
   * request of the stream itself.
   */
  readonly open: Effect.Effect<StreamSlots, SourceReason, Scope.Scope>
}

/** A connector in code: its streams by name. A plain value: making one registers nothing and starts nothing. */
export interface ConnectorDefinition {
  readonly streams: Readonly<Record<string, StreamDefinition>>
}
