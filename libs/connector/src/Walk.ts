import type { Scan } from "@tributary/codec"
import type { SourceStream } from "@tributary/domain"
import { Clock, Effect, Fiber, Option, Stream } from "effect"
import type { Checkpoint, Position } from "./Checkpoint.ts"
import { digest, digested, DigestSet, encodeDigests } from "./Digest.ts"
import { isAfter, lookBack, readMark } from "./Mark.ts"
import type { Page } from "./Page.ts"
import { readBody } from "./PageBody.ts"
import type { Paging, WalkRequest } from "./Paging.ts"
import { type ReadPlan, RecordReader } from "./RecordReader.ts"
import type { Answer, Requester, RequestSettings } from "./Requester.ts"
import { retrySchedule } from "./RetrySchedule.ts"
import { BadSetting, CursorRepeated, type SourceReason } from "./SourceError.ts"
import { largestWindow } from "./Window.ts"

/** The failure of a page, counted in a row, that is logged although it is tried again. */
const toldAt = 3

/** A stream with everything that a walk needs. */
export interface StreamPlan {
  readonly name: string
  readonly stream: SourceStream
  readonly request: WalkRequest
  readonly settings: RequestSettings
  readonly paging: Paging
  readonly read: ReadPlan
  /** `incremental.start`. */
  readonly start: string | undefined
}

/** A walk of more pages than this does not come to an end by itself. */
const mostPages = 1_000_000
/** What an API answers when it does not know a position (any more). */
const lostPosition = new Set([400, 404, 410, 422])

interface Fetched {
  readonly answer: Answer
  readonly scan: Scan
}

interface State {
  readonly position: Position | undefined
  readonly number: number
  /** The answer at the position. */
  readonly fetched: Effect.Effect<Fetched, SourceReason>
}

/** The value of the incremental parameter with which a new walk asks. */
const sinceOf = (plan: StreamPlan, cursor: string | undefined): Effect.Effect<string | undefined, BadSetting> => {
  const { incremental } = plan.stream
  if (incremental === undefined || cursor === undefined) return Effect.succeed(plan.start)
  const mark = readMark(cursor, incremental.type)
  return mark === undefined
    ? Effect.fail(
        new BadSetting({
          setting: `streams.${plan.name}.incremental.type`,
          problem: `the last value seen is ${JSON.stringify(cursor)}, which is no ${incremental.type}. Correct the type, or reset the stream.`
        })
      )
    : Effect.succeed(lookBack(mark, incremental))
}

const digestOf = (text: string): readonly [number, number] => {
  const bytes = Buffer.from(text)
  digest(bytes, 0, bytes.length)
  return [digested.high, digested.low]
}

/** Sees that a walk comes forward: no position twice, and no page with the same records as the one before it. */
class Progress {
  readonly #positions = new DigestSet()
  #last = ""

  /** What is wrong with going on to `next` after a page, if anything. */
  check(next: Position, answer: Answer, { rows, stride }: Scan, page: number): CursorRepeated | undefined {
    const { body, url } = answer
    const repeated = (problem: string) => new CursorRepeated({ url, page, problem })
    if (page + 1 >= mostPages) return repeated(`the end is not reached.`)
    if ("cursor" in next || "url" in next) {
      const [high, low] = digestOf(JSON.stringify(next))
      if (this.#positions.has(high, low)) {
        return repeated("the API names a next page that was read before.")
      }
      this.#positions.add(high, low)
      return undefined
    }
    if (rows.length === 0) return undefined
    // First and last record stand for the page, so that this costs the same for every size.
    digest(body, rows[0]!, rows[1]!)
    const first = `${digested.high} ${digested.low}`
    digest(body, rows[rows.length - stride]!, rows[rows.length - stride + 1]!)
    const current = `${rows.length} ${first} ${digested.high} ${digested.low}`
    if (current === this.#last) {
      return repeated("the API answered with the same records again; it may not know the page parameter.")
    }
    this.#last = current
    return undefined
  }
}

