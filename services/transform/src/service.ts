import {
  type Connector,
  deadTopic,
  outputTopic,
  rawTopic,
  rejectedHeaders,
  streamOf,
  transformSteps
} from "@tributary/domain"
import { type Claim, Log, type NewRecord } from "@tributary/log"
import { type Reporter, Status, supervise, type SuperviseOptions } from "@tributary/telemetry"
import { Duration, Effect } from "effect"
import { compileTransform, type Transform } from "./Transform.ts"

/** Consumer group that transforms a stream. */
export const transformGroup = (connector: string, stream: string): string =>
  `tributary.transform.${connector}.${stream}`

const limits = { maxRecords: 5_000, maxBytes: 4 * 1024 * 1024, wait: Duration.minutes(1) }

interface Topics {
  readonly output: string
  readonly dead: string
}

/**
 * Reads one partition of a raw topic and writes what the transform makes of it, records and position in one transaction:
 * each raw record has its effect once, whatever dies.
 */
const transformPartition = Effect.fnUntraced(function* (
  claim: Claim,
  transform: Transform,
  topics: Topics,
  group: string,
  reporter: Reporter
) {
  const log = yield* Log
  // Fence first, then read the position: a predecessor's late transaction can no longer move it.
  const producer = yield* log.producer(`${group}/${claim.topic.name}/${claim.partition}`)
  const committed = yield* claim.committed
  const offsets = yield* log.offsets(claim.topic.name)
  let next = committed?.offset ?? offsets.find(({ partition }) => partition === claim.partition)?.earliest ?? 0
  for (;;) {
    const batch = yield* claim.read(next, limits)
    if (batch.records.length === 0) {
      yield* reporter.state("waiting")
      if (batch.next !== next) {
        yield* claim.commit(batch.next, "")
        next = batch.next
      }
      continue
    }
    yield* reporter.state("running")
    let bytes = 0
    const input = batch.records.map(({ offset, key, value }) => {
      bytes += value?.length ?? 0
      return { offset, key, value: value ?? new Uint8Array() }
    })
    const { out, rejected } = transform.apply(input)
    const records: Array<NewRecord> = out.map(({ key, value }) => ({ topic: topics.output, key, value }))
    for (const { index, code, reason } of rejected) {
      const record = batch.records[index]!
      records.push({
        topic: topics.dead,
        key: record.key,
        value: record.value,
        headers: {
          // It quotes the record, and cuts it somewhere: half a surrogate pair is no text.
          [rejectedHeaders.reason]: reason.toWellFormed(),
          [rejectedHeaders.code]: code,
          [rejectedHeaders.stage]: "transform",
          [rejectedHeaders.topic]: claim.topic.name,
          [rejectedHeaders.partition]: String(claim.partition),
          [rejectedHeaders.offset]: String(record.offset)
        }
      })
    }
    yield* producer.transact({ records, consumed: { claim, offset: batch.next } })
    next = batch.next
    yield* reporter.progress({ records: batch.records.length, bytes, rejected: rejected.length })
    if (rejected.length > 0) {
      yield* Effect.logWarning("Records rejected.").pipe(
        Effect.annotateLogs({ count: rejected.length, topic: topics.dead, code: rejected[0]!.code })
      )
    }
    if (next >= batch.end) yield* reporter.state("waiting")
  }
}, Effect.scoped)

/** Transforms a stream for as long as it runs. Returns at once when the stream has no transform. */
export const runTransform = Effect.fn("transform.run")(function* (
  connector: Connector,
  stream: string,
  base: string,
  options: SuperviseOptions
) {
  const output = outputTopic(connector, stream)
  const raw = rawTopic(connector.connector, stream)
  if (output === raw) return
  const log = yield* Log
  const reporter = yield* (yield* Status).reporter(connector.connector, stream, "transform")
  const group = transformGroup(connector.connector, stream)
  const settings = streamOf(connector, stream).topic
  const work = Effect.gen(function* () {
    const transform = yield* compileTransform(transformSteps(connector, stream), {
      connector: connector.connector,
      stream,
      base
    })
    const topics = { output, dead: deadTopic(connector.connector, stream) }
    for (const name of [raw, topics.output]) {
      yield* log.ensureTopic({
        name,
        partitions: settings.partitions,
        retention: settings.retention,
        ...(settings.retention_bytes === undefined ? {} : { retentionBytes: settings.retention_bytes })
      })
    }
    yield* log.ensureTopic({ name: topics.dead, partitions: 1, retention: Duration.days(30) })
    return yield* log.consume({ group, topics: [raw] }, (claim) =>
      transformPartition(claim, transform, topics, group, reporter)
    )
  })
  return yield* supervise(reporter, work, options).pipe(
    Effect.annotateLogs({ connector: connector.connector, stream, stage: "transform" })
  )
})
