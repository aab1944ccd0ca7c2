import { Checkpoint, make, nextRun, type Page, type Source } from "@tributary/connector"
import {
  checkpointsTopic,
  type Connector,
  deadTopic,
  outputTopic,
  parsePoll,
  rawTopic,
  rejectedHeaders,
  streamKey,
  streamOf
} from "@tributary/domain"
import { Log, type LogError, type NewRecord, type Producer } from "@tributary/log"
import { valueEncoder, type ValueEncoder } from "@tributary/schema-registry"
import { authorizationOfConnector, makeConsentWatch } from "@tributary/oauth"
import { type Reporter, Status, supervise, type SuperviseOptions } from "@tributary/telemetry"
import { TokenStore } from "@tributary/vault"
import { Clock, Duration, Effect, Option, Random, Schema, Stream } from "effect"

const CheckpointText = Schema.fromJsonString(Checkpoint)
const decodeCheckpoint = Schema.decodeUnknownEffect(CheckpointText)
const encodeCheckpoint = Schema.encodeSync(CheckpointText)

/** The stored checkpoint cannot be read: another version of the program wrote it. */
export class UnknownCheckpoint extends Schema.TaggedError<UnknownCheckpoint>()("UnknownCheckpoint", {
  stream: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `The checkpoint of ${this.stream} cannot be read (${this.problem}). Run the version that wrote it, or reset the stream.`
  }
}

const utf8 = new TextEncoder()
const text = new TextDecoder()

/** What of a page is published, and what is not. */
interface Published {
  readonly records: Page["records"]
  readonly rejected: ReadonlyArray<{
    readonly index: number
    readonly value: Uint8Array
    readonly code: string
    readonly reason: string
  }>
}

/** The page with its values as the topic has them. A record that does not fit its schema is rejected as it was sent. */
const encodePage = Effect.fnUntraced(function* (page: Page, encoder: ValueEncoder) {
  const { rejected, values } = yield* encoder.encode(page.records.map(({ value }) => value))
  return {
    records: page.records.flatMap(({ key }, index) => {
      const value = values[index]
      return value === undefined ? [] : [{ key, value }]
    }),
    rejected: [
      ...page.rejected,
      ...rejected.map(({ code, index, reason }) => ({ code, index, reason, value: page.records[index]!.value }))
    ]
  } satisfies Published
})

/** Everything of a page, and where to read on, as records of one transaction. */
const toRecords = (page: Page, published: Published, connector: string, stream: string): ReadonlyArray<NewRecord> => {
  const raw = rawTopic(connector, stream)
  const records: Array<NewRecord> = []
  for (const { key, value } of published.records) records.push({ topic: raw, key, value })
  for (const { code, index, reason, value } of published.rejected) {
    records.push({
      topic: deadTopic(connector, stream),
      key: null,
      value,
      headers: {
        // It quotes the record, and cuts it somewhere: half a surrogate pair is no text.
        [rejectedHeaders.reason]: reason.toWellFormed(),
        [rejectedHeaders.code]: code,
        [rejectedHeaders.stage]: "source",
        [rejectedHeaders.topic]: `page ${page.number}`,
        [rejectedHeaders.offset]: String(index)
      }
    })
  }
  records.push({
    topic: checkpointsTopic,
    key: utf8.encode(streamKey(connector, stream)),
    value: utf8.encode(encodeCheckpoint(page.checkpoint))
  })
  for (const { shard, text } of page.snapshots ?? []) {
    records.push({
      topic: checkpointsTopic,
      key: utf8.encode(snapshotKey(connector, stream, shard)),
      value: utf8.encode(text)
    })
  }
  return records
}

/** The key of a part of a checkpoint that is too large to be written with each. */
const snapshotKey = (connector: string, stream: string, shard: number): string =>
  `${streamKey(connector, stream)}#${shard}`