/** The walk as a stream of pages. */
export const walk = (
  plan: StreamPlan,
  requester: Requester,
  retries: number,
  from: Checkpoint | undefined,
  prefetch: boolean
): Stream.Stream<Page, SourceReason> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const startedAt = from?.walk?.startedAt ?? (yield* Clock.currentTimeMillis)
      const since = from?.walk === undefined ? yield* sinceOf(plan, from?.cursor) : from.walk.since
      const { incremental } = plan.stream
      const request: WalkRequest = { ...plan.request, address: new URL(plan.request.address) }
      if (incremental !== undefined && since !== undefined) {
        request.address.searchParams.set(incremental.param, since)
      }
      const schedule = retrySchedule(retries)
      const reader = new RecordReader(plan.stream, plan.read, {
        cursor: from?.cursor,
        seen: from?.seen,
        maxSeen: from?.walk?.maxSeen,
        met: from?.walk?.met
      })
      const progress = new Progress()

      const fetchOnce = Effect.fnUntraced(function* (
        position: Position | undefined
      ): Effect.fn.Return<Fetched, SourceReason> {
        const answer = yield* requester.get(plan.paging.address(request, position), plan.settings)
        const scan = yield* readBody(answer, plan.read.plan, plan.stream.records)
        return { answer, scan }
      })
      const fetch = Effect.fn("connector.page")(function* (
        position: Position | undefined
      ): Effect.fn.Return<Fetched, SourceReason> {
        let failures = 0
        return yield* fetchOnce(position).pipe(
          // All tries together can take minutes: the person who waits is told once why.
          Effect.tapError((reason) =>
            ++failures === toldAt && retries >= toldAt
              ? Effect.logWarning(`${reason.message} It is tried again.`)
              : Effect.void
          ),
          Effect.retry(schedule)
        )
      })

      const checkpointAfter = (next: Position | undefined, number: number, now: number): Checkpoint => {
        const window = reader.window
        const maxSeen = window?.highest
        const base = {
          v: 1 as const,
          ...(from?.cursor === undefined ? {} : { cursor: from.cursor }),
          ...(from?.seen === undefined ? {} : { seen: from.seen })
        }
        const met = window?.encode()
        if (next !== undefined) {
          return {
            ...base,
            ...(from?.startedAt === undefined ? {} : { startedAt: from.startedAt }),
            ...(from?.completedAt === undefined ? {} : { completedAt: from.completedAt }),
            walk: {
              position: next,
              number,
              startedAt,
              ...(since === undefined ? {} : { since }),
              ...(maxSeen === undefined ? {} : { maxSeen: maxSeen.text }),
              ...(met === undefined ? {} : { met })
            }
          }
        }
        const done = { startedAt, completedAt: now }
        if (window === undefined || incremental === undefined) return { v: 1, ...done }
        const old = from?.cursor === undefined ? undefined : readMark(from.cursor, incremental.type)
        if (maxSeen === undefined || (old !== undefined && !isAfter(maxSeen, old))) {
          // The next walk asks as this one did, so it may meet what this one and the one before it met.
          const both = [...DigestSet.decode(met), ...DigestSet.decode(from?.seen)].slice(0, largestWindow)
          const seen = both.length === 0 ? {} : { seen: encodeDigests(both.flat()) }
          return { v: 1, ...done, ...(from?.cursor === undefined ? {} : { cursor: from.cursor }), ...seen }
        }
        return { v: 1, ...done, cursor: maxSeen.text, ...(met === undefined ? {} : { seen: met }) }
      }

      /** The request for a page: on its way at once, or when it is needed. */
      const ahead = (position: Position): Effect.Effect<State["fetched"]> =>
        prefetch
          ? Effect.map(Effect.forkIn(fetch(position), scope, { startImmediately: true }), Fiber.join)
          : Effect.succeed(fetch(position))

      const step = Effect.fnUntraced(function* (
        state: State
      ): Effect.fn.Return<readonly [ReadonlyArray<Page>, Option.Option<State>], SourceReason> {
        const { number, position } = state
        const { answer, scan } = yield* state.fetched
        const count = scan.rows.length / scan.stride
        const next = plan.paging.next(position, answer, scan, count, request)
        if (next !== "end" && "_tag" in next) return yield* next
        const stuck = next === "end" ? undefined : progress.check(next, answer, scan, number)
        if (stuck !== undefined) return yield* stuck
        const following = next === "end" ? undefined : yield* ahead(next)
        const { records, rejected, skipped, unmarked } = reader.read(answer.body, scan)
        const now = yield* Clock.currentTimeMillis
        const page: Page = {
          records,
          rejected,
          skipped,
          unmarked,
          number,
          bytes: answer.body.length,
          last: next === "end",
          checkpoint: checkpointAfter(next === "end" ? undefined : next, number + 1, now)
        }
        if (next === "end" || following === undefined) return [[page], Option.none()]
        return [[page], Option.some({ position: next, number: number + 1, fetched: following })]
      })

      const start: State = { position: undefined, number: 0, fetched: fetch(undefined) }
      const walked = from?.walk
      if (walked === undefined || !plan.paging.fits(walked.position)) return Stream.paginate(start, step)
      const resumed = fetch(walked.position)
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
          ? start
          : { position: walked.position, number: walked.number, fetched: Effect.succeed(first.value) },
        step
      )
    })
  )
