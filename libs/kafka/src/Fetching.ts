import { type Batch, LogError, type Offset, OffsetOutOfRange, type ReadLimits } from "@tributary/log"
import { Clock, Duration, Effect } from "effect"
import type { Cluster } from "./Cluster.ts"
import { Code } from "./Code.ts"
import { invalid, isTransient, type KafkaFault, Refused, toLogError, unusable } from "./KafkaFault.ts"
import { committedRecords } from "./RecordBatch.ts"
import { fetchRecords } from "./RecordRequests.ts"
import type { Topics } from "./Topics.ts"

/** How long a broker holds a read at the end of a partition, milliseconds. A read that is given up occupies its connection for so long. */
const maxHold = 1000
/** Bytes that one answer may have; a single batch may have more. */
const minFetch = 64 * 1024
const maxFetch = 16 * 1024 * 1024
/** Waits this long before it asks again after an error, milliseconds. */
const pause = 100

export interface Place {
  readonly topic: string
  readonly partition: number
  /** The topic as it was when the reader began; reading another one of that name would be wrong. */
  readonly id?: string
}

/** How far a read has come; it keeps this up to date. */
export interface Progress {
  at: Offset
}

/** Reads committed records of partitions. */
export class Fetching {
  readonly #cluster: Cluster
  readonly #topics: Topics

  constructor(cluster: Cluster, topics: Topics) {
    this.#cluster = cluster
    this.#topics = topics
  }

  /** Fails when the topic or the partition is not there (any more). */
  readonly check = Effect.fnUntraced(
    { self: this },
    function* (this: Fetching, { id, partition, topic }: Place): Effect.fn.Return<void, LogError> {
      let found = yield* this.#topics.topic(topic)
      if (found.partitions[partition] === undefined || (id !== undefined && found.id !== id)) {
        // It may have been made, or have grown, since it was last looked at.
        this.#cluster.forget(topic)
        found = yield* this.#topics.topic(topic)
      }
      if (id !== undefined && found.id !== id)
        return yield* invalid(
          `Topic ${topic} has been deleted and made again; what was read of it is of the one before.`
        )
      if (found.partitions[partition] === undefined)
        return yield* invalid(
          `Topic ${topic} has no partition ${partition}; it has ${found.partitions.length}, numbered from 0.`
        )
    }
  )

  readonly #outOfRange = Effect.fnUntraced(
    { self: this },
    function* (
      this: Fetching,
      { partition, topic }: Place,
      offset: Offset
    ): Effect.fn.Return<never, KafkaFault | LogError> {
      this.#cluster.forget(topic)
      const earliest = yield* this.#cluster.call(this.#topics.earliest(topic, partition))
      const end = yield* this.#cluster.call(this.#topics.end(topic, partition))
      // Said by a broker that does not lead the partition any more, or does not yet know how far it goes.
      if (earliest <= offset && offset <= end)
        return yield* new Refused({ code: Code.offsetNotAvailable, what: `reading ${topic}/${partition}`, topic })
      return yield* new LogError({ reason: new OffsetOutOfRange({ topic, partition, offset, earliest, end }) })
    }
  )

  /** One answer of the leader. */
  readonly #once = Effect.fnUntraced(
    { self: this },
    function* (
      this: Fetching,
      place: Place,
      from: Offset,
      limits: ReadLimits,
      wait: number
    ): Effect.fn.Return<Batch, KafkaFault | LogError> {
      const { partition, topic } = place
      const what = `reading ${topic}/${partition}`
      const maxBytes = Math.min(maxFetch, Math.max(minFetch, limits.maxBytes))
      const answer = yield* this.#cluster.toLeader(
        topic,
        partition,
        fetchRecords({ topic, partition, from, maxBytes, wait })
      )
      const code = answer === undefined ? Code.notLeader : answer.code
      if (code === Code.offsetOutOfRange) return yield* this.#outOfRange(place, from)
      if (answer === undefined || code !== Code.none) {
        this.#cluster.forget(topic)
        return yield* new Refused({ code, what, topic, needs: { topic: ["Read", topic] } })
      }
      const page = yield* Effect.try({
        try: () => committedRecords(answer.records, answer.aborts, from, limits),
        catch: (cause) => {
          if (cause instanceof Error)
            return unusable(this.#cluster.name, `${topic}/${partition} from offset ${from}: ${cause.message}`)
          throw cause
        }
      })
      return { ...page, end: answer.highWatermark }
    }
  )

  /**
   * Reads from `from` on, and waits as the limits say while there is nothing. `check` is asked before each request, and
   * fails when reading is not allowed any more. `progress` follows the read over what is no record.
   */
  readonly read = Effect.fnUntraced(
    { self: this },
    function* (
      this: Fetching,
      place: Place,
      from: Offset,
      limits: ReadLimits,
      check: Effect.Effect<void, LogError> = Effect.void,
      progress?: Progress
    ): Effect.fn.Return<Batch, LogError> {
      if (!Number.isSafeInteger(from) || from < 0)
        return yield* invalid(`The offset to read from must be a whole number from 0 on, found ${from}.`)
      const start = yield* Clock.currentTimeMillis
      const deadline = Duration.isFinite(limits.wait) ? start + Duration.toMillis(limits.wait) : Infinity
      let at = from
      // The last moment of good contact with the leader.
      let seen = start
      for (;;) {
        yield* this.check(place)
        yield* check
        const left = deadline - (yield* Clock.currentTimeMillis)
        const wait = Math.max(0, Math.min(maxHold, Math.ceil(left)))
        const result = yield* Effect.result(this.#once(place, at, limits, wait))
        const now = yield* Clock.currentTimeMillis
        if (result._tag === "Success") {
          yield* check
          const batch = result.success
          if (batch.records.length > 0 || now >= deadline) return batch
          if (limits.returnsGaps === true && batch.next > at) return batch
          // Markers, or records of aborted transactions: they are behind us.
          at = batch.next
          if (progress !== undefined) progress.at = at
          seen = now
          continue
        }
        const fault = result.failure
        if (fault._tag === "LogError") return yield* fault
        if (!isTransient(fault) || now - seen >= this.#cluster.options.patience)
          return yield* toLogError(this.#cluster)(fault)
        yield* Effect.sleep(Duration.millis(pause))
      }
    }
  )
}
