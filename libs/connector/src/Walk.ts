import { Clock, Effect, Fiber, Option, Stream } from "effect"
import type { Checkpoint, CursorState, Position } from "./Checkpoint.ts"
import { isRefused } from "./Exchange.ts"
import type { Page } from "./Page.ts"
import { singlePage } from "./Paginators.ts"
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
  type RequestDraft,
  type Slice,
  type StreamSlots
} from "./slots/index.ts"
import type { SourceReason } from "./SourceError.ts"
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
  readonly slots: StreamSlots
  /** Fields that identify a record. */
  readonly key: ReadonlyArray<string>
  readonly retries: number
}

interface Fetched {
  readonly draft: RequestDraft
  readonly page: PageView
}

interface State {
  readonly position: Position | undefined
  readonly number: number
  /** The interval's page at the position. */
  readonly fetched: Effect.Effect<Fetched, SourceReason>
  readonly turn: Turn
}

/** The pages of one interval. */
interface Turn {
  readonly slice: Slice
  readonly follower: CursorWalk
  readonly progress: Progress
  /** The cursor's state before the interval. */
  readonly state: CursorState
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

const stateOf = ({ cursor, seen, state }: CursorState): CursorState => ({
  ...(cursor === undefined ? {} : { cursor }),
  ...(seen === undefined ? {} : { seen }),
  ...(state === undefined ? {} : { state })
})

const nothing: Extracted = { body: Buffer.alloc(0), scan: { rows: [], stride: 2, values: [], mismatch: undefined } }

/** The walk as a stream of pages. */
export const walk = (
  { key, retries, slots }: WalkPlan,
  transport: Transport,
  from: Checkpoint | undefined,
  prefetch: boolean
): Stream.Stream<Page, SourceReason> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const { authenticator, errorHandler, extractor, requester, transformation } = slots
      const paginator = slots.paginator ?? singlePage
      const cursor = slots.cursor ?? noCursor
      const startedAt = from?.walk?.startedAt ?? (yield* Clock.currentTimeMillis)
      const plan = readPlan(key, cursor.field, paginator.values)
      const extract = extractor.open(plan)
      const transform = transformation?.open(plan)
      const reader = new RecordReader(key, extractor.place)
      const settings: SendSettings = {
        secrets: requester.secrets,
        ownParameters: new Set([...paginator.parameters, ...cursor.parameters]),
        accept: extractor.accept,
        authenticator,
        errorHandler
      }

      const fetchOnce = Effect.fnUntraced(function* (
        slice: Slice,
        position: Position | undefined,
        failures: number
      ): Effect.fn.Return<Fetched, SourceReason> {
        const draft = yield* requester.draft(slice)
        cursor.apply(draft, slice)
        paginator.apply(draft, position, requester)
        const answer = yield* transport.send(draft, settings, failures)
        const extracted = answer.isIgnored ? nothing : yield* extract(answer)
        return { draft, page: new PageView(answer, slice, position, extracted) }
      })
      const fetch = Effect.fn("connector.page")(function* (
        slice: Slice,
        position: Position | undefined
      ): Effect.fn.Return<Fetched, SourceReason> {
        let failures = 0
        return yield* Effect.suspend(() => fetchOnce(slice, position, failures)).pipe(
          // All tries together can take minutes: the person who waits is told once why.
          Effect.tapError((reason) =>
            ++failures === toldAt(reason) && retries >= 3
              ? Effect.logWarning(`${reason.message} It is tried again.`)
              : Effect.void
          ),
          Effect.retry(retrySchedule(retries))
        )
      })

      const checkpointAfter = (turn: Turn, next: Position | undefined, number: number): Checkpoint => ({
        v: 1,
        ...stateOf(turn.state),
        ...(from?.startedAt === undefined ? {} : { startedAt: from.startedAt }),
        ...(from?.completedAt === undefined ? {} : { completedAt: from.completedAt }),
        walk: {
          ...(next === undefined ? {} : { position: next }),
          number,
          startedAt,
          ...(turn.slice.interval.since === undefined ? {} : { since: turn.slice.interval.since }),
          ...(turn.slice.interval.until === undefined ? {} : { until: turn.slice.interval.until }),
          ...turn.follower.progress()
        }
      })

