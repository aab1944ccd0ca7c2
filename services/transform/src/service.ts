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
import { valueDecoder, type ValueDecoder, valueEncoder, type ValueEncoder } from "@tributary/schema-registry"
import { type Reporter, Status, supervise, type SuperviseOptions } from "@tributary/telemetry"
import { Duration, Effect } from "effect"
import { compileTransform, type Transform, type TransformResult } from "./Transform.ts"

/** Consumer group that transforms a stream. */
export const transformGroup = (connector: string, stream: string): string =>
  `tributary.transform.${connector}.${stream}`

const nothing = new Uint8Array()
const limits = { maxRecords: 5_000, maxBytes: 4 * 1024 * 1024, wait: Duration.minutes(1), returnsGaps: true }

interface Topics {
  readonly output: string
  readonly dead: string
}

/** How values stand in the raw topic, and in the output topic. */
interface Codecs {
  readonly decoder: ValueDecoder
  readonly encoder: ValueEncoder | undefined
}

/** What a transform made, as the output topic has its values. A record is rejected whole if anything made of it does not fit. */
const encodeResult = Effect.fnUntraced(function* ({ out, rejected }: TransformResult, encoder: ValueEncoder) {
  const encoded = yield* encoder.encode(out.map(({ value }) => value))
  const unfit = new Map<number, { readonly index: number; readonly code: string; readonly reason: string }>()
  for (const { code, index, reason } of encoded.rejected) {
    const { source } = out[index]!
    if (!unfit.has(source)) unfit.set(source, { index: source, code, reason })
  }
  return {
    out: out.flatMap((made, index) => {
      const value = encoded.values[index]
      return value === undefined || unfit.has(made.source) ? [] : [{ ...made, value }]
    }),
    rejected: [...rejected, ...unfit.values()]
  } satisfies TransformResult
})

/**
 * Reads one partition of a raw topic and writes what the transform makes of it, records and position in one transaction:
 * each raw record has its effect once, whatever dies.
 */
const transformPartition = Effect.fnUntraced(function* (
  claim: Claim,
  transform: Transform,
  codecs: Codecs,
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
    const decoded = yield* codecs.decoder.decode(
      batch.records.map(({ value }) => {
        bytes += value?.length ?? 0
        return value ?? nothing
      })
    )
    const input = batch.records.map(({ offset, key }, index) => ({ offset, key, value: decoded.values[index]! }))
    const made = transform.apply(input)
    const { out, rejected } = codecs.encoder === undefined ? made : yield* encodeResult(made, codecs.encoder)
    const records: Array<NewRecord> = out.map(({ key, value }) => ({ topic: topics.output, key, value }))
    for (const { index, ...rejection } of rejected) {
      const record = batch.records[index]!
      // What could not be read was taken for a record that is no JSON.
      const { code, reason } = decoded.wrong.get(index) ?? rejection
      records.push({
        topic: topics.dead,
        key: record.key,
        value: record.value === null ? null : decoded.values[index]!,
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
  let compiled: Transform | undefined
  const work = Effect.gen(function* () {
    // Once, however often the work begins again: a module that was loaded stays in memory for as long as the process runs.
    const transform = (compiled ??= yield* compileTransform(transformSteps(connector, stream), {
      connector: connector.connector,
      stream,
      base
    }))
    const codecs = { decoder: yield* valueDecoder, encoder: yield* valueEncoder(connector, stream) }
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
      transformPartition(claim, transform, codecs, topics, group, reporter)
    )
  })
  return yield* supervise(reporter, work, options).pipe(
    Effect.annotateLogs({ connector: connector.connector, stream, stage: "transform" })
  )
})