/** Where a stream goes on: its checkpoint, and the parts of it that are kept beside. */
interface Place {
  readonly checkpoint: Checkpoint | undefined
  readonly snapshots: ReadonlyArray<string>
}

/** One walk, or the rest of one: each page and its checkpoint are one transaction. Returns where the stream goes on. */
const walk = Effect.fn("source.walk")(function* (
  source: Source,
  producer: Producer,
  reporter: Reporter,
  connector: string,
  stream: string,
  encoder: ValueEncoder | undefined,
  from: Place
) {
  let { checkpoint } = from
  const snapshots = [...from.snapshots]
  yield* source.pages(stream, from.checkpoint, { snapshots: from.snapshots }).pipe(
    Stream.runForEach((page) =>
      Effect.gen(function* () {
        const published = encoder === undefined ? page : yield* encodePage(page, encoder)
        yield* producer.transact({ records: toRecords(page, published, connector, stream) })
        checkpoint = page.checkpoint
        for (const { shard, text } of page.snapshots ?? []) snapshots[shard] = text
        yield* reporter.progress({
          records: published.records.length,
          bytes: page.bytes,
          rejected: published.rejected.length,
          skipped: page.skipped,
          unmarked: page.unmarked,
          ahead: page.ahead,
          unasked: page.unasked
        })
      })
    )
  )
  return { checkpoint, snapshots } satisfies Place
})

/** Timers stand still while a machine sleeps, and clocks are set; so the clock is looked at again and again. */
const longestSleep = 60_000

const sleepUntil = Effect.fnUntraced(function* (time: number) {
  for (let now = yield* Clock.currentTimeMillis; now < time; now = yield* Clock.currentTimeMillis) {
    yield* Effect.sleep(Math.min(time - now, longestSleep))
  }
})

export interface SourceOptions extends SuperviseOptions {
  /**
   * Succeeds while the connector belongs to this worker. Asked before a stream is taken over: a worker that was expelled must
   * not fence the one that has the connector now. Data is right without it; it saves taking each other's place in turn.
   */
  readonly owned?: Effect.Effect<void, LogError>
}

/**
 * Partitions of `_tributary.checkpoints`. A worker that hangs in a transaction holds up the start of all streams in its
 * partition until it is fenced, so they are spread.
 */
const checkpointPartitions = 16

const readStream = Effect.fnUntraced(function* (
  source: Source,
  connector: Connector,
  stream: string,
  reporter: Reporter,
  options: SourceOptions
) {
  const log = yield* Log
  const settings = streamOf(connector, stream)
  const key = streamKey(connector.connector, stream)
  yield* log.ensureTopic({ name: checkpointsTopic, partitions: checkpointPartitions, compacted: true })
  yield* log.ensureTopic({
    name: rawTopic(connector.connector, stream),
    partitions: settings.topic.partitions,
    retention: settings.topic.retention,
    ...(settings.topic.retention_bytes === undefined ? {} : { retentionBytes: settings.topic.retention_bytes })
  })
  yield* log.ensureTopic({
    name: deadTopic(connector.connector, stream),
    partitions: 1,
    retention: Duration.days(30)
  })
  if (options.owned !== undefined) yield* options.owned
  // Fence first, then read: whoever wrote this stream before can no longer move the checkpoint.
  const producer = yield* log.producer(key)
  const stored = yield* log.latest(checkpointsTopic, utf8.encode(key))
  const checkpoint =
    stored === null
      ? undefined
      : yield* decodeCheckpoint(text.decode(stored)).pipe(
          Effect.mapError((error) => new UnknownCheckpoint({ stream: key, problem: error.message }))
        )
  const kept: Array<string> = []
  for (let shard = 0; shard < (checkpoint?.partitions?.shards ?? 0); shard++) {
    const part = yield* log.latest(checkpointsTopic, utf8.encode(snapshotKey(connector.connector, stream, shard)))
    if (part === null) {
      const problem = `its part ${shard} is missing`
      return yield* new UnknownCheckpoint({ stream: key, problem })
    }
    kept.push(text.decode(part))
  }
  let place: Place = { checkpoint, snapshots: kept }
  // Where the raw topic is the one that others read, its values are what the file says; before a transform they stay JSON.
  const isOutput = outputTopic(connector, stream) === rawTopic(connector.connector, stream)
  const encoder = isOutput ? yield* valueEncoder(connector, stream) : undefined
  const poll = parsePoll(settings.poll)
  for (;;) {
    const now = yield* Clock.currentTimeMillis
    const due = nextRun(poll, settings.jitter, place.checkpoint, now, yield* Random.next)
    if (due > now) {
      // What is not due is caught up: a full refresh is not repeated because the process was.
      if (options.once) break
      yield* reporter.state("waiting", { nextAt: due })
      yield* sleepUntil(due)
    }
    yield* reporter.state("running")
    place = yield* walk(source, producer, reporter, connector.connector, stream, encoder, place)
    if (options.once) break
  }
  yield* reporter.state("done")
}, Effect.scoped)

