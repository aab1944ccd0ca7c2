import { Deferred, Effect, type Fiber } from "effect"
import type { OpenPartition, Walk } from "./Checkpoint.ts"
import type { SlicePosition } from "./SliceTurn.ts"

/** The positions of partitions in one checkpoint have about so many characters at most, so that it fits into a record of the log. */
const mostKept = 262_144

const positionOf = ({
  before,
  job,
  maxSeen,
  met,
  position,
  progress,
  read,
  since,
  until
}: Omit<OpenPartition, "partition">) => ({
  ...(position === undefined ? {} : { position }),
  ...(before === undefined ? {} : { before }),
  ...(read === undefined ? {} : { read }),
  ...(job === undefined ? {} : { job }),
  ...(since === undefined ? {} : { since }),
  ...(until === undefined ? {} : { until }),
  ...(maxSeen === undefined ? {} : { maxSeen }),
  ...(met === undefined ? {} : { met }),
  ...(progress === undefined ? {} : { progress })
})

const sizeOf = ({ met, progress }: SlicePosition): number =>
  (met?.length ?? 0) + (progress === undefined ? 0 : JSON.stringify(progress).length)

/** A partition that has begun. */
interface Open {
  readonly position: SlicePosition
  /** Digest of it with its parent's record when its reading began; `undefined`: its parent does not come again. */
  readonly parent: string | undefined
}

const openOf = ({ parent, ...position }: Omit<OpenPartition, "partition">): Open => ({
  position: positionOf(position),
  parent
})

interface Reading {
  readonly index: number
  /** Done when the partition is, and all of it is committed. */
  readonly over: Deferred.Deferred<void>
}

/** The partitions of a walk that are begun and not done: which are read at the moment, and where each goes on after a restart. */
export class PartitionsInFlight {
  /** By key: where it goes on after what was committed. The last one that was changed stands last. */
  readonly #open = new Map<string, Open>()
  /** Those from before a restart that are not used yet. */
  readonly #before: Map<string, Open>
  readonly #reading = new Map<string, Reading>()
  /** The last partition that a fiber has begun, or waits to. */
  readonly #readers = new Map<Fiber.Fiber<unknown, unknown>, number>()
  /** Nothing behind this one is to be read. */
  #lastIndex = Number.POSITIVE_INFINITY
  #waiting: Array<Deferred.Deferred<void>> = []

  constructor(walked: Walk | undefined) {
    for (const { partition, ...open } of walked?.open ?? []) this.#open.set(partition, openOf(open))
    if (walked?.partition !== undefined) this.#open.set(walked.partition, openOf(walked))
    this.#before = new Map(this.#open)
  }

  /** Waits until a partition is not read any more, and begins to. The fiber is interrupted when one before it in the order fails. */
  enter(key: string, index: number): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      // Those that wait are stopped too.
      this.#readers.set(fiber, index)
      if (index > this.#lastIndex) return Effect.interrupt
      const other = this.#reading.get(key)
      if (other !== undefined) return Effect.andThen(Deferred.await(other.over), this.enter(key, index))
      this.#reading.set(key, { index, over: Deferred.makeUnsafe() })
      return Effect.void
    })
  }

  /** Where a partition goes on after a restart; only once, since it may come again in the same walk. */
  take(key: string): Open | undefined {
    const open = this.#before.get(key)
    this.#before.delete(key)
    return open
  }

  /**
   * Waits until a page may be committed: not while the positions of others fill the checkpoint. The first partition in the
   * router's order never waits, so all come to their ends.
   */
  admit(key: string, index: number, next: SlicePosition | undefined): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (next === undefined || this.#isFirst(index)) return Effect.void
      let size = sizeOf(next)
      for (const [other, { position }] of this.#open) if (other !== key) size += sizeOf(position)
      if (size <= mostKept) return Effect.void
      const changed = Deferred.makeUnsafe<void>()
      this.#waiting.push(changed)
      return Effect.andThen(Deferred.await(changed), this.admit(key, index, next))
    })
  }

  #isFirst(index: number): boolean {
    for (const reading of this.#reading.values()) if (reading.index < index) return false
    return true
  }

  /** A page was committed, after which the partition goes on at `next` or is read to its end. */
  committed(key: string, next: SlicePosition | undefined, parent: string | undefined): void {
    this.#open.delete(key)
    if (next === undefined) {
      const reading = this.#reading.get(key)
      this.#reading.delete(key)
      if (reading !== undefined) Deferred.doneUnsafe(reading.over, Effect.void)
    } else this.#open.set(key, { position: next, parent })
    const waiting = this.#waiting
    this.#waiting = []
    for (const changed of waiting) Deferred.doneUnsafe(changed, Effect.void)
  }

  /** Ends the partitions behind one in the router's order. */
  stopAfter(index: number): void {
    this.#lastIndex = Math.min(this.#lastIndex, index)
    for (const [fiber, other] of this.#readers) if (other > index) fiber.interruptUnsafe()
  }

  /** For a checkpoint: the partition of the last page as the walk's own position, the others beside it. */
  get positions(): Pick<Walk, "open" | "parent" | "partition"> & SlicePosition {
    const all = [...this.#open]
    const last = all.pop()
    if (last === undefined) return {}
    const named = ([partition, { parent, position }]: readonly [string, Open]): OpenPartition => ({
      partition,
      ...(parent === undefined ? {} : { parent }),
      ...position
    })
    return { ...named(last), ...(all.length === 0 ? {} : { open: all.map(named) }) }
  }
}
