import type { Batch, LogError, Offset } from "@tributary/log"
import { Clock, Duration, Effect, Fiber } from "effect"
import { Cluster, type ClusterOptions } from "./Cluster.ts"
import { Code } from "./Code.ts"
import type { Place, Progress } from "./Fetching.ts"
import { unavailable } from "./KafkaFault.ts"
import { listOffsets, type Side } from "./RecordRequests.ts"

interface StallOptions {
  /** How the brokers are reached. The watch asks them over connections of its own, with nothing of what readers know. */
  readonly cluster: ClusterOptions
  /** Milliseconds that a read may stand still in front of records. */
  readonly timeout: number
  /** Drops all connections of the readers, and what they know of the brokers. */
  readonly reset: () => void
  /** Called when neither joining again nor the reset has helped. */
  readonly onStalled: (message: string) => Effect.Effect<void>
}

/** A partition that is read, over all its claims in this process. */
interface Watched {
  /** Where reading stands. */
  at: Offset
  /** How long reads have waited there, milliseconds. What the reader does between them does not count. */
  waited: number
  /** Records were seen to be there up to `end`, when reads had waited for `waited`. */
  ahead: { readonly end: Offset; readonly waited: number } | undefined
  /** A look found reading at this place in front of an open transaction. */
  openAt: Offset | undefined
  look: Fiber.Fiber<void> | undefined
  /** Stalls in a row, and where the last one was. */
  stalls: number
  stalledAt: Offset
}

const lookTimeout = Duration.seconds(10)
const lookPause = Duration.seconds(1)

/**
 * Notices reads that stand still in front of records, because of a fault in this client or in a broker: a connection that
 * swallows answers, a broker that was cut off and answers as if it still led. A partition at rest is none of these, nor are
 * brokers that are away (that is a failure of its own), nor a transaction that somebody left open (of which it warns).
 *
 * The first stall fails the read, so that its member joins again; the second in a row also drops all connections and what is
 * known of the brokers; from the third on the process is asked to end.
 */
export class StallWatch {
  readonly #options: StallOptions
  readonly #watched = new Map<string, Watched>()
  #eyes: Cluster | undefined

  constructor(options: StallOptions) {
    this.#options = options
  }

  close(): void {
    this.#eyes?.close()
    this.#eyes = undefined
  }

  #of({ id, partition, topic }: Place, from: Offset): Watched {
    const key = `${id ?? topic}/${partition}`
    const known = this.#watched.get(key)
    if (known !== undefined) {
      this.#move(known, from)
      return known
    }
    const watched: Watched = {
      at: from,
      waited: 0,
      ahead: undefined,
      openAt: undefined,
      look: undefined,
      stalls: 0,
      stalledAt: -1
    }
    this.#watched.set(key, watched)
    return watched
  }

  #move(watched: Watched, at: Offset): void {
    if (watched.at === at) return
    watched.at = at
    watched.waited = 0
    watched.ahead = undefined
    // A new claim may read again what lies before the place of the stall.
    if (at > watched.stalledAt) watched.stalls = 0
  }

  /** The end of a partition as a process that starts now would be told. */
  readonly #end = Effect.fnUntraced(function* (eyes: Cluster, { partition, topic }: Place, side: Side) {
    const [answer] = yield* eyes.toLeader(topic, partition, listOffsets([{ topic, partition }], side))
    return answer?.code === Code.none ? answer.offset : undefined
  })

  readonly #look = Effect.fnUntraced({ self: this }, function* (this: StallWatch, place: Place, watched: Watched) {
    const { at } = watched
    const eyes = (this.#eyes ??= new Cluster(this.#options.cluster))
    eyes.forget(place.topic)
    // In this order: more may be written in between.
    const ends = yield* Effect.all([this.#end(eyes, place, "readable"), this.#end(eyes, place, "end")]).pipe(
      Effect.timeout(lookTimeout),
      Effect.orElseSucceed(() => [])
    )
    const [readable, end] = ends
    if (readable === undefined || end === undefined) {
      // The brokers are away, or these eyes have gone bad: the next look is with new ones.
      if (this.#eyes === eyes) this.close()
      return yield* Effect.sleep(lookPause)
    }
    if (watched.at !== at) return
    if (readable > at) {
      watched.ahead = { end: readable, waited: watched.waited }
      return
    }
    // All that can be read has been.
    watched.waited = 0
    watched.stalls = 0
    if (end > at && watched.openAt === at)
      yield* Effect.logWarning(
        `${place.topic}/${place.partition} cannot be read beyond offset ${at}: a transaction has been open there for a long time. Find its producer with kafka-transactions.sh find-hanging.`
      )
    watched.openAt = end > at ? at : undefined
  })

  /** A look goes on when the read ends in which it began, so that short reads come to one too. */
  readonly #looking = Effect.fnUntraced({ self: this }, function* (this: StallWatch, place: Place, watched: Watched) {
    watched.look ??= yield* Effect.forkDetach(
      Effect.ensuring(
        this.#look(place, watched),
        Effect.sync(() => (watched.look = undefined))
      )
    )
    yield* Fiber.await(watched.look)
  })

  readonly #stalled = Effect.fnUntraced(
    { self: this },
    function* (
      this: StallWatch,
      { partition, topic }: Place,
      watched: Watched,
      end: Offset
    ): Effect.fn.Return<never, LogError> {
      const { at } = watched
      const seconds = Math.round(watched.waited / 1000)
      watched.waited = 0
      watched.ahead = undefined
      watched.stalledAt = Math.max(watched.stalledAt, at)
      watched.stalls++
      const what = `reading ${topic}/${partition} stands still at offset ${at}: nothing came for ${seconds} s, though there are records up to ${end}`
      const step =
        watched.stalls === 1
          ? "It is tried again as a new member of the group"
          : watched.stalls === 2
            ? "It is the second time: all connections are made anew"
            : `It is the ${watched.stalls}. time in a row, and new connections did not help: this process should be started again`
      const message = `${what}. ${step}`
      yield* Effect.logWarning(message)
      if (watched.stalls === 2) this.#options.reset()
      if (watched.stalls > 2) yield* this.#options.onStalled(message)
      return yield* unavailable(new Error(message))
    }
  )

  /** Runs a read from `from` on; fails when it stands still in front of records. */
  readonly read = Effect.fnUntraced(
    { self: this },
    function* (
      this: StallWatch,
      place: Place,
      from: Offset,
      read: (progress: Progress) => Effect.Effect<Batch, LogError>
    ): Effect.fn.Return<Batch, LogError> {
      const watched = this.#of(place, from)
      const half = this.#options.timeout / 2
      const progress = { at: from }
      let since = yield* Clock.currentTimeMillis
      const count = Effect.map(Clock.currentTimeMillis, (now) => {
        this.#move(watched, progress.at)
        watched.waited += now - since
        since = now
      })
      const watch = Effect.gen({ self: this }, function* () {
        for (;;) {
          const { ahead, waited } = watched
          // Twice half the time: records that have just come are no reason.
          const left = half + (ahead?.waited ?? 0) - waited
          if (left > 0) yield* Effect.sleep(Duration.millis(left))
          else if (ahead === undefined) yield* this.#looking(place, watched)
          else return yield* this.#stalled(place, watched, ahead.end)
          yield* count
        }
      })
      const batch = yield* Effect.ensuring(Effect.raceFirst(read(progress), watch), count)
      this.#move(watched, batch.next)
      return batch
    }
  )
}
