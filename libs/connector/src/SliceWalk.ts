import type { Leases } from "@tributary/vault"
import { Clock, Effect, Fiber, Option, Stream } from "effect"
import type { CursorState, Position } from "./Checkpoint.ts"
import type { Limits } from "./Exchange.ts"
import { intervalsAhead } from "./IntervalsAhead.ts"
import { JobTurn, makeJobRun } from "./JobRun.ts"
import { jobWalk } from "./JobWalk.ts"
import { noCursor } from "./NoCursor.ts"
import { pageRequests } from "./PageRequests.ts"
import type { PagingWatch } from "./PagingWatch.ts"
import { singlePage } from "./Paginators.ts"
import { Progress } from "./Progress.ts"
import { readPlan } from "./ReadPlan.ts"
import { RecordReader } from "./RecordReader.ts"
import { retrieverSlots } from "./RetrieverPages.ts"
import {
  type Asked,
  type AskForTurn,
  type Fetched,
  noPage,
  type SlicePage,
  type SlicePosition,
  type State,
  type Turn
} from "./SliceTurn.ts"
import { type Interval, type Next, PageView, type Partition, type StreamSlots } from "./slots/index.ts"
import { BadSetting, type SourceReason } from "./SourceError.ts"
import type { SendSettings, Transport } from "./Transport.ts"

/** What an API answers when it does not know a position (any more). */
const lostPosition = new Set([400, 404, 410, 422])

/** A stream with everything that a walk needs. */
export interface WalkPlan {
  readonly name: string
  readonly slots: StreamSlots
  /** Fields that identify a record. */
  readonly key: ReadonlyArray<string>
  readonly retries: number
  /** Most pages of one walk. */
  readonly maxPages: number
  /** Partitions, or intervals of a stream that is one part, that are asked for at a time. */
  readonly concurrency: number
  readonly limits: Limits
  /** Places of jobs that have a limit. */
  readonly leases: Leases["Service"]
  /** Whether a job is stopped when the walk is left before its end, as nobody goes on with it. */
  readonly stopsJobs: boolean
  /** Sees whether what leads from page to page is in the answers, where somebody wants to know. */
  readonly watch?: PagingWatch | undefined
}

/** The beginning of a slice: its first page is on its way or there. */
export interface SliceStart {
  readonly begin: State | undefined
  readonly state: CursorState
}

/** Reads slices of one stream in one walk. */
export interface SliceReader {
  /**
   * Asks for the first page of a slice, or for the one where it goes on. Fails as the request does. `upTo`: in place of the time at
   * which the walk began.
   */
  readonly start: (
    partition: Partition | undefined,
    state: CursorState,
    from: SlicePosition | undefined,
    upTo?: number
  ) => Effect.Effect<SliceStart, SourceReason>
  /** The pages of a slice; at least one. */
  readonly pages: (start: SliceStart) => Stream.Stream<SlicePage, SourceReason>
  /** The same, each given to `use`; for slices by the thousand a stream for each is too much. */
  readonly each: (start: SliceStart, use: (page: SlicePage) => Effect.Effect<void>) => Effect.Effect<void, SourceReason>
}

