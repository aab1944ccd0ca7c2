import { Readable } from "node:stream"
import { Clock, Effect, Fiber, Option, Stream } from "effect"
import type { CursorProgress, CursorState, Position } from "./Checkpoint.ts"
import type { Page } from "./Page.ts"
import { singlePage } from "./Paginators.ts"
import { isRefused, type Limits } from "./Exchange.ts"
import { PartSource, type ReadSoFar } from "./PartSource.ts"
import { Progress } from "./Progress.ts"
import { readPlan } from "./ReadPlan.ts"
import { RecordReader } from "./RecordReader.ts"
import { retrySchedule } from "./RetrySchedule.ts"
import {
  type Cursor,
  type CursorWalk,
  type Extracted,
  type Interval,
  PageView,
  type Partition,
  type RequestDraft,
  type Slice,
  type StreamSlots
} from "./slots/index.ts"
import { BadSetting, type SourceReason } from "./SourceError.ts"
import type { SendSettings, Transport } from "./Transport.ts"

/**
 * The failure of a page, counted in a row, that is logged although it is tried again: the first where nobody is there, or where the
 * tries for a token are over.
 */
const toldAt = (reason: SourceReason): number =>
  isRefused(reason) || (reason._tag === "NoToken" && reason.failureClass === "transient") ? 1 : 3

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
  /** Partitions whose first page is asked for ahead. */
  readonly concurrency: number
  readonly limits: Limits
}

/** Where a slice goes on. */
export interface SlicePosition extends CursorProgress {
  readonly since?: string
  readonly until?: string
  readonly position?: Position
  /** How far the body at the position was read. */
  readonly read?: ReadSoFar
}

/** A page of a slice, and where the slice goes on after it; `undefined`: it is read to its end. */
export interface SlicePage {
  readonly found: Omit<Page, "checkpoint" | "last" | "number">
  /** The cursor's state, of intervals that are finished. */
  readonly state: CursorState
  readonly next: SlicePosition | undefined
}

interface Fetched {
  readonly draft: RequestDraft
  readonly page: PageView
  /** The body, if there may be more of it. */
  readonly rest: PartSource | undefined
}

/** A page that was asked for, or the wish of the error handler to begin again. */
type Asked = Fetched | "restart"

/** The pages of one interval. */
interface Turn {
  readonly slice: Slice
  readonly follower: CursorWalk
  readonly progress: Progress
  /** The cursor's state before the interval. */
  readonly state: CursorState
}

interface State {
  readonly turn: Turn
  readonly position: Position | undefined
  readonly asked: Effect.Effect<Asked, SourceReason>
}

/** The cursor of a stream that reads everything each time. */
const noCursor: Cursor = {
  field: undefined,
  parameters: [],
  interval: (_state, _startedAt, previous) => Effect.succeed(previous === undefined ? {} : undefined),
  apply: () => {},
  follow: () => ({
    observe: () => ({ left: undefined, skipped: 0, unmarked: 0, isOver: false }),
    progress: () => ({}),
    finish: () => ({})
  })
}

const nothing: Extracted = { body: Buffer.alloc(0), scan: { rows: [], stride: 2, values: [], mismatch: undefined } }
const noPage: SlicePage["found"] = {
  records: [],
  rejected: [],
  skipped: 0,
  unmarked: 0,
  ahead: 0,
  unasked: 0,
  bytes: 0
}

/** The beginning of a slice: its first page is on its way or there. */
export interface SliceStart {
  readonly begin: State | undefined
  readonly state: CursorState
}

/** Reads slices of one stream in one walk. */
export interface SliceReader {
  /** Asks for the first page of a slice, or for the one where it goes on. Fails as the request does. */
  readonly start: (
    partition: Partition | undefined,
    state: CursorState,
    from: SlicePosition | undefined
  ) => Effect.Effect<SliceStart, SourceReason>
  /** The pages of a slice; at least one. */
  readonly pages: (start: SliceStart) => Stream.Stream<SlicePage, SourceReason>
}

