import { Checkpoint, type Page } from "@tributary/connector"
import {
  checkpointsTopic,
  type Connector,
  deadTopic,
  outputTopic,
  rawTopic,
  rejectedHeaders,
  streamKey,
  streamOf
} from "@tributary/domain"
import { Log, type NewRecord } from "@tributary/log"
import { valueEncoder, type ValueEncoder } from "@tributary/schema-registry"
import { Duration, Effect, Schema } from "effect"

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

export const utf8 = new TextEncoder()
export const text = new TextDecoder()

/** What of a page is published, and what is not. */
export interface Published {
  readonly records: Page["records"]
  readonly rejected: ReadonlyArray<{
    readonly index: number
    readonly value: Uint8Array
    readonly code: string
    readonly reason: string
  }>
}

/** The page with its values as the topic has them. A record that does not fit its schema is rejected as it was sent. */
export const encodePage = Effect.fnUntraced(function* (
  page: Pick<Page, "records" | "rejected">,
  encoder: ValueEncoder
) {
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
export const toRecords = (
  page: Pick<Page, "checkpoint" | "number" | "snapshots">,
  published: Published,
  connector: string,
  stream: string
): ReadonlyArray<NewRecord> => {
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
export const snapshotKey = (connector: string, stream: string, shard: number): string =>
  `${streamKey(connector, stream)}#${shard}`

/**
 * Partitions of `_tributary.checkpoints`. A worker that hangs in a transaction holds up the start of all streams in its
 * partition until it is fenced, so they are spread.
 */
const checkpointPartitions = 16

/** Makes the topics that a source writes. */
export const ensureTopics = Effect.fnUntraced(function* (connector: Connector, stream: string) {
  const log = yield* Log
  const settings = streamOf(connector, stream)
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
})

/** The checkpoint of a stream, to be read by the producer that has fenced all others. */
export const storedCheckpoint = Effect.fnUntraced(function* (key: string) {
  const log = yield* Log
  const stored = yield* log.latest(checkpointsTopic, utf8.encode(key))
  return stored === null
    ? undefined
    : yield* decodeCheckpoint(text.decode(stored)).pipe(
        Effect.mapError((error) => new UnknownCheckpoint({ stream: key, problem: error.message }))
      )
})

/** Where the raw topic is the one that others read, its values are what the file says; before a transform they stay JSON. */
export const encoderOf = Effect.fnUntraced(function* (connector: Connector, stream: string) {
  const isOutput = outputTopic(connector, stream) === rawTopic(connector.connector, stream)
  return isOutput ? yield* valueEncoder(connector, stream) : undefined
})
