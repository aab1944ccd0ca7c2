import { Warehouse } from "@tributary/clickhouse"
import {
  checkTable,
  checkTopic,
  type Comparison,
  digestOf,
  digestSql,
  type Places,
  type TableOracle
} from "@tributary/load"
import { Log } from "@tributary/log"
import { Duration, Effect } from "effect"
import type { StreamApi } from "./Apis.ts"
import type { PhantomTokens } from "./PhantomTokens.ts"
import { type ChaosStream, outputOracle, partitions, rawOracle } from "./Streams.ts"
import { compareView } from "./ViewCheck.ts"

const limits = { maxRecords: 5_000, maxBytes: 4 * 1024 * 1024, wait: Duration.zero }
const text = new TextDecoder()

/** Name of the table that the aggregating view of a stream's table fills. */
export const countedTable = ({ table }: ChaosStream): string => `${table}_counted`

const checkView = Effect.fn("chaos.checkView")(function* (
  stream: ChaosStream,
  oracle: TableOracle,
  phantoms: PhantomTokens
) {
  const warehouse = yield* Warehouse
  const target = countedTable(stream)
  const rows = yield* warehouse.query(`SELECT p, sum(n) AS n, sum(s) AS s FROM ${target} GROUP BY p`)
  const found = rows.map(({ n, p, s }) => ({ partition: Number(p), rows: Number(n), sum: Number(s) }))
  return compareView(`view ${target} == topic ${stream.topic}`, oracle, found, yield* phantoms.count(target))
})

/** Records in dead-letter topics: none of the run's can be rejected. */
const deadLetters = Effect.fnUntraced(function* (stream: ChaosStream) {
  const log = yield* Log
  const topic = `dead.${stream.connector}.events`
  const found: Array<string> = []
  for (const { earliest, partition } of yield* log.offsets(topic)) {
    const { records } = yield* log.read(topic, partition, earliest, limits)
    for (const { headers, value } of records) {
      found.push(`${topic}: ${JSON.stringify(headers)} ${text.decode(value ?? new Uint8Array()).slice(0, 200)}`)
    }
  }
  return found
})

/** What the comparison of a stream has found, and where its records are. */
export interface Verified {
  readonly stream: ChaosStream
  readonly comparisons: ReadonlyArray<Comparison>
  readonly dead: ReadonlyArray<string>
  readonly places: ReadonlyArray<Places>
}

/**
 * Compares for one stream: raw topic with the API, the topic behind the transform with what must have become of the records,
 * table with topic, and the aggregating view's target with the topic.
 */
export const verify = Effect.fn("chaos.verify")(function* ({ stream, total }: StreamApi, phantoms: PhantomTokens) {
  const comparisons: Array<Comparison> = []
  const raw = yield* checkTopic(stream.rawTopic, rawOracle(stream, total), { keepsTimes: true })
  comparisons.push(raw.finish(`topic ${stream.rawTopic} == source`))
  const oracle = outputOracle(stream, total)
  let places = raw.places
  if (stream.topic !== stream.rawTopic) {
    const output = yield* checkTopic(stream.topic, oracle, { asSent: stream.asSent, keepsTimes: true })
    comparisons.push(output.finish(`topic ${stream.topic} == expected`))
    places = output.places
  }
  const digests = new Map<number, number>()
  const table: TableOracle = {
    places,
    digestOf: (slot) => {
      let digest = digests.get(slot)
      if (digest === undefined) digests.set(slot, (digest = digestOf(stream, oracle.expected(slot)?.value ?? "{}")))
      return digest
    },
    idOf: (slot) => oracle.expected(slot)?.id ?? `slot ${slot}`
  }
  const rows = { table: stream.table, topic: stream.topic, digest: digestSql(stream), partitions }
  comparisons.push(yield* checkTable(rows, table), yield* checkView(stream, table, phantoms))
  return { stream, comparisons, dead: yield* deadLetters(stream), places } satisfies Verified
})
