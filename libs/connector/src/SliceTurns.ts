import { Effect, Fiber, Option, type Scope } from "effect"
import type { CursorState, Position } from "./Checkpoint.ts"
import type { intervalsAhead } from "./IntervalsAhead.ts"
import { JobTurn } from "./JobRun.ts"
import type { jobWalk } from "./JobWalk.ts"
import type { AskForPage } from "./PageRequests.ts"
import { Progress } from "./Progress.ts"
import {
  type Asked,
  type AskForTurn,
  noPage,
  type SlicePage,
  type SlicePosition,
  type State,
  type Turn
} from "./SliceTurn.ts"
import type { Cursor, Interval, Partition } from "./slots/index.ts"
import { BadSetting, type SourceReason } from "./SourceError.ts"

/** Pages that a step of a walk gives, and where it stands then. */
export type Stepped = readonly [ReadonlyArray<SlicePage>, Option.Option<State>]

interface Options {
  /** Name of the stream. */
  readonly name: string
  readonly cursor: Cursor
  readonly ask: AskForPage
  /** Asks for a page of a turn; of one with a job, from the result that is read. */
  readonly fetchOf: AskForTurn
  readonly byJob: Effect.Success<ReturnType<typeof jobWalk>> | undefined
  readonly intervals: ReturnType<typeof intervalsAhead<Asked>> | undefined
  /** How often a slice may begin again from its start. */
  readonly retries: number
  readonly maxPages: number
  readonly prefetch: boolean
  /** When the walk began, milliseconds since 1970. */
  readonly startedAt: number
  /** What requests that run ahead belong to. */
  readonly scope: Scope.Scope
}

/** How slices go on from one interval to the next, and begin again where the API breaks a question off. */
export const sliceTurns = ({
  ask,
  byJob,
  cursor,
  fetchOf,
  intervals,
  maxPages,
  name,
  prefetch,
  retries,
  scope,
  startedAt
}: Options) => {
  /** How often slices began again from their start. */
  let restarts = 0

  const turnOf = (
    partition: Partition | undefined,
    state: CursorState,
    interval: Interval,
    from: SlicePosition | undefined,
    upTo: number,
    ahead?: Turn["ahead"]
  ): Turn => ({
    slice: { partition, interval, state },
    ahead,
    upTo,
    follower: cursor.follow(state, interval, from, startedAt),
    progress: new Progress(maxPages, from),
    state,
    job: byJob === undefined ? undefined : new JobTurn(from?.job)
  })

  /** The request for a page: on its way at once, or when it is needed. */
  const ahead = (turn: Turn, position: Position | undefined): Effect.Effect<State["asked"]> =>
    turn.ahead !== undefined
      ? Effect.succeed(turn.ahead.page(position))
      : // What a job's state is must not change while a page before is committed.
        prefetch && byJob === undefined
        ? Effect.map(Effect.forkIn(ask(turn.slice, position), scope, { startImmediately: true }), Fiber.join)
        : Effect.succeed(fetchOf(turn, position))

  const after = (turn: Turn, position: Position | undefined): SlicePosition => {
    const { since, until } = turn.slice.interval
    const before = turn.progress.before(position)
    return {
      ...(position === undefined ? {} : { position }),
      ...(before === undefined ? {} : { before }),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
      ...(turn.job?.state === undefined ? {} : { job: turn.job.state }),
      ...turn.follower.progress()
    }
  }

  /** Goes on from one interval to another. */
  const going = Effect.fnUntraced(function* (
    before: Turn,
    state: CursorState,
    next: Interval,
    found: SlicePage["found"]
  ): Effect.fn.Return<Stepped> {
    // What was asked for beyond its end is not needed.
    if (before.ahead !== undefined) yield* before.ahead.stop
    const begun = intervals === undefined ? undefined : yield* intervals.take(next)
    const coming = turnOf(before.slice.partition, state, next, undefined, before.upTo, begun)
    const asked = byJob === undefined ? yield* ahead(coming, undefined) : byJob.jobStep(coming, undefined, undefined)
    if (intervals !== undefined) yield* intervals.lookPast(next)
    return [
      [{ found, state: coming.state, next: after(coming, undefined) }],
      Option.some({ turn: coming, position: undefined, asked })
    ]
  })

  /** Goes on to the next interval, or ends. */
  const turned = Effect.fnUntraced(function* (
    turn: Turn,
    found: SlicePage["found"],
    again: boolean
  ): Effect.fn.Return<Stepped, SourceReason> {
    const progress = turn.follower.progress()
    if (byJob !== undefined) yield* byJob.leave
    const state = turn.follower.finish()
    const { interval } = turn.slice
    const next = again ? cursor.restart?.(progress, interval) : yield* cursor.interval(state, turn.upTo, interval)
    // The same question may be asked again because its positions do not live long, but not for ever.
    const isStuck = again && (next === undefined || (next === interval && ++restarts > retries))
    if (next !== undefined && !isStuck) return yield* going(turn, state, next, found)
    if (!again) return [[{ found, state, next: undefined }], Option.none()]
    const problem =
      next === undefined
        ? "the API shows no more of this question, and the rest cannot be asked for: it needs `incremental`, and records whose values differ. Ask for less at a time."
        : `the API broke off this question ${restarts} times, each time from its beginning. Ask for less at a time, or raise http.retries.`
    return yield* new BadSetting({ setting: `streams.${name}.pagination`, problem })
  })

  /** Reads a slice anew, without what its cursor knows. */
  const reset = Effect.fnUntraced(function* (
    turn: Turn,
    reason: SourceReason
  ): Effect.fn.Return<Stepped, SourceReason> {
    const { interval } = turn.slice
    const { state } = turn
    const known = state.cursor ?? state.state ?? interval.since
    const next = known === undefined ? undefined : yield* cursor.interval({}, turn.upTo, undefined)
    // Nothing was known, or the first question is refused itself.
    if (next === undefined || ++restarts > retries) return yield* reason
    const why =
      reason._tag === "Refused"
        ? `${reason.url} answered ${reason.status}: the API no longer knows where the last read of ${name} ended.`
        : reason.message
    yield* Effect.logWarning(`${why} ${name} is read anew, so records that were read before come again.`)
    return yield* going(turn, {}, next, noPage)
  })

  return { turnOf, ahead, after, turned, reset }
}
