import { Readable } from "node:stream"
import { Effect } from "effect"
import type { Position } from "./Checkpoint.ts"
import type { Limits } from "./Exchange.ts"
import type { JobRun } from "./JobRun.ts"
import { PartSource, type ReadSoFar } from "./PartSource.ts"
import type { ReadPlan } from "./ReadPlan.ts"
import { fetchedFrom } from "./RetrieverPages.ts"
import type { Asked } from "./SliceTurn.ts"
import {
  type Cursor,
  type Extracted,
  PageView,
  type Paginator,
  type RequestSlots,
  type Slice,
  type StreamSlots
} from "./slots/index.ts"
import type { SourceReason } from "./SourceError.ts"
import type { SendSettings, Transport } from "./Transport.ts"
import { trying } from "./Trying.ts"

const nothing: Extracted = { body: Buffer.alloc(0), scan: { rows: [], stride: 2, values: [], mismatch: undefined } }

/** Asks for the page at a position, or for the rest of it if a part was read before. */
export type AskForPage = (
  slice: Slice,
  position: Position | undefined,
  before?: ReadSoFar
) => Effect.Effect<Asked, SourceReason>

interface Options {
  readonly slots: StreamSlots
  readonly requests: Pick<RequestSlots, "extractor" | "requester">
  readonly paginator: Paginator
  readonly cursor: Cursor
  readonly plan: ReadPlan
  readonly transport: Transport
  readonly settings: SendSettings
  readonly retries: number
  readonly limits: Limits
  /** Says what is read, in streams with a job. */
  readonly jobs: JobRun | undefined
  /** When the walk began, milliseconds since 1970. */
  readonly startedAt: number
}

/** The requests for pages of a walk. Bodies that are open belong to the scope. */
export const pageRequests = Effect.fnUntraced(function* ({
  cursor,
  jobs,
  limits,
  paginator,
  plan,
  requests: { extractor, requester },
  retries,
  settings: usual,
  slots: { retriever, router },
  startedAt,
  transport
}: Options) {
  const extract = extractor.open(plan)
  const retrieve = retriever?.open(plan)
  const openParts = extractor.parts?.(plan)
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
    const { draft, settings } =
      jobs === undefined
        ? { draft: yield* requester.draft(slice), settings: usual }
        : yield* jobs.download(slice, failures)
    if (jobs === undefined) {
      if (slice.partition !== undefined) router?.apply(draft, slice.partition)
      cursor.apply(draft, slice, requester)
    }
    paginator.apply(draft, position, requester)
    const answer = yield* transport.send(draft, settings, failures)
    if (openParts === undefined || answer.isIgnored) {
      answer.stream?.destroy()
      const extracted = answer.isIgnored ? nothing : yield* extract(answer)
      return { draft, page: new PageView(answer, slice, position, extracted), rest: undefined }
    }
    // An error that the stream takes for a success has been read whole.
    const source = new PartSource(answer, answer.stream ?? Readable.from([answer.body]), openParts(answer), limits)
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
    const page = new PageView(answer, slice, position, found, source)
    return { draft, page, rest: source.isOver ? undefined : source }
  })

  /** The page at a position. */
  const fetch = Effect.fn("connector.page")(function* (
    slice: Slice,
    position: Position | undefined,
    before?: ReadSoFar
  ): Effect.fn.Return<Asked, SourceReason> {
    if (retrieve !== undefined) {
      const wanted = { slice, position, state: slice.state ?? {}, startedAt }
      return fetchedFrom(yield* retrieve(wanted), wanted)
    }
    return yield* trying((failures) => fetchOnce(slice, position, before, failures), {
      retries,
      ...transport.waiting
    }).pipe(
      Effect.catchIf(
        (reason) => reason._tag === "Decided" && (reason.action === "restart" || reason.action === "reset"),
        (reason): Effect.Effect<Asked, SourceReason> => {
          const again = reason._tag === "Decided" && reason.action === "reset" ? "reset" : "restart"
          // At the first page there is nothing to begin again with.
          return again === "restart" && position === undefined ? Effect.fail(reason) : Effect.succeed({ again, reason })
        }
      )
    )
  })

  /** The same; the API may have forgotten where the interval begins. */
  const ask: AskForPage = (slice, position, before) =>
    slice.interval.since === undefined || cursor.expired === undefined
      ? fetch(slice, position, before)
      : Effect.catchIf(
          fetch(slice, position, before),
          (reason) => reason._tag === "Refused" && cursor.expired?.includes(reason.status) === true,
          (reason): Effect.Effect<Asked> => Effect.succeed({ again: "reset", reason })
        )

  return { ask, fetch, inParts: openParts !== undefined }
})