/** Reports to all streams of a connector what concerns the connector as a whole. */
const toAll = (reporters: ReadonlyArray<Reporter>): Reporter => ({
  progress: (progress) => Effect.forEach(reporters, (reporter) => reporter.progress(progress), { discard: true }),
  state: (state, detail) => Effect.forEach(reporters, (reporter) => reporter.state(state, detail), { discard: true }),
  restarted: Effect.forEach(reporters, (reporter) => reporter.restarted, { discard: true }),
  batches: Effect.map(
    Effect.forEach(reporters, (reporter) => reporter.batches),
    (batches) => batches.reduce((sum, count) => sum + count, 0)
  )
})

/**
 * Reads the streams of a connector for as long as it runs, or with `once` until it has everything there is. Failures follow
 * the policy of their class, for each stream by itself; each try goes on from the last commit. With `once` it returns what
 * each stream that failed gave up for.
 */
export const runSource = Effect.fn("source.run")(function* (
  connector: Connector,
  base: string,
  options: SourceOptions
) {
  const status = yield* Status
  const id = connector.connector
  const streams = yield* Effect.forEach(Object.keys(connector.streams), (stream) =>
    Effect.map(status.reporter(id, stream, "source"), (reporter) => ({ stream, reporter }))
  )
  const tokens = yield* Effect.serviceOption(TokenStore)
  const authorization = authorizationOfConnector(connector, base)?.id ?? id
  /** Work goes on by itself once a person has consented, in whatever process they did. */
  const watch = Effect.suspend(() =>
    Option.isNone(tokens)
      ? Effect.succeed({ begin: Effect.void, options })
      : makeConsentWatch(authorization).pipe(
          Effect.provideService(TokenStore, tokens.value),
          Effect.map(({ begin, consented }) => ({ begin, options: { ...options, consented } }))
        )
  )
  const all = Effect.scoped(
    Effect.gen(function* () {
      const source = yield* make(connector, { base })
      return yield* Effect.forEach(
        streams,
        ({ reporter, stream }) =>
          Effect.flatMap(watch, ({ begin, options: watching }) =>
            supervise(
              reporter,
              Effect.andThen(begin, readStream(source, connector, stream, reporter, options)),
              watching
            )
          ).pipe(Effect.annotateLogs({ stream }), Effect.result),
        { concurrency: "unbounded" }
      )
    })
  )
  const whole = yield* watch
  return yield* supervise(
    toAll(streams.map(({ reporter }) => reporter)),
    Effect.andThen(whole.begin, all),
    whole.options
  ).pipe(
    Effect.map((results) => results.flatMap((result) => (result._tag === "Failure" ? [result.failure] : []))),
    Effect.catchTag("GaveUp", (gaveUp) => Effect.succeed([gaveUp])),
    Effect.annotateLogs({ connector: id, stage: "source" })
  )
})
