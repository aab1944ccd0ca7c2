import { randomUUID } from "node:crypto"
import type { Leases } from "@tributary/vault"
import { Clock, Effect, type Scope } from "effect"
import { offlineAuthenticator } from "./Authorizer.ts"
import type { JobState } from "./Checkpoint.ts"
import { foundIn } from "./Found.ts"
import { BadJobAnswer, JobExpired, JobFailed, JobTimedOut, ResultRefused, UnknownJobStatus } from "./JobError.ts"
import { JobSlots } from "./JobSlots.ts"
import { header, waitAsked } from "./RetryAfter.ts"
import { longestWait } from "./RetrySchedule.ts"
import type { Job, RequestDraft, Requester, Slice } from "./slots/index.ts"
import type { SourceReason } from "./SourceError.ts"
import type { Answer, SendSettings, Transport } from "./Transport.ts"
import { trying } from "./Trying.ts"

/** The job of one interval of a slice. */
export class JobTurn {
  /** As it is to be kept; `undefined`: there is none yet. */
  state: JobState | undefined
  /** What the API named as results when it was asked last; `undefined`: it is not known whether the job is done. */
  results: ReadonlyArray<string> | undefined
  /** The job was made just now, so there is no use in asking for it at once. */
  isNew = false

  constructor(state: JobState | undefined) {
    this.state = state
  }
}

/**
 * What came of a step. `changed`: the state is to be kept before the next. `again`: the same, and the slice is read from its beginning.
 * `ready`: results can be read. `removed`: all is done. `failed`: the state is to be kept, then the walk fails.
 */
export type JobStep = "changed" | "again" | "ready" | "removed" | { readonly failed: SourceReason }

/** A reason that a slot gave without knowing which job it is about. */
const withJob = (reason: SourceReason, job: string): SourceReason => {
  if (reason._tag === "UnknownJobStatus" && reason.job === "") return new UnknownJobStatus({ ...reason, job })
  return reason._tag === "BadJobAnswer" && reason.job === "" ? new BadJobAnswer({ ...reason, job }) : reason
}

const isGone = (reason: SourceReason): boolean =>
  reason._tag === "Refused" && (reason.status === 404 || reason.status === 410)

/** What storage answers to a link that has ended. */
const isLinkRefused = (reason: SourceReason): boolean =>
  reason._tag === "Forbidden" ||
  reason._tag === "Unauthorized" ||
  isGone(reason) ||
  (reason._tag === "Refused" && reason.status === 400)

export interface JobRunOptions {
  readonly job: Job
  readonly requester: Requester
  /** Puts the cursor's and the router's values into the request that makes a job. */
  readonly apply: (draft: RequestDraft, slice: Slice) => void
  readonly transport: Transport
  readonly settings: SendSettings
  readonly retries: number
  readonly leases: Leases["Service"]
  readonly scope: Scope.Scope
}

