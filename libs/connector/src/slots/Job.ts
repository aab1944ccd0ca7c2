import type { Effect } from "effect"
import type { SourceReason } from "../SourceError.ts"
import type { Answer } from "../Transport.ts"
import type { RequestDraft } from "./Request.ts"
import type { Slice } from "./Slice.ts"

/** What an answer says of a job. */
export type JobStatus =
  /** `wait`: milliseconds until it is worth asking again, if the answer says. */
  | { readonly state: "running"; readonly wait?: number | undefined }
  /** The results in the order in which they are read; the same each time that the job is asked for. None: no records. */
  | { readonly state: "done"; readonly results: ReadonlyArray<string> }
  /** It is made again, a few times. */
  | { readonly state: "failed"; readonly message: string }
  /** Its result is no longer kept, or was never there: it is made again, a few times. */
  | { readonly state: "expired"; readonly message: string }

/**
 * Slot: what is read has to be made first, by a job that the API works on. In YAML: `job`. For each slice the engine sends `create`,
 * asks with `poll` until the job is done, and reads its results one after the other through requester, paginator and extractor, in
 * which `Slice.job` then is what names the job. It keeps what names the job in the checkpoint, so a restart goes on with the job that
 * runs; addresses of results are not kept, as they may be secret and end soon: it asks for the job again. The cursor's and the router's
 * values go into the request of `create`, the paginator's into that of a result.
 */
export interface Job {
  /** The request that makes the job. `slice.job.job_key` is the same whenever the same job is asked for again. */
  readonly create: (slice: Slice) => Effect.Effect<RequestDraft, SourceReason>
  /** What names the job in later requests: `job`, its id, and whatever else they need. No secrets: it is kept in the checkpoint. */
  readonly created: (answer: Answer) => Readonly<Record<string, string>> | SourceReason
  readonly poll: (slice: Slice) => Effect.Effect<RequestDraft, SourceReason>
  readonly status: (answer: Answer) => JobStatus | SourceReason
  /** The request for the address of a result (`slice.job.result`), sent before each download. */
  readonly link?:
    | {
        readonly draft: (slice: Slice) => Effect.Effect<RequestDraft, SourceReason>
        readonly address: (answer: Answer) => string | SourceReason
      }
    | undefined
  /**
   * Whether results are addresses, which are asked for as they are: with the connector's credentials at the requester's own origin, without
   * any at others. Else the requester makes its request of `slice.job.result`.
   */
  readonly areAddresses: boolean
  /** Sent when all of the job is read. A job that is not known any more counts as removed. */
  readonly remove?: ((slice: Slice) => Effect.Effect<RequestDraft, SourceReason>) | undefined
  /** Sent when a job is given up. Left out: `remove`. */
  readonly cancel?: ((slice: Slice) => Effect.Effect<RequestDraft, SourceReason>) | undefined
  /** First and longest wait between two questions, and the longest life of a job until it is done; milliseconds. */
  readonly every: number
  readonly atMost: number
  readonly timeout: number
  /** How often a job is made again. */
  readonly retries: number
  /** Most jobs at once of all that share the key, in all processes. Left out: any number. */
  readonly limit?: { readonly jobs: number; readonly key: string } | undefined
}
