import { type Connector, seenTopic, streamOf } from "@tributary/domain"
import {
  Log,
  LogError,
  LogUnavailable,
  type NewRecord,
  type Offset,
  type Position,
  type TopicInfo
} from "@tributary/log"
import type { Checkpoint } from "@tributary/connector"
import { Duration, Effect } from "effect"
import { hash } from "node:crypto"
import { text } from "./Publish.ts"

/** So many deliveries are remembered by their ids; one that comes again after so many others is published again. */
const remembered = 200_000
/** Of an id the first bytes of its SHA-256 are kept: two of these that are the same by chance are not to be expected. */
const markLength = 16
/** Most marks of one record: 160 kB. */
const mostMarks = 10_000
const limits = { maxRecords: 10_000, maxBytes: 8_388_608, wait: Duration.seconds(5) }
/** A part of the log that was written but cannot be read yet (its leader has changed) is asked for so often. */
const mostWaits = 6

type Kept = NonNullable<Checkpoint["inbox"]>

const markOf = (id: string): string => hash("sha256", id, "buffer").toString("latin1", 0, markLength)

/** Reads a partition from `from` up to `end`, all of which was committed. */
const readThrough = Effect.fnUntraced(function* (
  topic: string,
  from: Offset,
  end: Offset,
  visit: (record: {
    readonly offset: Offset
    readonly key: Uint8Array | null
    readonly value: Uint8Array | null
  }) => void
) {
  const log = yield* Log
  let waits = 0
  for (let at = from; at < end;) {
    const batch = yield* log.read(topic, 0, at, limits)
    for (const record of batch.records) if (record.offset < end) visit(record)
    if (batch.next > at) {
      at = batch.next
      waits = 0
    } else if (++waits >= mostWaits) {
      // To go on without these would be to publish deliveries twice.
      const cause = new Error(`${topic}/0 can be read up to offset ${at} only, and was written up to ${end}`)
      return yield* new LogError({ reason: new LogUnavailable({ cause }) })
    }
  }
})

/**
 * The deliveries of a stream that were published, by their ids. They are kept in a topic of their own, written in the transaction that
 * publishes the deliveries: the next worker reads a few megabytes of it, however large the bodies in the inbox are.
 */
export class SeenDeliveries {
  readonly #topic: TopicInfo
  readonly #marks = new Set<string>()
  /** The same in their order; the oldest gives its place to the next. */
  readonly #ring: Array<string> = []
  #oldest = 0
  /** Not yet in the topic. */
  #fresh: Array<string> = []
  /** What the topic has of those that are remembered. */
  readonly #written: Array<{ readonly offset: Offset; readonly count: number }> = []
  #first = 0
  #count = 0
  /** Where the topic is to be read from. */
  #from: Offset

  private constructor(topic: TopicInfo, from: Offset) {
    this.#topic = topic
    this.#from = from
  }

  /**
   * Those of the stream's last workers, to be called by the producer that has fenced them. A checkpoint that does not say where they are,
   * or says it of a topic that is not there any more, is followed through the inbox instead, which takes as long as the bodies are large.
   */
  static readonly open = Effect.fn("source.seen")(function* (
    connector: Connector,
    stream: string,
    inbox: TopicInfo,
    kept: Kept | undefined
  ) {
    const log = yield* Log
    const topic = yield* log.ensureTopic({
      name: seenTopic(connector.connector, stream),
      partitions: 1,
      retention: streamOf(connector, stream).topic.retention
    })
    const { earliest = 0, end = 0 } = (yield* log.offsets(topic.name))[0] ?? {}
    const known = kept?.seen?.topic === topic.id ? Math.max(earliest, kept.seen.offset) : undefined
    const seen = new SeenDeliveries(topic, known ?? end)
    if (known !== undefined) {
      yield* readThrough(topic.name, known, end, ({ offset, value }) => seen.#restore(offset, value))
    } else if (kept !== undefined) {
      const first = (yield* log.offsets(inbox.name))[0]?.earliest ?? 0
      yield* readThrough(inbox.name, Math.max(first, kept.offset - remembered), kept.offset, ({ key }) => {
        if (key !== null) seen.add(text.decode(key))
      })
    }
    return seen
  })

  /** Remembers a delivery; `false`: it was remembered already. */
  add(id: string): boolean {
    const mark = markOf(id)
    if (this.#marks.has(mark)) return false
    this.#remember(mark)
    this.#fresh.push(mark)
    return true
  }

  /** What is to be written with the deliveries that were added. */
  records(): ReadonlyArray<NewRecord> {
    const records: Array<NewRecord> = []
    for (let at = 0; at < this.#fresh.length; at += mostMarks) {
      const value = Buffer.from(this.#fresh.slice(at, at + mostMarks).join(""), "latin1")
      records.push({ topic: this.#topic.name, key: null, value })
    }
    return records
  }

  /** Where the next worker finds them, those of `records` among them. */
  get place(): NonNullable<Kept["seen"]> {
    return { topic: this.#topic.id, offset: this.#from }
  }

  /** To be called with the places of `records` when they are written. */
  wrote(positions: ReadonlyArray<Position>): void {
    for (const [index, { offset }] of positions.entries()) {
      this.#keep(offset, Math.min(mostMarks, this.#fresh.length - index * mostMarks))
    }
    this.#fresh = []
  }

  #restore(offset: Offset, value: Uint8Array | null): void {
    if (value === null) return
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    const count = Math.floor(bytes.length / markLength)
    for (let at = 0; at < count * markLength; at += markLength) {
      const mark = bytes.toString("latin1", at, at + markLength)
      if (!this.#marks.has(mark)) this.#remember(mark)
    }
    this.#keep(offset, count)
  }

  #remember(mark: string): void {
    this.#marks.add(mark)
    if (this.#ring.length < remembered) {
      this.#ring.push(mark)
      return
    }
    this.#marks.delete(this.#ring[this.#oldest]!)
    this.#ring[this.#oldest] = mark
    this.#oldest = (this.#oldest + 1) % remembered
  }

  #keep(offset: Offset, count: number): void {
    this.#written.push({ offset, count })
    this.#count += count
    while (this.#first < this.#written.length - 1) {
      const { count: oldest } = this.#written[this.#first]!
      if (this.#count - oldest < remembered) break
      this.#count -= oldest
      this.#first++
    }
    this.#from = this.#written[this.#first]!.offset
    // Now and then, for it moves all others.
    if (this.#first >= 1000) {
      this.#written.splice(0, this.#first)
      this.#first = 0
    }
  }
}
