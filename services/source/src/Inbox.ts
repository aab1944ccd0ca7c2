import { deliveryReader, type KeptDelivery, type Page, SourceError } from "@tributary/connector"
import { type Connector, inboxTopic, streamKey, streamOf } from "@tributary/domain"
import { type Batch, Log, type LogError } from "@tributary/log"
import type { Reporter } from "@tributary/telemetry"
import { Duration, Effect } from "effect"
import { encodePage, encoderOf, ensureTopics, storedCheckpoint, text, toRecords } from "./Publish.ts"
import { SeenDeliveries } from "./SeenDeliveries.ts"

/** Most deliveries, and bytes, of one transaction. */
const limits = { maxRecords: 1000, maxBytes: 8_388_608 }
const wait = Duration.seconds(1)

/** Makes the topic of a stream's deliveries. It has one partition: what comes twice meets itself there. */
export const ensureInbox = Effect.fnUntraced(function* (connector: Connector, stream: string) {
  const log = yield* Log
  return yield* log.ensureTopic({
    name: inboxTopic(connector.connector, stream),
    partitions: 1,
    retention: streamOf(connector, stream).topic.retention
  })
})

export interface InboxOptions {
  readonly once: boolean
  readonly owned?: Effect.Effect<void, LogError>
}

/**
 * Publishes the deliveries of a stream once each, from its inbox into its raw topic: records and the position in the inbox are one
 * transaction of the producer that has fenced all others. With `once` it ends when the inbox is at its end. docs/decisions/0016 says why this
 * is exact.
 */
export const publishInbox = Effect.fn("source.inbox")(function* (
  connector: Connector,
  stream: string,
  reporter: Reporter,
  options: InboxOptions
) {
  const log = yield* Log
  const id = connector.connector
  const key = streamKey(id, stream)
  yield* ensureTopics(connector, stream)
  const topic = yield* ensureInbox(connector, stream)
  const read = yield* deliveryReader(connector, stream).pipe(
    Effect.mapError((reason) => new SourceError({ connector: id, stream, reason }))
  )
  const encoder = yield* encoderOf(connector, stream)
  if (options.owned !== undefined) yield* options.owned
  const producer = yield* log.producer(key)
  const stored = yield* storedCheckpoint(key)
  const { earliest = 0 } = (yield* log.offsets(topic.name))[0] ?? {}
  const known = stored?.inbox?.topic === topic.id ? stored.inbox.offset : undefined
  if (stored?.inbox !== undefined && known === undefined) {
    yield* Effect.logWarning(`The topic ${topic.name} was made anew; its deliveries are published from its beginning.`)
  }
  let next = known ?? earliest
  let number = 0
  /** There is more, which cannot be read yet. */
  let isBehind = false
  const seen = yield* SeenDeliveries.open(connector, stream, topic, known === undefined ? undefined : stored?.inbox)

  yield* reporter.state("running")
  for (;;) {
    const batch: Batch = yield* log.read(topic.name, 0, next, {
      ...limits,
      wait: options.once && !isBehind ? Duration.zero : wait
    })
    if (batch.records.length === 0) {
      // Nothing, or marks of the log's own: they are no reason for a transaction.
      next = batch.next
      isBehind = next < batch.end
      if (options.once && !isBehind) break
      yield* reporter.state("waiting")
      continue
    }
    const records: Array<Page["records"][number]> = []
    const rejected: Array<Page["rejected"][number]> = []
    let skipped = 0
    let bytes = 0
    for (const { headers, key: name, value } of batch.records) {
      if (name === null || value === null) continue
      const delivery: KeptDelivery = { id: text.decode(name), body: value, headers }
      // If the transaction fails, all of this begins anew.
      if (!seen.add(delivery.id)) {
        skipped++
        continue
      }
      bytes += value.length
      const found = yield* read(delivery)
      records.push(...found.records)
      for (const one of found.rejected) rejected.push({ ...one, index: rejected.length })
    }
    const page = { records, rejected }
    const published = encoder === undefined ? page : yield* encodePage(page, encoder)
    const checkpoint = { v: 1 as const, inbox: { topic: topic.id, offset: batch.next, seen: seen.place } }
    const made = toRecords({ checkpoint, number: number++ }, published, id, stream)
    const marks = seen.records()
    const positions = yield* producer.transact({ records: [...made, ...marks] })
    seen.wrote(positions.slice(made.length))
    next = batch.next
    yield* reporter.progress({
      records: published.records.length,
      bytes,
      rejected: published.rejected.length,
      skipped
    })
  }
  yield* reporter.state("done")
}, Effect.scoped)