/** The reader of a walk that began at `startedAt`. Requests that run ahead belong to the scope. */
export const sliceReader = Effect.fnUntraced(function* (
  { key, limits, maxPages, name, retries, slots }: WalkPlan,
  transport: Transport,
  startedAt: number,
  prefetch: boolean
) {
  const scope = yield* Effect.scope
  const { authenticator, errorHandler, extractor, requester, router, transformation } = slots
  const paginator = slots.paginator ?? singlePage
  const cursor = slots.cursor ?? noCursor
  const plan = readPlan(key, cursor.field, paginator.values)
  const extract = extractor.open(plan)
  const transform = transformation?.open(plan)
  const reader = new RecordReader(key, extractor.place)
  const settings: SendSettings = {
    secrets: requester.secrets,
    ownParameters: new Set([...paginator.parameters, ...cursor.parameters]),
    accept: extractor.accept,
    authenticator,
    errorHandler,
    streams: extractor.parts !== undefined
  }
  const openParts = extractor.parts?.(plan)
  let pages = 0
  /** Bodies that are read in parts at the moment. */
  const bodies = new Set<PartSource>()
  if (openParts !== undefined) {
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const body of bodies) body.close()
      })
    )
  }

  const fetchOnce = Effect.fnUntraced(function* (
    slice: Slice,
    position: Position | undefined,
    before: ReadSoFar | undefined,
    failures: number
  ): Effect.fn.Return<Asked, SourceReason> {
    const draft = yield* requester.draft(slice)
    if (slice.partition !== undefined) router?.apply(draft, slice.partition)
    cursor.apply(draft, slice)
    paginator.apply(draft, position, requester)
    const answer = yield* transport.send(draft, settings, failures)
    if (openParts === undefined || answer.isIgnored) {
      answer.stream?.destroy()
      const extracted = answer.isIgnored ? nothing : yield* extract(answer)
      return { draft, page: new PageView(answer, slice, position, extracted), rest: undefined }
    }
    // An error that the stream takes for a success has been read whole.
    const source = new PartSource(answer, answer.stream ?? Readable.from([answer.body]), openParts(), limits)
    for (const body of bodies) if (body.isOver) bodies.delete(body)
    bodies.add(source)
    const found = before === undefined ? yield* source.next : yield* source.skip(before)
    if (found === undefined) {
      source.close()
      yield* Effect.logWarning(
        `${answer.url} is not the same any more as when a part of it was read. It is read again.`
      )
      return yield* fetchOnce(slice, position, undefined, failures)
    }
    const page = new PageView(answer, slice, position, found, source.soFar.records)
    return { draft, page, rest: source.isOver ? undefined : source }
  })
  const fetch = Effect.fn("connector.page")(function* (
    slice: Slice,
    position: Position | undefined,
    before?: ReadSoFar
  ): Effect.fn.Return<Asked, SourceReason> {
    let failures = 0
    return yield* Effect.suspend(() => fetchOnce(slice, position, before, failures)).pipe(
      // All tries together can take minutes: the person who waits is told once why.
      Effect.tapError((reason) =>
        ++failures === toldAt(reason) && retries >= 3
          ? Effect.logWarning(`${reason.message} It is tried again.`)
          : Effect.void
      ),
      Effect.retry(retrySchedule(retries)),
      Effect.catchIf(
        (reason) => reason._tag === "Decided" && reason.action === "restart",
        // At the first page there is nothing to begin again with.
        (reason) => (position === undefined ? Effect.fail(reason) : Effect.succeed("restart" as const))
      )
    )
  })

  /** The next part of a body; if that fails, the rest of the body asked for again. */
  const nextPart = (turn: Turn, position: Position | undefined, { draft, rest }: Fetched): State["asked"] =>
    Effect.suspend((): State["asked"] => {
      if (rest === undefined) return fetch(turn.slice, position)
      const before = rest.soFar
      return rest.next.pipe(
        Effect.map((found): Asked => ({
          draft,
          page: new PageView(rest.answer, turn.slice, position, found, rest.soFar.records),
          rest: rest.isOver ? undefined : rest
        })),
        Effect.catchIf(
          (reason) => reason.failureClass === "transient",
          () => fetch(turn.slice, position, before)
        )
      )
    })

  const turnOf = (
    partition: Partition | undefined,
    state: CursorState,
    interval: Interval,
    from: CursorProgress | undefined
  ): Turn => ({
    slice: { partition, interval },
    follower: cursor.follow(state, interval, from),
    progress: new Progress(maxPages),
    state
  })

  /** The request for a page: on its way at once, or when it is needed. */
  const ahead = (slice: Slice, position: Position | undefined): Effect.Effect<State["asked"]> =>
    prefetch
      ? Effect.map(Effect.forkIn(fetch(slice, position), scope, { startImmediately: true }), Fiber.join)
      : Effect.succeed(fetch(slice, position))

  const after = (turn: Turn, position: Position | undefined): SlicePosition => {
    const { since, until } = turn.slice.interval
    return {
      ...(position === undefined ? {} : { position }),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
      ...turn.follower.progress()
    }
  }

  /** Goes on to the next interval, or ends. */
  const turned = Effect.fnUntraced(function* (
    turn: Turn,
    found: SlicePage["found"],
    restarts: boolean
  ): Effect.fn.Return<readonly [ReadonlyArray<SlicePage>, Option.Option<State>], SourceReason> {
    const state = turn.follower.finish()
    const { interval, partition } = turn.slice
    const next = restarts ? cursor.restart?.(state, interval) : yield* cursor.interval(state, startedAt, interval)
    if (next === undefined) {
      if (!restarts) return [[{ found, state, next: undefined }], Option.none()]
      const problem =
        "the API shows no more of this question, and the rest cannot be asked for: it needs `incremental`, and records whose values differ. Ask for less at a time."
      return yield* new BadSetting({ setting: `streams.${name}.pagination`, problem })
    }
    const following = turnOf(partition, state, next, undefined)
    const asked = yield* ahead(following.slice, undefined)
    return [
      [{ found, state, next: after(following, undefined) }],
      Option.some({ turn: following, position: undefined, asked })
    ]
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
    if (got === "restart") return yield* turned(turn, noPage, true)
    const { draft, page, rest } = got
    if (rest !== undefined) {
      const part = yield* partOf(turn, page)
      pages++
      return [
        [{ found: part.found, state: turn.state, next: { ...after(turn, position), read: rest.soFar } }],
        Option.some({ turn, position, asked: nextPart(turn, position, got) })
      ]
    }
    const named = page.answer.isIgnored ? "end" : paginator.next(page, draft, requester)
    if (typeof named !== "string" && "_tag" in named) return yield* named
    const stuck = typeof named === "string" ? undefined : turn.progress.check(named, page, pages)
    if (stuck !== undefined && typeof stuck !== "string") return yield* stuck
    pages++
    const next = stuck === undefined ? named : "end"
    // Most feeds are over only when the paginator says so; then the next request need not wait for the records.
    const early = typeof next === "string" ? undefined : yield* ahead(turn.slice, next)
    // The records of a page that only repeats itself were read with the page before.
    const { found, isOver } = stuck === "repeated" ? { found: noPage, isOver: false } : yield* partOf(turn, page)
    if (typeof next === "string" || early === undefined || isOver) {
      return yield* turned(turn, found, next === "restart" && !isOver)
    }
    return [
      [{ found, state: turn.state, next: after(turn, next) }],
      Option.some({ turn, position: next, asked: early })
    ]
  })

  const start: SliceReader["start"] = Effect.fnUntraced(function* (partition, state, from) {
    const interval =
      from === undefined
        ? yield* cursor.interval(state, startedAt, undefined)
        : { since: from.since, until: from.until }
    if (interval === undefined) return { begin: undefined, state }
    const turn = turnOf(partition, state, interval, from)
    const position = from?.position
    const read = openParts === undefined ? undefined : from?.read
    if (position === undefined || !paginator.fits(position)) {
      const asked = yield* fetch(turn.slice, undefined, position === undefined ? read : undefined)
      return { begin: { turn, position: undefined, asked: Effect.succeed(asked) }, state }
    }
    // The position is tried once; if the API has forgotten it, the slice begins again.
    const resumed = yield* fetch(turn.slice, position, read).pipe(
      Effect.catchIf(
        (reason) => reason._tag === "Refused" && lostPosition.has(reason.status),
        () => Effect.undefined
      )
    )
    const asked = resumed ?? (yield* fetch(turn.slice, undefined))
    return {
      begin: { turn, position: resumed === undefined ? undefined : position, asked: Effect.succeed(asked) },
      state
    }
  })

  const reading: SliceReader = {
    start,
    pages: ({ begin, state }) =>
      begin === undefined ? Stream.succeed({ found: noPage, state, next: undefined }) : Stream.paginate(begin, step)
  }
  return reading
})
