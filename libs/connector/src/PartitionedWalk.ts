import { Clock, Effect, Exit, type Schema, Stream } from "effect"
import type { Checkpoint, CursorState } from "./Checkpoint.ts"
import { digest, digested, DigestSet, encodeDigests } from "./Digest.ts"
import type { Page } from "./Page.ts"
import { PartitionStates } from "./PartitionStates.ts"
import { type SlicePage, type SlicePosition, sliceReader, type SliceStart, type WalkPlan } from "./SliceWalk.ts"
import type { Partition, Router } from "./slots/index.ts"
import type { SourceReason } from "./SourceError.ts"
import type { Transport } from "./Transport.ts"

/** Which partitions of the current batch are done, by the digests of their keys. */
class Done {
  readonly #set: DigestSet
  constructor(text: string | undefined) {
    this.#set = DigestSet.decode(text)
  }
  has(key: string): boolean {
    const bytes = Buffer.from(key)
    digest(bytes, 0, bytes.length)
    return this.#set.has(digested.high, digested.low)
  }
  add(key: string): void {
    const bytes = Buffer.from(key)
    digest(bytes, 0, bytes.length)
    this.#set.add(digested.high, digested.low)
  }
  encode(): string | undefined {
    return this.#set.size === 0 ? undefined : encodeDigests([...this.#set].flat())
  }
}

const isEmpty = ({ cursor, seen, state }: CursorState): boolean =>
  cursor === undefined && seen === undefined && state === undefined

/** What happens in a walk, in order. */
type Event =
  | { readonly _tag: "Page"; readonly partition: Partition; readonly page: SlicePage; readonly batch: Batch }
  | { readonly _tag: "BatchDone"; readonly batch: Batch }

interface Batch {
  readonly state: Schema.Json
  readonly done: Done
}

interface Started {
  readonly partition: Partition
  readonly start: Exit.Exit<SliceStart, SourceReason>
}

/**
 * The walk over a stream that is divided into partitions, as a stream of pages. Partitions are read one after the other in the
 * router's order, with the first pages of some asked for ahead. `snapshots` are the texts that pages with `snapshots` brought; without
 * them all cursors stay in the checkpoint.
 */
export const partitionedWalk = (
  plan: WalkPlan,
  router: Router,
  transport: Transport,
  from: Checkpoint | undefined,
  snapshots: ReadonlyArray<string> | undefined,
  prefetch: boolean
): Stream.Stream<Page, SourceReason> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const walked = from?.walk
      const startedAt = walked?.startedAt ?? (yield* Clock.currentTimeMillis)
      const reader = yield* sliceReader(plan, transport, startedAt, prefetch)
      const states = PartitionStates.decode(from?.partitions, snapshots)
      const routed = walked?.router ?? (router.isIncremental ? from?.router : undefined)
      /** The router's state after the last batch that is done in this walk. */
      let routerState: Schema.Json | undefined = walked?.router
      let number = walked?.number ?? 0
      let isFirst = true

      const resumeAt = (key: string): SlicePosition | undefined =>
        walked?.partition === key
          ? {
              ...(walked.since === undefined ? {} : { since: walked.since }),
              ...(walked.until === undefined ? {} : { until: walked.until }),
              ...(walked.position === undefined ? {} : { position: walked.position }),
              ...(walked.read === undefined ? {} : { read: walked.read }),
              ...(walked.maxSeen === undefined ? {} : { maxSeen: walked.maxSeen }),
              ...(walked.met === undefined ? {} : { met: walked.met }),
              ...(walked.progress === undefined ? {} : { progress: walked.progress })
            }
          : undefined

      const events = router.partitions(routed, walked?.router !== undefined).pipe(
        Stream.flatMap(({ partitions, state }): Stream.Stream<Event, SourceReason> => {
          const batch: Batch = { state, done: new Done(isFirst ? walked?.done : undefined) }
          if (partitions.length > 0) isFirst = false
          const met = new Set<string>()
          const open = partitions.filter(({ key }) => {
            if (met.has(key) || batch.done.has(key)) return false
            met.add(key)
            return true
          })
          return Stream.fromIterable(open).pipe(
            Stream.mapEffect(
              (partition): Effect.Effect<Started> =>
                reader.start(partition, states.get(partition.key), resumeAt(partition.key)).pipe(
                  Effect.exit,
                  Effect.map((start) => ({ partition, start }))
                ),
              { concurrency: prefetch ? plan.concurrency : 1 }
            ),
            Stream.flatMap(({ partition, start }) =>
              Exit.isSuccess(start)
                ? reader
                    .pages(start.value)
                    .pipe(Stream.map((page): Event => ({ _tag: "Page", partition, page, batch })))
                : Stream.failCause(start.cause)
            ),
            Stream.concat(Stream.succeed<Event>({ _tag: "BatchDone", batch }))
          )
        })
      )

      const before = {
        ...(from?.startedAt === undefined ? {} : { startedAt: from.startedAt }),
        ...(from?.completedAt === undefined ? {} : { completedAt: from.completedAt })
      }
      const kept = (): Pick<Checkpoint, "partitions" | "router"> => {
        const partitions = states.encode()
        return {
          ...(partitions === undefined ? {} : { partitions }),
          // Until the walk is done, the next one begins where this one did.
          ...(from?.router === undefined ? {} : { router: from.router })
        }
      }

      const paged = events.pipe(
        Stream.map((event): ReadonlyArray<Page> => {
          if (event._tag === "BatchDone") {
            routerState = event.batch.state
            return []
          }
          const { batch, page, partition } = event
          if (!isEmpty(page.state)) states.set(partition.key, page.state)
          if (page.next === undefined) batch.done.add(partition.key)
          const written = states.flush()
          const done = batch.done.encode()
          const checkpoint: Checkpoint = {
            v: 1,
            ...before,
            ...kept(),
            walk: {
              ...page.next,
              ...(page.next === undefined ? {} : { partition: partition.key }),
              ...(routerState === undefined ? {} : { router: routerState }),
              ...(done === undefined ? {} : { done }),
              number: number + 1,
              startedAt
            }
          }
          return [{ ...page.found, number: number++, last: false, checkpoint, ...written }]
        }),
        Stream.flattenIterable
      )
      const end = Stream.fromEffect(
        Effect.map(Clock.currentTimeMillis, (completedAt): Page => {
          const { partitions } = kept()
          const final = routerState ?? routed
          const checkpoint: Checkpoint = {
            v: 1,
            startedAt,
            completedAt,
            ...(partitions === undefined ? {} : { partitions }),
            ...(router.isIncremental && final !== undefined ? { router: final } : {})
          }
          return {
            records: [],
            rejected: [],
            skipped: 0,
            unmarked: 0,
            ahead: 0,
            unasked: 0,
            bytes: 0,
            number: number++,
            last: true,
            checkpoint
          }
        })
      )
      return Stream.concat(paged, end)
    })
  )
