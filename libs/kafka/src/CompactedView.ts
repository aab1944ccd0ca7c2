import type { LogError, Offset } from "@tributary/log"
import { Clock, Duration, Effect, Semaphore } from "effect"
import type { Cluster } from "./Cluster.ts"
import type { Fetching, Place } from "./Fetching.ts"
import { unavailable } from "./KafkaFault.ts"
import type { Topics } from "./Topics.ts"

/** Longer than a transaction of a dead producer can stay open: its time limit, and the broker's sweep after it. */
const maxOpenTransaction = 60_000
const page = { maxRecords: 10_000, maxBytes: 8 * 1024 * 1024 }
const step = Duration.millis(500)

const nameOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1")

/**
 * The last value of each key in one partition of a compacted topic, read once and then kept up to date by what was added.
 * Keys are kept as Latin-1 text, one character per byte.
 */
export class CompactedView {
  readonly #cluster: Cluster
  readonly #topics: Topics
  readonly #fetching: Fetching
  readonly #place: Place
  readonly #values = new Map<string, Uint8Array>()
  readonly #turn = Semaphore.makeUnsafe(1)
  #next: Offset | undefined

  constructor(cluster: Cluster, topics: Topics, fetching: Fetching, place: Place) {
    this.#cluster = cluster
    this.#topics = topics
    this.#fetching = fetching
    this.#place = place
  }

  /**
   * Reads up to the high watermark as of now. It stands behind every record that was acknowledged before, also behind those
   * of a committed transaction whose marker is not written yet, and reading committed records cannot pass a transaction
   * without knowing how it ended. So when the mark is reached, everything that was committed before the call has been seen.
   * (The last stable offset, which clients often take for the end, stands before them.)
   */
  readonly #catchUp = Effect.fnUntraced({ self: this }, function* (this: CompactedView): Effect.fn.Return<
    void,
    LogError
  > {
    const { partition, topic } = this.#place
    const end = yield* this.#cluster.call(this.#topics.end(topic, partition))
    let at = this.#next ?? (yield* this.#cluster.call(this.#topics.earliest(topic, partition)))
    let moved = yield* Clock.currentTimeMillis
    while (at < end) {
      const batch = yield* this.#fetching.read(this.#place, at, { ...page, wait: step })
      for (const { key, value } of batch.records) {
        if (key === null) continue
        const name = nameOf(key)
        if (value === null) this.#values.delete(name)
        // A copy, because the value is a part of the whole answer's bytes.
        else this.#values.set(name, Uint8Array.from(value))
      }
      const now = yield* Clock.currentTimeMillis
      if (batch.next > at) moved = now
      else if (now - moved > maxOpenTransaction)
        return yield* unavailable(
          new Error(
            `${topic}/${partition} cannot be read beyond offset ${at}: a transaction has been open there for more than ${maxOpenTransaction / 1000} s. Find its producer with kafka-transactions.sh find-hanging.`
          )
        )
      at = batch.next
      this.#next = at
    }
  })

  latest(key: Uint8Array): Effect.Effect<Uint8Array | null, LogError> {
    const name = nameOf(key)
    return Effect.map(this.#turn.withPermit(this.#catchUp()), () => this.#values.get(name) ?? null)
  }
}
