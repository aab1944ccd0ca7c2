import { Clock, Effect, Latch } from "effect"

/** Something that is due at a time, in milliseconds since 1970. Starting it takes no time. */
interface Entry {
  readonly at: number
  readonly start: Effect.Effect<unknown>
}

/** Entries by time, the first at hand (a binary heap). */
class Entries {
  readonly #heap: Array<Entry> = []
  get first(): Entry | undefined {
    return this.#heap[0]
  }
  add(entry: Entry): void {
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]!.at <= entry.at) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = entry
  }
  removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++
      if (heap[child]!.at >= last.at) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

export interface Timetable {
  /** Starts something when its time has come, in the timetable's scope and not in the caller's. */
  readonly add: (at: number, start: Effect.Effect<unknown>) => void
}

/** One fiber that waits for very many things, in place of one each. Ends with the scope. */
export const makeTimetable = Effect.gen(function* () {
  const entries = new Entries()
  const isSooner = Latch.makeUnsafe(false)
  const run = Effect.gen(function* () {
    for (;;) {
      isSooner.closeUnsafe()
      const { first } = entries
      const now = yield* Clock.currentTimeMillis
      if (first === undefined) yield* isSooner.await
      else if (first.at > now) yield* Effect.timeoutOption(isSooner.await, first.at - now)
      else {
        entries.removeFirst()
        yield* first.start
      }
    }
  })
  yield* Effect.forkScoped(run, { startImmediately: true })
  return {
    add: (at, start) => {
      entries.add({ at, start })
      if (entries.first?.start === start) isSooner.openUnsafe()
    }
  } satisfies Timetable
})
