import { Effect } from "effect"
import type { Partition } from "./Catalog.ts"
import type { Offset } from "./Log.ts"

/** Readers that wait at the end of a partition, woken by the commit that moves it. */
export class Tail {
  readonly #waiting = new Map<number, Set<() => void>>()

  /** Ends when the partition goes beyond `end`, or when it was woken for another reason. */
  beyond(partition: Partition, end: Offset): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (partition.end > end) {
        resume(Effect.void)
        return
      }
      const wake = () => resume(Effect.void)
      const waiting = this.#waiting.get(partition.id) ?? new Set()
      this.#waiting.set(partition.id, waiting.add(wake))
      return Effect.sync(() => {
        waiting.delete(wake)
        if (waiting.size === 0 && this.#waiting.get(partition.id) === waiting) this.#waiting.delete(partition.id)
      })
    })
  }

  wake(partition: Partition): void {
    const waiting = this.#waiting.get(partition.id)
    if (waiting === undefined) return
    this.#waiting.delete(partition.id)
    for (const wake of waiting) wake()
  }

  /** The log closes: those who wait look again and find it closed. */
  wakeAll(): void {
    const all = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const waiting of all) for (const wake of waiting) wake()
  }
}
