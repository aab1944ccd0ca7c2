import { Cause, Clock, Effect, type Schema, Stream } from "effect"
import { beginning } from "./beginning.ts"
import type { Checkpoint, CursorState } from "./Checkpoint.ts"
import { digest, digested, DigestSet, encodeDigests } from "./Digest.ts"
import type { Page } from "./Page.ts"
import { PartitionStates } from "./PartitionStates.ts"
import { PartitionsInFlight } from "./PartitionsInFlight.ts"
import type { SlicePage } from "./SliceTurn.ts"
import { sliceReader, type WalkPlan } from "./SliceWalk.ts"
import type { Partition, Router } from "./slots/index.ts"
import type { SourceReason } from "./SourceError.ts"
import type { Transport } from "./Transport.ts"
import { pooled } from "./WorkerPool.ts"

/** A digest of a partition: of its key and, where a changed parent makes it another one, of its parent's record. Computed into `digested`. */
const digestOf = ({ key, parent }: Partition, byParent: boolean): void => {
  const bytes = byParent && parent !== undefined ? Buffer.concat([Buffer.from(key), parent]) : Buffer.from(key)
  digest(bytes, 0, bytes.length)
}

/** Which partitions of a batch are done, by digests. */
class Done {
  /** All but the last two at most: three of them make whole letters, so that the text only grows at its end. */
  text = ""
  rest: Array<number> = []

  /** Takes what `digested` has. */
  add(): void {
    this.rest.push(digested.high, digested.low)
    if (this.rest.length < 6) return
    this.text += encodeDigests(this.rest)
    this.rest = []
  }
}

const isEmpty = ({ cursor, seen, state }: CursorState): boolean =>
  cursor === undefined && seen === undefined && state === undefined

interface Batch {
  readonly state: Schema.Json
  readonly done: Done
  /** Partitions that are not done. */
  left: number
}

/** A partition's turn. */
interface Task {
  readonly partition: Partition
  /** Digest of it with its parent's record, where changed parents come again. */
  readonly parent: string | undefined
  readonly batch: Batch
  /** In the router's order. */
  readonly index: number
}

/** What happens in a walk, in the order in which it is committed. */
interface Event {
  readonly task: Task
  readonly page: SlicePage
  /** As the task's, of when the reading that goes on began. */
  readonly parent: string | undefined
}