/** The reader of a walk that began at `startedAt`. Requests that run ahead belong to the scope. */
export const sliceReader = Effect.fnUntraced(function* (
  { concurrency, key, leases, limits, maxPages, name, retries, slots, stopsJobs, watch }: WalkPlan,
  transport: Transport,
  startedAt: number,
  prefetch: boolean
) {
  const scope = yield* Effect.scope
  const { authenticator, router } = slots
  const requests = slots.retriever === undefined ? slots : retrieverSlots(slots.retriever)
  const { errorHandler, extractor, requester, transformation } = requests
  const paginator = requests.paginator ?? singlePage
  const cursor = slots.cursor ?? noCursor
  const values = [...paginator.values]
  // The address of the next page may be that of the next walk too, and a plan has each value once.
  const cursorValues = (cursor.values ?? []).map((wanted) => {
    const known = values.findIndex(({ text }) => text === wanted.text)
    return known < 0 ? values.push(wanted) - 1 : known
  })
  const plan = readPlan(key, cursor.field, values)
  const transform = transformation?.open(plan)
  const reader = new RecordReader(key, extractor.place)
  const usual: SendSettings = {
    secrets: requester.secrets,
    ownParameters: new Set([...paginator.parameters, ...cursor.parameters]),
    accept: extractor.accept,
    authenticator,
    errorHandler,
    streams: extractor.parts !== undefined,
    charset: extractor.charset
  }
  const jobs =
    requests.job === undefined
      ? undefined
      : makeJobRun({
          job: requests.job,
          requester,
          apply: (draft, slice) => {
            if (slice.partition !== undefined) router?.apply(draft, slice.partition)
            cursor.apply(draft, slice, requester)
          },
          transport,
          settings: usual,
          retries,
          leases,
          scope
        })
  const { ask, fetch, inParts } = yield* pageRequests({
    slots,
    requests,
    paginator,
    cursor,
    plan,
    transport,
    settings: usual,
    retries,
    limits,
    jobs,
    startedAt
  })
  const byJob = jobs === undefined ? undefined : yield* jobWalk({ jobs, ask, fetch, paginator, maxPages, stopsJobs })
  /** A page of a turn; of one with a job, from the result that is read. */
  const fetchOf: AskForTurn =
    byJob === undefined ? ({ slice }, position, before) => ask(slice, position, before) : byJob.fetchOf
  let pages = 0
  /** How often slices began again from their start. */
  let restarts = 0

  /** The next part of a body; if that fails, the rest of the body asked for again. */
  const nextPart = (turn: Turn, position: Position | undefined, { draft, page, rest }: Fetched): State["asked"] =>
    Effect.suspend((): State["asked"] => {
      if (rest === undefined) return fetchOf(turn, position)
      const before = rest.soFar
      return rest.next.pipe(
        Effect.map((found): Asked => ({
          draft,
          page: new PageView(rest.answer, page.slice, position, found, rest),
          rest: rest.isOver ? undefined : rest
        })),
        Effect.catchIf(
          (reason) => reason.failureClass === "transient",
          () => fetchOf(turn, position, before)
        )
      )
    })

  const namedBy = ({ draft, onward, page }: Fetched): Next =>
    onward ?? (page.answer.isIgnored ? "end" : paginator.next(page, draft, requester))
  /**
   * Partitions are read together, so their intervals are not; a body that comes in parts stays open until it is read; and the intervals of
   * a retriever's cursor depend on its state.
   */
  const intervals =
    prefetch &&
    slots.retriever === undefined &&
    concurrency > 1 &&
    router === undefined &&
    !inParts &&
    jobs === undefined
      ? intervalsAhead<Asked>({
          count: concurrency,
          scope,
          fetch: (interval, position) => ask({ partition: undefined, interval }, position),
          positionAfter: (asked) => {
            const next = "page" in asked ? namedBy(asked) : "end"
            return typeof next === "string" || "_tag" in next ? undefined : next
          },
          following: (interval) => cursor.interval({}, startedAt, interval)
        })
      : undefined

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
    job: jobs === undefined ? undefined : new JobTurn(from?.job)
  })

  /** The request for a page: on its way at once, or when it is needed. */
  const ahead = (turn: Turn, position: Position | undefined): Effect.Effect<State["asked"]> =>
    turn.ahead !== undefined
      ? Effect.succeed(turn.ahead.page(position))
      : // What a job's state is must not change while a page before is committed.
        prefetch && jobs === undefined
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
  ): Effect.fn.Return<readonly [ReadonlyArray<SlicePage>, Option.Option<State>]> {
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
  ): Effect.fn.Return<readonly [ReadonlyArray<SlicePage>, Option.Option<State>], SourceReason> {
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
  ): Effect.fn.Return<readonly [ReadonlyArray<SlicePage>, Option.Option<State>], SourceReason> {
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

  /** The records of a page that are new. */
  const partOf = Effect.fnUntraced(function* (turn: Turn, page: PageView) {
    const extracted = transform === undefined ? page.extracted : yield* transform(page)
    const now = yield* Clock.currentTimeMillis
    const observed = turn.follower.observe(extracted, plan.cursorColumn, now)
    const { ahead = 0, isOver, left, skipped, unasked = 0, unmarked } = observed
    return {
      isOver,
      found: {
        ...reader.read(extracted, left),
        skipped,
        unmarked,
        ahead,
        unasked,
        bytes: page.answer.stream === undefined ? page.answer.body.length : page.extracted.body.length
      }
    }
  })

  const step = Effect.fnUntraced(function* ({
    asked,
    position,
    turn
  }: State): Effect.fn.Return<readonly [ReadonlyArray<SlicePage>, Option.Option<State>], SourceReason> {
    const got = yield* asked
    if ("again" in got) {
      return got.again === "restart" ? yield* turned(turn, noPage, true) : yield* reset(turn, got.reason)
    }
    if ("next" in got) {
      if (got.next === undefined) return yield* turned(turn, noPage, false)
      const next = { ...after(got.next.turn, got.next.position), ...(got.read === undefined ? {} : { read: got.read }) }
      return [[{ found: noPage, state: turn.state, next }], Option.some(got.next)]
    }
    const { page, rest } = got
    // The page before it named it as the next, and it is that page itself: its records were read.
    const isOwn = rest !== undefined && turn.progress.isOwn(page)
    if (isOwn) rest.close()
    if (rest !== undefined && !isOwn) {
      const part = yield* partOf(turn, page)
      pages++
      return [
        [{ found: part.found, state: turn.state, next: { ...after(turn, position), read: rest.soFar } }],
        Option.some({ turn, position, asked: nextPart(turn, position, got) })
      ]
    }
    watch?.see(page, got.draft)
    const named = isOwn ? "end" : namedBy(got)
    if (typeof named !== "string" && "_tag" in named) return yield* named
    const stuck = isOwn ? "repeated" : typeof named === "string" ? undefined : turn.progress.check(named, page, pages)
    if (stuck !== undefined && typeof stuck !== "string") return yield* stuck
    if (stuck === "again") return [[], Option.some({ turn, position, asked: yield* ahead(turn, position) })]
    pages++
    const next = stuck === undefined ? named : "end"
    // Most feeds are over only when the paginator says so; then the next request need not wait for the records.
    const early = typeof next === "string" ? undefined : yield* ahead(turn, next)
    // The records of a page that only repeats itself were read with the page before.
    const { found, isOver } = stuck === "repeated" ? { found: noPage, isOver: false } : yield* partOf(turn, page)
    if (typeof next === "string" || early === undefined || isOver) {
      const more =
        next === "restart" && !isOver ? undefined : isOver ? byJob?.afterResults(turn) : byJob?.afterResult(turn)
      const isLast = more === undefined || more.turn.job?.state?.over === true
      const wrong =
        next === "restart" || page.answer.isIgnored || !isLast
          ? undefined
          : turn.follower.last?.(page, cursorValues, got.draft, requester)
      if (wrong !== undefined) return yield* wrong
      if (more !== undefined) {
        return [[{ found, state: turn.state, next: after(more.turn, undefined) }], Option.some(more)]
      }
      return yield* turned(turn, found, next === "restart" && !isOver)
    }
    return [
      [{ found, state: turn.state, next: after(turn, next) }],
      Option.some({ turn, position: next, asked: early })
    ]
  })

  const start: SliceReader["start"] = Effect.fnUntraced(function* (partition, state, from, upTo = startedAt) {
    const interval =
      from === undefined ? yield* cursor.interval(state, upTo, undefined) : { since: from.since, until: from.until }
    if (interval === undefined) return { begin: undefined, state }
    const turn = turnOf(partition, state, interval, from, upTo)
    if (intervals !== undefined) yield* intervals.lookPast(interval)
    const position = from?.position
    if (position !== undefined) watch?.ledOn()
    if (byJob !== undefined) {
      const asked = byJob.jobStep(turn, position, inParts ? from?.read : undefined)
      return { begin: { turn, position, asked }, state }
    }
    const read = inParts ? from?.read : undefined
    if (position === undefined || !(slots.retriever ?? paginator).fits(position)) {
      const asked = yield* ask(turn.slice, undefined, position === undefined ? read : undefined)
      return { begin: { turn, position: undefined, asked: Effect.succeed(asked) }, state }
    }
    // The position is tried once; if the API has forgotten it, the slice begins again.
    const resumed = yield* fetch(turn.slice, position, read).pipe(
      Effect.catchIf(
        // Addresses of downloads that have expired are answered with 403.
        (reason) =>
          slots.retriever === undefined
            ? reason._tag === "Refused" && lostPosition.has(reason.status)
            : reason._tag === "Decided" && (reason.status === 403 || lostPosition.has(reason.status)),
        () => Effect.undefined
      )
    )
    const asked = resumed ?? (yield* ask(turn.slice, undefined))
    return {
      begin: { turn, position: resumed === undefined ? undefined : position, asked: Effect.succeed(asked) },
      state
    }
  })

  const each: SliceReader["each"] = Effect.fnUntraced(function* ({ begin, state }, use) {
    if (begin === undefined) return yield* use({ found: noPage, state, next: undefined })
    for (let at: State | undefined = begin; at !== undefined;) {
      const [found, next]: Effect.Success<ReturnType<typeof step>> = yield* step(at)
      for (const page of found) yield* use(page)
      at = Option.getOrUndefined(next)
    }
  })

  const reading: SliceReader = {
    start,
    each,
    pages: ({ begin, state }) =>
      begin === undefined ? Stream.succeed({ found: noPage, state, next: undefined }) : Stream.paginate(begin, step)
  }
  return reading
})