      const turnOf = (state: CursorState, interval: Interval, goesOn: boolean): Turn => ({
        slice: { partition: undefined, interval },
        follower: cursor.follow(state, interval, goesOn ? from?.walk : undefined),
        progress: new Progress(),
        state
      })

      /** The request for a page: on its way at once, or when it is needed. */
      const ahead = (slice: Slice, position: Position | undefined): Effect.Effect<State["fetched"]> =>
        prefetch
          ? Effect.map(Effect.forkIn(fetch(slice, position), scope, { startImmediately: true }), Fiber.join)
          : Effect.succeed(fetch(slice, position))

      const step = Effect.fnUntraced(function* (
        current: State
      ): Effect.fn.Return<readonly [ReadonlyArray<Page>, Option.Option<State>], SourceReason> {
        const { number, turn } = current
        const { draft, page } = yield* current.fetched
        const named = page.answer.isIgnored ? "end" : paginator.next(page, draft, requester)
        if (named !== "end" && "_tag" in named) return yield* named
        const stuck = named === "end" ? undefined : turn.progress.check(named, page, number)
        if (stuck !== undefined) return yield* stuck
        // Most feeds are over only when the paginator says so; then the next request need not wait for the records.
        const early = named === "end" ? undefined : yield* ahead(turn.slice, named)
        const extracted = transform === undefined ? page.extracted : yield* transform(page)
        const now = yield* Clock.currentTimeMillis
        const observed = turn.follower.observe(extracted, plan.cursorColumn, now)
        const { ahead: future = 0, isOver, left, skipped, unasked = 0, unmarked } = observed
        const { records, rejected } = reader.read(extracted, left)
        const next = isOver ? "end" : named
        const counts = { skipped, unmarked, ahead: future, unasked }
        const found = { records, rejected, ...counts, number, bytes: page.answer.body.length }
        if (next !== "end" && early !== undefined) {
          const checkpoint = checkpointAfter(turn, next, number + 1)
          return [
            [{ ...found, last: false, checkpoint }],
            Option.some({ position: next, number: number + 1, fetched: early, turn })
          ]
        }
        const state = turn.follower.finish()
        const interval = yield* cursor.interval(state, startedAt, turn.slice.interval)
        if (interval === undefined) {
          const completedAt = yield* Clock.currentTimeMillis
          return [
            [{ ...found, last: true, checkpoint: { v: 1, startedAt, completedAt, ...state } }],
            Option.none<State>()
          ]
        }
        const following = turnOf(state, interval, false)
        const checkpoint = checkpointAfter(following, undefined, number + 1)
        const fetched = yield* ahead(following.slice, undefined)
        return [
          [{ ...found, last: false, checkpoint }],
          Option.some({ position: undefined, number: number + 1, fetched, turn: following })
        ]
      })

      const before = stateOf(from ?? {})
      const walked = from?.walk
      const interval =
        walked === undefined
          ? yield* cursor.interval(before, startedAt, undefined)
          : { since: walked.since, until: walked.until }
      if (interval === undefined) {
        // A page without records says that the walk is done, so that the next one is due in its time.
        const completedAt = yield* Clock.currentTimeMillis
        const checkpoint: Checkpoint = { v: 1, startedAt, completedAt, ...before }
        return Stream.succeed<Page>({
          records: [],
          rejected: [],
          skipped: 0,
          unmarked: 0,
          ahead: 0,
          unasked: 0,
          number: 0,
          bytes: 0,
          last: true,
          checkpoint
        })
      }
      const turn = turnOf(before, interval, true)
      const begin: State = { position: undefined, number: 0, fetched: fetch(turn.slice, undefined), turn }
      if (walked === undefined || walked.position === undefined || !paginator.fits(walked.position)) {
        return Stream.paginate(walked === undefined ? begin : { ...begin, number: walked.number }, step)
      }
      const resumed = fetch(turn.slice, walked.position)
      // The position is tried once; if the API has forgotten it, the walk begins again.
      const first = yield* resumed.pipe(
        Effect.asSome,
        Effect.catchIf(
          (reason) => reason._tag === "Refused" && lostPosition.has(reason.status),
          () => Effect.succeed(Option.none<Fetched>())
        )
      )
      return Stream.paginate(
        Option.isNone(first)
          ? begin
          : { position: walked.position, number: walked.number, fetched: Effect.succeed(first.value), turn },
        step
      )
    })
  )