/**
 * The walk over a stream that is divided into partitions, as a stream of pages. Up to `concurrency` partitions are read at a time,
 * begun in the router's order; their pages come as they come in. The checkpoint of each page says of every partition that has begun
 * where it goes on. When one fails, those before it are read to their ends first, so that a partition that always fails keeps
 * none before it from being read. `snapshots` are the texts that pages with `snapshots` brought; without them all cursors stay in the
 * checkpoint.
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
      const startedAt = walked?.startedAt ?? (yield* transport.startedAt(plan.name))
      const reader = yield* sliceReader(plan, transport, startedAt, prefetch)
      const states = PartitionStates.decode(from?.partitions, snapshots)
      const routed = walked?.router ?? (router.isIncremental ? from?.router : undefined)
      // Jobs are made one after the other.
      const concurrency = prefetch && plan.slots.job === undefined ? plan.concurrency : 1
      /** The router's state after the last batch that is done, with all before it, in this walk. */
      let routerState: Schema.Json | undefined = walked?.router
      let number = walked?.number ?? 0
      /** Batches that are not done, in order. */
      const batches: Array<Batch> = []
      /** Partitions that were done before the walk was stopped, in batches that are to come again. */
      const doneBefore = DigestSet.decode(walked?.done)
      const inFlight = new PartitionsInFlight(walked)
      let tasks = 0
      /** The first partition in the router's order that failed. */
      let failure: { readonly index: number; readonly cause: Cause.Cause<SourceReason> } | undefined

      const finishBatches = () => {
        while (batches[0]?.left === 0) routerState = batches.shift()?.state
      }

      const failed = (index: number, cause: Cause.Cause<SourceReason>) =>
        Effect.sync(() => {
          if (failure !== undefined && failure.index < index) return
          failure = { index, cause }
          inFlight.stopAfter(index)
        })

      const begun = router.partitions(routed, walked?.router !== undefined).pipe(
        Stream.map(({ partitions, state }): ReadonlyArray<Task> => {
          const batch: Batch = { state, done: new Done(), left: 0 }
          const met = new Set<string>()
          const found: Array<Task> = []
          for (const partition of partitions) {
            if (met.has(partition.key)) continue
            met.add(partition.key)
            digestOf(partition, router.isIncremental)
            if (doneBefore.delete(digested.high, digested.low)) {
              batch.done.add()
              continue
            }
            batch.left++
            const parent = router.isIncremental ? encodeDigests([digested.high, digested.low]) : undefined
            found.push({ partition, parent, batch, index: tasks++ })
          }
          batches.push(batch)
          finishBatches()
          return found
        }),
        Stream.flattenIterable,
        // When the parent fails, what it named before is read first.
        Stream.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause) ? Stream.failCause(cause) : Stream.fromEffectDrain(failed(tasks, cause))
        ),
        Stream.takeWhile(({ index }) => failure === undefined || index < failure.index)
      )

      const read = Effect.fnUntraced(function* (
        task: Task,
        give: (event: Event) => Effect.Effect<void>
      ): Effect.fn.Return<void, SourceReason> {
        const { key } = task.partition
        for (;;) {
          // The same partition may come again while it is read, when its parent has changed meanwhile.
          yield* inFlight.enter(key, task.index)
          const now = yield* Clock.currentTimeMillis
          const left = inFlight.take(key)
          const { parent } = left ?? task
          // A parent that has changed since the walk began comes once: all that it stands for has to be asked for now.
          const upTo = router.isIncremental ? now : startedAt
          const known = yield* beginning(plan.slots.cursor, states.get(key), task.partition)
          const started = yield* reader.start(task.partition, known, left?.position, upTo)
          yield* reader.each(started, (page) =>
            Effect.andThen(inFlight.admit(key, task.index, page.next), give({ task, page, parent }))
          )
          // What has changed since it was left may stand before the position: it is read once more, from its cursor.
          if (parent === task.parent) return
        }
      })

      /** Gives the pages of a partition; none after it, or one before it, has failed. */
      const readUnlessFailed = (task: Task, give: (event: Event) => Effect.Effect<void>): Effect.Effect<void> =>
        Effect.suspend(() =>
          failure !== undefined && failure.index < task.index
            ? Effect.void
            : Effect.catchCause(read(task, give), (cause) =>
                Cause.hasInterruptsOnly(cause) ? Effect.void : failed(task.index, cause)
              )
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
      const doneDigests = (): string | undefined => {
        let text = ""
        let rest = [...doneBefore].flat()
        for (const { done } of batches) {
          text += done.text
          rest = rest.concat(done.rest)
        }
        return text === "" && rest.length === 0 ? undefined : text + encodeDigests(rest)
      }

      const paged = pooled(begun, concurrency, readUnlessFailed).pipe(
        Stream.map(({ page, parent, task: { batch, partition, ...task } }): Page => {
          // One that was forgotten is written too.
          if (!isEmpty(page.state) || !isEmpty(states.get(partition.key))) states.set(partition.key, page.state)
          inFlight.committed(partition.key, page.next, parent)
          if (page.next === undefined && parent === task.parent) {
            digestOf(partition, router.isIncremental)
            batch.done.add()
            batch.left--
            finishBatches()
          }
          const written = states.flush()
          const done = doneDigests()
          const checkpoint: Checkpoint = {
            v: 1,
            ...before,
            ...kept(),
            walk: {
              ...inFlight.positions,
              ...(routerState === undefined ? {} : { router: routerState }),
              ...(done === undefined ? {} : { done }),
              number: number + 1,
              startedAt
            }
          }
          return { ...page.found, number: number++, last: false, checkpoint, ...written }
        })
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
      const broken = Stream.suspend((): Stream.Stream<Page, SourceReason> =>
        failure === undefined ? end : Stream.failCause(failure.cause)
      )
      return Stream.concat(paged, broken)
    })
  )
