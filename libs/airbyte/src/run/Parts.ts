import type { Effect } from "effect"
import type { Extras, InjectInto } from "../component/RequestOption.ts"
import type { Credentials, PreparedRequest } from "../component/Requests.ts"
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
  /** Adds what depends on the request itself, just before it is sent. */
  readonly sign?: (request: PreparedRequest) => Effect.Effect<PreparedRequest, RunError>
  /** Takes note of what an answer says. */
  readonly answered?: (request: PreparedRequest, response: Response) => Effect.Effect<void, RunError>
  /** Whether another token may make a request that was refused for its rate. */
  readonly hasOther?: (request: PreparedRequest) => boolean
}

/** Says that there is no answer to this request, and with what other request to go on. */
export interface Refusal {
  /** From the beginning, for fewer records at a time, or for a shorter interval. */
  readonly refused: "RESET_PAGINATION" | "REDUCE_PAGE_SIZE" | "SPLIT_REQUEST_WINDOW"
  /** What the manifest says of it. */
  readonly message: string | undefined
}

/** An answer, or why there is none and what to do. */
export type Sent = Response | Refusal

export const isRefusal = (sent: Sent): sent is Refusal => "refused" in sent

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

/** A page of a slice. */
export interface RetrievedPage {
  readonly records: ReadonlyArray<SourceRecord>
  /** Where the slice goes on, as data; undefined: it is read to its end. */
  readonly next: PlainDict | undefined
  /** Bodies of the answers that the records are from, to tell pages apart. */
  readonly answers?: ReadonlyArray<Buffer>
  /** What ended the slice in the midst of the page, after these records. */
  readonly failure?: RunError
}

/** Reads the records of a slice, a page at a time. */
export interface Retriever {
  /** The page at a position; the first without one. Keeps nothing between pages. */
  readonly page: (slice: Slice, position: PlainDict | undefined) => Effect.Effect<RetrievedPage, RunError>
  /** All pages of a slice. */
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
  /** Whether its records come with files. */
  readonly hasFiles: boolean
  readonly schema: Effect.Effect<PlainDict, RunError>
  readonly cursor: StreamCursor
  readonly slices: (visit: Visit<Slice>) => Effect.Effect<void, RunError>
  readonly retriever: Retriever
}
