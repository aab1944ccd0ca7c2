import { Effect } from "effect"
import type { Position } from "./Checkpoint.ts"
import type { JobRun, JobStep } from "./JobRun.ts"
import type { AskForPage } from "./PageRequests.ts"
import type { ReadSoFar } from "./PartSource.ts"
import { Progress } from "./Progress.ts"
import type { Asked, JobMoved, State, Turn } from "./SliceTurn.ts"
import type { Paginator } from "./slots/index.ts"
import type { SourceReason } from "./SourceError.ts"

interface Options {
  readonly jobs: JobRun
  readonly ask: AskForPage
  readonly fetch: AskForPage
  readonly paginator: Paginator
  /** Most pages of one result. */
  readonly maxPages: number
  /** Whether a job is stopped when the walk is left before its end. */
  readonly stopsJobs: boolean
}

/** Takes turns whose pages a job makes through their steps. */
export const jobWalk = Effect.fnUntraced(function* ({ ask, fetch, jobs, maxPages, paginator, stopsJobs }: Options) {
  /** The turn whose job is under way. */
  let following: Turn | undefined
  if (stopsJobs) {
    yield* Effect.addFinalizer(() =>
      following?.job === undefined
        ? Effect.void
        : Effect.timeoutOption(jobs.stop(following.slice, following.job), "5 seconds")
    )
  }

  /** A page of a turn, from the result that is read. */
  const fetchOf = (
    turn: Turn,
    position: Position | undefined,
    before?: ReadSoFar,
    isSecond = false
  ): Effect.Effect<Asked, SourceReason> => {
    const { job, slice } = turn
    if (job === undefined) return ask(slice, position, before)
    return Effect.suspend(() => fetch(jobs.sliceOf(slice, job), position, before)).pipe(
      Effect.catch((reason) => {
        const isFirst = job.state?.result === 0 && position === undefined
        return Effect.flatMap(jobs.refused(slice, job, reason, isSecond), (step) =>
          stepped(turn, step, position, before, isFirst, true)
        )
      })
    )
  }

  /** Takes the job of a turn one step further. */
  const jobStep = (
    turn: Turn,
    position: Position | undefined,
    read: ReadSoFar | undefined
  ): Effect.Effect<Asked, SourceReason> =>
    Effect.suspend(() => {
      const { job, slice } = turn
      if (job === undefined) return fetchOf(turn, position, read)
      following = turn
      const isFirst = (job.state?.result ?? 0) === 0 && position === undefined
      return Effect.flatMap(jobs.advance(slice, job), (step) => stepped(turn, step, position, read, isFirst, false))
    })

  /** What follows on a step of a job. `isFirst`: if something was read, it was of the first page of the first result. */
  const stepped = (
    turn: Turn,
    step: JobStep,
    position: Position | undefined,
    read: ReadSoFar | undefined,
    isFirst: boolean,
    isSecond: boolean
  ): Effect.Effect<Asked, SourceReason> => {
    const moved = (next: State | undefined, kept: ReadSoFar | undefined) =>
      Effect.succeed<JobMoved>({ next, read: kept })
    if (typeof step !== "string")
      return moved({ turn, position: undefined, asked: Effect.fail(step.failed) }, undefined)
    switch (step) {
      case "changed":
        return moved({ turn, position, asked: jobStep(turn, position, read) }, read)
      case "again": {
        // Another job may make the same result: then what was read of it is passed over.
        const kept = isFirst ? read : undefined
        const anew = { ...turn, progress: new Progress(maxPages) }
        return moved({ turn: anew, position: undefined, asked: jobStep(anew, undefined, kept) }, kept)
      }
      case "ready": {
        if (turn.job?.results?.length === 0) return moved(afterResults(turn), undefined)
        const fits = position === undefined || paginator.fits(position)
        return fits ? fetchOf(turn, position, read, isSecond) : fetchOf(turn, undefined, undefined, isSecond)
      }
      case "removed":
        return moved(undefined, undefined)
    }
  }

  /** Where a turn goes on when all its results are read; `undefined`: nowhere. */
  const afterResults = (turn: Turn): State | undefined => {
    const { job } = turn
    if (job?.state === undefined || !jobs.isRemoved) return undefined
    job.state = { ...job.state, over: true }
    return { turn, position: undefined, asked: jobStep(turn, undefined, undefined) }
  }

  /** The same when one result is read. */
  const afterResult = (turn: Turn): State | undefined => {
    const { job } = turn
    const next = (job?.state?.result ?? 0) + 1
    if (job?.state === undefined || next >= (job.results?.length ?? 0)) return afterResults(turn)
    job.state = { ...job.state, result: next }
    const anew = { ...turn, progress: new Progress(maxPages) }
    return { turn: anew, position: undefined, asked: fetchOf(anew, undefined) }
  }

  /** The turn is over, and so is its job. */
  const leave = Effect.suspend(() => {
    following = undefined
    return jobs.free
  })

  return { afterResult, afterResults, fetchOf, jobStep, leave }
})
