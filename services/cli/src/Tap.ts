import { compactJson } from "@tributary/codec"
import { nearest } from "@tributary/domain"
import { Log, type LogError, type LogRecord } from "@tributary/log"
import { valueDecoder } from "@tributary/schema-registry"
import { Deferred, Duration, Effect, Schema } from "effect"
import { printable } from "./Format.ts"
import { Screen } from "./Screen.ts"

export interface TapOptions {
  readonly topic: string
  /** `earliest`, `latest`, or a number of records from the end. */
  readonly from: "earliest" | "latest" | number
  /** Stop after so many records; without it go on as records come. */
  readonly limit: number | undefined
  readonly follow: boolean
  readonly json: boolean
}

/** There is no such topic; there are others. */
export class NoSuchTopic extends Schema.TaggedError<NoSuchTopic>()("NoSuchTopic", {
  topic: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    const meant = nearest(this.topic, this.known)
    const known =
      this.known.length === 0 ? "There are no topics yet." : `The topics are:\n  ${this.known.toSorted().join("\n  ")}`
    return `There is no topic ${this.topic}.${meant === undefined ? "" : ` Did you mean ${meant}?`} ${known}`
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** `text` of JSON is the stored bytes but for white space, as repeated keys and numbers are shown as they are. */
interface Shown {
  readonly text: string
  readonly encoding: "json" | "text" | "base64"
}

/** What bytes are: JSON, or text that is not, or neither. */
const read = (bytes: Uint8Array): Shown => {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    // Not text: base64 keeps every byte.
    return { text: Buffer.from(bytes).toString("base64"), encoding: "base64" }
  }
  const json = compactJson(bytes)
  return json === undefined ? { text, encoding: "text" } : { text: json, encoding: "json" }
}

const forPerson = (bytes: Uint8Array): string => {
  const { encoding, text } = read(bytes)
  return encoding === "base64" ? `(${bytes.length} bytes, base64) ${text}` : printable(text)
}

const keyText = (key: Uint8Array): string => {
  const { encoding, text } = read(key)
  // A key is a text even where it looks like JSON, as `42` does.
  return encoding === "base64" ? text : utf8.decode(key)
}

const line = (partition: number, record: LogRecord, json: boolean): string => {
  const { headers, key, offset, timestamp } = record
  if (!json) {
    const value = record.value === null ? "(deleted)" : forPerson(record.value)
    const names = Object.entries(headers).map(([name, text]) => `\n    ${printable(name)}: ${printable(text)}`)
    return `${partition}/${offset}  ${key === null ? "–" : printable(keyText(key))}  ${value}${names.join("")}\n`
  }
  const { encoding, text } = record.value === null ? { text: "null", encoding: "json" as const } : read(record.value)
  const place = JSON.stringify({ partition, offset, timestamp, key: key === null ? null : keyText(key) })
  const rest = JSON.stringify({ ...(encoding === "json" ? {} : { encoding }), headers })
  // The value stands in the line as it is stored.
  return `${place.slice(0, -1)},"value":${encoding === "json" ? text : JSON.stringify(text)},${rest.slice(1)}\n`
}

const nothing = new Uint8Array()
const most = { maxRecords: 500, maxBytes: 1_048_576 }
const bytes = new TextEncoder()

/** Prints the records of a topic; with `follow` also those to come. Joins no group and moves no position. */
export const tap = Effect.fn("cli.tap")(function* (options: TapOptions) {
  const { from, json, topic } = options
  const log = yield* Log
  const screen = yield* Screen
  const decoder = yield* valueDecoder
  const enough = yield* Deferred.make<void>()
  let left = options.limit ?? Number.POSITIVE_INFINITY
  const unknown = (error: LogError): Effect.Effect<never, LogError | NoSuchTopic> =>
    error.reason._tag === "UnknownTopic"
      ? Effect.flatMap(log.topics, (topics) => new NoSuchTopic({ topic, known: topics.map(({ name }) => name) }))
      : Effect.fail(error)
  const partitions = yield* log.offsets(topic).pipe(Effect.catch(unknown))

  const told = new Set<string>()
  /** The records with their values as JSON where they have a schema; as they are where that cannot be had, and it is said why. */
  const decoded = Effect.fnUntraced(function* (records: ReadonlyArray<LogRecord>) {
    const result = yield* Effect.result(decoder.decode(records.map(({ value }) => value ?? nothing)))
    if (result._tag === "Failure") {
      const { message } = result.failure
      if (!told.has(message)) yield* screen.note(message)
      told.add(message)
      return records
    }
    const { values } = result.success
    return records.map((record, index): LogRecord => {
      const value = values[index]
      return record.value === null || value === undefined || value === record.value ? record : { ...record, value }
    })
  })

  const print = Effect.fnUntraced(function* (partition: number, records: ReadonlyArray<LogRecord>) {
    const shown = yield* decoded(records.slice(0, left))
    left -= shown.length
    if (shown.length > 0)
      yield* screen.write(bytes.encode(shown.map((record) => line(partition, record, json)).join("")))
    if (left <= 0) yield* Deferred.succeed(enough, undefined)
  })

  /** Reads on from `next`; what retention has deleted meanwhile is passed over, and said. */
  const page = Effect.fnUntraced(function* (partition: number, next: number, wait: Duration.Duration) {
    const limits = { ...most, maxRecords: Math.max(1, Math.min(most.maxRecords, left)), wait }
    return yield* log.read(topic, partition, next, limits).pipe(
      Effect.catchIf(
        ({ reason }) => reason._tag === "OffsetOutOfRange" && reason.earliest > next,
        (error) =>
          Effect.gen(function* () {
            const earliest = error.reason._tag === "OffsetOutOfRange" ? error.reason.earliest : next
            yield* screen.note(`${topic}/${partition}: records ${next} to ${earliest - 1} are past their retention.`)
            return yield* log.read(topic, partition, earliest, limits)
          })
      )
    )
  })

  /** What there was at the start. */
  const backlog = Effect.fnUntraced(function* (partition: number, first: number, end: number) {
    for (let next = first; next < end;) {
      const batch = yield* page(partition, next, Duration.zero)
      if (batch.next === next) break
      yield* print(
        partition,
        batch.records.filter(({ offset }) => offset < end)
      )
      next = batch.next
    }
  })

  /** The last `count` records over all partitions, in the order in which they were written. */
  const newest = Effect.fnUntraced(function* (count: number) {
    const found: Array<{ readonly partition: number; readonly record: LogRecord }> = []
    for (const { earliest, end, partition } of partitions) {
      for (let next = Math.max(earliest, end - count); next < end;) {
        const batch = yield* page(partition, next, Duration.zero)
        if (batch.next === next) break
        for (const record of batch.records) if (record.offset < end) found.push({ partition, record })
        next = batch.next
      }
    }
    const last = found.toSorted((one, other) => one.record.timestamp - other.record.timestamp).slice(-count)
    for (const { partition, record } of last) yield* print(partition, [record])
  })

  const show = Effect.gen(function* () {
    if (typeof from === "number") {
      if (from > 0) yield* newest(from)
    } else if (from === "earliest") {
      for (const { earliest, end, partition } of partitions) yield* backlog(partition, earliest, end)
    }
    if (!options.follow) return
    yield* Effect.forEach(
      partitions,
      ({ end, partition }) =>
        Effect.gen(function* () {
          for (let next = end; ;) {
            const batch = yield* page(partition, next, Duration.minutes(1))
            yield* print(partition, batch.records)
            next = batch.next
          }
        }),
      { concurrency: "unbounded", discard: true }
    )
  })
  if (left <= 0) return
  yield* Effect.raceAllFirst([show, Deferred.await(enough), screen.readerGone])
})