/** Makes the jobs of a walk, one at a time, and follows them. */
export const makeJobRun = ({
  apply,
  job,
  leases,
  requester,
  retries,
  scope,
  settings: given,
  transport
}: JobRunOptions) => {
  // The stream's charset is that of the results.
  const settings: SendSettings = { ...given, accept: "application/json", streams: false, charset: undefined }
  const slots = new JobSlots(leases, scope)
  const idOf = ({ state }: JobTurn): string => state?.names?.["job"] ?? ""

  /** The slice with what names its job. */
  const sliceOf = (slice: Slice, { results, state }: JobTurn): Slice => {
    const result = results?.[state?.result ?? 0]
    return {
      ...slice,
      job: {
        ...state?.names,
        job_key: state?.key ?? "",
        ...(result === undefined ? {} : { result })
      }
    }
  }

  const ask = (draft: Effect.Effect<RequestDraft, SourceReason>): Effect.Effect<Answer, SourceReason> =>
    trying((failures) => Effect.flatMap(draft, (made) => transport.send(made, settings, failures)), {
      retries,
      ...transport.waiting
    })

  /** Tells the API that the job is not needed; what fails is said and passed over. */
  const dispose = Effect.fnUntraced(function* (slice: Slice, turn: JobTurn, request: Job["remove"]) {
    if (request === undefined || turn.state?.names === undefined) return
    yield* ask(request(sliceOf(slice, turn))).pipe(
      Effect.catchIf(isGone, () => Effect.void),
      Effect.catch((reason) => Effect.logWarning(`${reason.message} The job ${idOf(turn)} stays at the API.`))
    )
  })

  /** Begins with another job, or gives up. What is published of a result that cannot be had again may come twice. */
  const lost = Effect.fnUntraced(function* (turn: JobTurn, reason: SourceReason): Effect.fn.Return<JobStep> {
    const { state } = turn
    yield* slots.free
    turn.results = undefined
    const attempt = (state?.attempt ?? 0) + 1
    if (attempt > job.retries) {
      turn.state = undefined
      return { failed: reason }
    }
    turn.state = { key: randomUUID(), attempt, at: yield* Clock.currentTimeMillis }
    yield* Effect.logWarning(
      state?.result === undefined
        ? `${reason.message} It is made again.`
        : `${reason.message} It is made again, and read from its beginning: records that were published before may come twice.`
    )
    return "again"
  })

  const create = Effect.fn("connector.job")(function* (
    slice: Slice,
    turn: JobTurn,
    state: JobState
  ): Effect.fn.Return<JobStep, SourceReason> {
    if (state.attempt > 0) yield* Effect.sleep(Math.min(job.every * 2 ** (state.attempt - 1), job.atMost))
    if (job.limit !== undefined) yield* slots.take(job.limit, state.key, job.timeout)
    const answer = yield* ask(
      Effect.map(job.create(sliceOf(slice, turn)), (draft) => {
        apply(draft, slice)
        return draft
      })
    )
    if (answer.isIgnored) {
      turn.results = []
      return "ready"
    }
    const names = job.created(answer)
    if (names instanceof Error) return yield* names
    turn.state = { ...state, names: { ...names }, at: yield* Clock.currentTimeMillis }
    turn.isNew = true
    return "changed"
  })

  /** Asks until the job is done, or is not to be waited for any more. */
  const settle = Effect.fn("connector.jobPoll")(function* (
    slice: Slice,
    turn: JobTurn,
    state: JobState
  ): Effect.fn.Return<JobStep, SourceReason> {
    const attempts = state.attempt + 1
    const of = idOf(turn)
    let wait = job.every
    if (turn.isNew) yield* Effect.sleep(Math.min(wait, job.atMost))
    turn.isNew = false
    for (;;) {
      const answer = yield* ask(job.poll(sliceOf(slice, turn))).pipe(
        Effect.catchIf(isGone, (reason) => Effect.succeed(reason))
      )
      if (answer instanceof Error) {
        return yield* lost(turn, new JobExpired({ url: urlOf(answer), job: of, problem: answer.message, attempts }))
      }
      const { url } = answer
      const status = answer.isIgnored ? ({ state: "done", results: [] } as const) : job.status(answer)
      if (status instanceof Error) return yield* withJob(status, of)
      if (status.state === "done") {
        const { results } = status
        if (state.results !== undefined && state.results !== results.length) {
          const problem = `it has ${results.length} results, and had ${state.results} before.`
          return yield* lost(turn, new JobExpired({ url, job: of, problem, attempts }))
        }
        turn.results = results
        turn.state = { ...state, result: state.result ?? 0, results: results.length }
        return "ready"
      }
      if (status.state === "failed") {
        return yield* lost(turn, new JobFailed({ url, job: of, problem: status.message, attempts }))
      }
      if (status.state === "expired") {
        return yield* lost(turn, new JobExpired({ url, job: of, problem: status.message, attempts }))
      }
      const now = yield* Clock.currentTimeMillis
      const left = state.at + job.timeout - now
      if (left <= 0) {
        yield* dispose(slice, turn, job.cancel ?? job.remove)
        return yield* lost(turn, new JobTimedOut({ url, job: of, millis: job.timeout, attempts }))
      }
      const asked =
        status.wait ?? (header(answer.headers, "retry-after") === undefined ? 0 : waitAsked(answer.headers, now, false))
      yield* Effect.sleep(Math.min(Math.max(asked ?? 0, Math.min(wait, job.atMost)), left, longestWait))
      wait = Math.min(wait * 1.5, job.atMost)
    }
  })

  /** One step towards the results, or behind them. */
  const advance = Effect.fnUntraced(function* (slice: Slice, turn: JobTurn): Effect.fn.Return<JobStep, SourceReason> {
    const { state } = turn
    if (state === undefined) {
      turn.state = { key: randomUUID(), attempt: 0, at: yield* Clock.currentTimeMillis }
      return "changed"
    }
    if (state.over === true) {
      yield* dispose(slice, turn, job.remove)
      yield* slots.free
      return "removed"
    }
    if (state.names === undefined) return yield* create(slice, turn, state)
    if (job.limit !== undefined) yield* slots.take(job.limit, state.key, job.timeout)
    return yield* settle(slice, turn, state)
  })

  /** The request for the result that is read, and how it is sent. */
  const download = Effect.fnUntraced(function* (
    slice: Slice,
    failures: number
  ): Effect.fn.Return<{ readonly draft: RequestDraft; readonly settings: SendSettings }, SourceReason> {
    const draft = yield* requester.draft(slice)
    let address = job.areAddresses ? slice.job?.["result"] : undefined
    let from = draft.url.origin
    if (job.link !== undefined) {
      const answer = yield* Effect.flatMap(job.link.draft(slice), (made) => transport.send(made, settings, failures))
      const found = job.link.address(answer)
      if (typeof found !== "string") return yield* found
      address = found
      from = answer.url
    }
    if (address === undefined) return { draft, settings: { ...given, mayLeave: true } }
    if (!URL.canParse(address, draft.url.href) || !/^https?:$/u.test(new URL(address, draft.url.href).protocol)) {
      return yield* new BadJobAnswer({
        url: from,
        job: slice.job?.["job"] ?? "",
        setting: job.link === undefined ? "job.results" : "job.link.url",
        expected: "the address of a result, with https:// or http://",
        found: foundIn(Buffer.from(address.split("?", 1)[0] ?? ""), given.secrets)
      })
    }
    const url = new URL(address, draft.url.href)
    if (url.origin !== draft.url.origin) {
      // Neither the connector's credentials nor its headers are for others.
      const made: RequestDraft = { method: "GET", url, headers: {}, body: undefined }
      return { draft: made, settings: { ...given, authenticator: offlineAuthenticator, mayLeave: true } }
    }
    for (const [name, value] of requester.secretParameters) url.searchParams.set(name, value)
    draft.url = url
    return { draft, settings: { ...given, mayLeave: true } }
  })

  /**
   * What a refused download means: the link may have ended, so the API is asked for the job again. Fails if that was done before for
   * the same request.
   */
  const refused = Effect.fnUntraced(function* (
    slice: Slice,
    turn: JobTurn,
    reason: SourceReason,
    isSecond: boolean
  ): Effect.fn.Return<JobStep, SourceReason> {
    const { state } = turn
    if (!isLinkRefused(reason) || state === undefined) return yield* reason
    if (isSecond) return yield* new ResultRefused({ url: urlOf(reason), job: idOf(turn), problem: reason.message })
    yield* Effect.logInfo(`${reason.message} The API is asked for the job ${idOf(turn)} again.`)
    return yield* settle(slice, turn, state)
  })

  return {
    advance,
    download,
    refused,
    sliceOf,
    /** Gives back the place of a job. */
    free: slots.free,
    /** Stops a job whose result nobody will read. */
    stop: (slice: Slice, turn: JobTurn) => Effect.ensuring(dispose(slice, turn, job.cancel ?? job.remove), slots.free),
    isRemoved: job.remove !== undefined
  }
}

/** The jobs of a walk. */
export type JobRun = ReturnType<typeof makeJobRun>

const urlOf = (reason: SourceReason): string => ("url" in reason ? reason.url : "")
