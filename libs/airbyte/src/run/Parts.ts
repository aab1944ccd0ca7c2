import type { Effect } from "effect"
import type { Extras, InjectInto } from "../component/RequestOption.ts"
import type { Credentials } from "../component/Requests.ts"
import type { Response } from "../component/Response.ts"
import type { RunError } from "../component/RunError.ts"
import type { SourceRecord } from "../component/Selector.ts"
import type { Slice } from "../component/Slice.ts"
import type { PlainDict } from "../expression/Value.ts"

/** Adds credentials to requests. */
export interface Authenticator {
  readonly credentials: Effect.Effect<Credentials, RunError>
  /** Gets a new token in place of the one in this header; undefined where there is none to get. */
  readonly refresh: ((sent: string | undefined) => Effect.Effect<void, RunError>) | undefined
}

/** An answer, or that the API does not go on from here and the walk has to begin again. */
export type Sent = Response | "reset"

/** Sends requests of an `HttpRequester` until there is an answer that counts. */
export interface Requester {
  readonly send: (
    slice: Slice | undefined,
    token: PlainDict | undefined,
    extras?: Extras,
    path?: string
  ) => Effect.Effect<Sent, RunError>
}

/** What is done with each of several things; the next is made when it is done. */
export type Visit<A> = (item: A) => Effect.Effect<void, RunError>

/** Divides a stream into partitions. */
export interface Router {
  readonly slices: (visit: Visit<Slice>) => Effect.Effect<void, RunError>
  readonly options: (into: InjectInto, slice: Slice) => PlainDict
  /** State of the parents that the stream depends on; undefined where there are none to keep. */
  readonly state: () => PlainDict | undefined
  /** Whether partitions come in groups, for which one cursor stands. */
  readonly isGrouping?: boolean
}

/** Reads the records of a slice, a page at a time. */
export interface Retriever {
  readonly read: (slice: Slice, visit: Visit<ReadonlyArray<SourceRecord>>) => Effect.Effect<void, RunError>
}

/** Follows what is read and says what is left to read. */
export interface StreamCursor {
  readonly slices: (visit: Visit<Slice>) => Effect.Effect<void, RunError>
  readonly observe: (record: SourceRecord) => void
  /** A slice was read to its end. True: there is a new state worth telling. */
  readonly close: (slice: Slice) => boolean
  /** The stream was read to its end. */
  readonly finish: () => void
  readonly state: () => PlainDict
}

/** A stream of a manifest, for one run. */
export interface ManifestStream {
  readonly name: string
  readonly primaryKey: ReadonlyArray<string>
  readonly cursorField: string | undefined
  readonly isCursorChosen: boolean
  readonly schema: Effect.Effect<PlainDict, RunError>
  readonly cursor: StreamCursor
  readonly slices: (visit: Visit<Slice>) => Effect.Effect<void, RunError>
  readonly retriever: Retriever
}
