import { Warehouse } from "@tributary/clickhouse"
import { Log } from "@tributary/log"
import { valueDecoder } from "@tributary/schema-registry"
import { Duration, Effect, Stream } from "effect"
import type { StreamApi } from "./Apis.ts"
import type { Comparison } from "./Findings.ts"
import { phantomTokens } from "./PhantomTokens.ts"
import { type ChaosStream, digestOf, digestSql, outputOracle, partitions, rawOracle } from "./Streams.ts"
import { compareView, TableCheck, type TableOracle } from "./TableCheck.ts"
import { type Oracle, type PartitionPlaces, TopicCheck } from "./TopicCheck.ts"

const limits = { maxRecords: 5_000, maxBytes: 4 * 1024 * 1024, wait: Duration.zero }
const text = new TextDecoder()

/** Name of the table that the aggregating view of a stream's table fills. */
export const countedTable = ({ table }: ChaosStream): string => `${table}_counted`

/** Reads a topic from its first record to its last, as a consumer that reads what is committed. */
export const checkTopic = Effect.fn("chaos.checkTopic")(function* (
  topic: string,
  oracle: Oracle,
  asSent: (value: string) => string = (value) => value
) {
  const log = yield* Log
  const { decode } = yield* valueDecoder
  const ends = yield* log.offsets(topic)
  const check = new TopicCheck(topic, ends.length, oracle)
  for (const { earliest, end, partition } of ends) {
    let next = earliest
    while (next < end) {
      const batch = yield* log.read(topic, partition, next, limits)
      const { values, wrong } = yield* decode(batch.records.map(({ value }) => value ?? new Uint8Array()))
      for (const [at, record] of batch.records.entries()) {
        check.accept(partition, record, wrong.get(at)?.reason ?? asSent(text.decode(values[at])))
      }
      if (batch.next === next) break
      next = batch.next
    }
  }
  return check
})

const checkTable = Effect.fn("chaos.checkTable")(function* (stream: ChaosStream, oracle: TableOracle) {
  const warehouse = yield* Warehouse
  const check = new TableCheck(stream.table, oracle)
  for (let partition = 0; partition < partitions; partition++) {
    const rows = warehouse.stream(
      `SELECT _partition, _offset, ${digestSql(stream)} FROM ${stream.table} WHERE _partition = ${partition} ORDER BY _offset`,
      "TabSeparated"
    )
    yield* rows.pipe(
      Stream.decodeText,
      Stream.splitLines,
      Stream.runForEachArray((lines) =>
        Effect.sync(() => {
          for (const line of lines) {
            const [place = "", offset = "", digest = ""] = line.split("\t")
            check.accept(Number(place), Number(offset), Number(digest))
          }
        })
      )
    )
  }
  // Rows of partitions that the topic does not have would not have been seen.
  const others = yield* warehouse.query(
    `SELECT _partition AS p, _offset AS o FROM ${stream.table} WHERE _partition >= ${partitions} ORDER BY p, o`
  )
  for (const { o, p } of others) check.accept(Number(p), Number(o), 0)
  return check.finish(`table ${stream.table} == topic ${stream.topic}`)
})

const checkView = Effect.fn("chaos.checkView")(function* (stream: ChaosStream, oracle: TableOracle) {
  const warehouse = yield* Warehouse
  const target = countedTable(stream)
  const rows = yield* warehouse.query(`SELECT p, sum(n) AS n, sum(s) AS s FROM ${target} GROUP BY p`)
  const found = rows.map(({ n, p, s }) => ({ partition: Number(p), rows: Number(n), sum: Number(s) }))
  const phantoms = (yield* phantomTokens(stream.table)) + (yield* phantomTokens(target))
  return compareView(`view ${target} == topic ${stream.topic}`, oracle, found, phantoms)
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
  readonly places: ReadonlyArray<PartitionPlaces>
}

/**
 * Compares for one stream: raw topic with the API, the topic behind the transform with what must have become of the records,
 * table with topic, and the aggregating view's target with the topic.
 */
export const verify = Effect.fn("chaos.verify")(function* ({ stream, total }: StreamApi) {
  const comparisons: Array<Comparison> = []
  const raw = yield* checkTopic(stream.rawTopic, rawOracle(stream, total))
  comparisons.push(raw.finish(`topic ${stream.rawTopic} == source`))
  const oracle = outputOracle(stream, total)
  let places = raw.places
  if (stream.topic !== stream.rawTopic) {
    const output = yield* checkTopic(stream.topic, oracle, stream.asSent)
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
  comparisons.push(yield* checkTable(stream, table), yield* checkView(stream, table))
  return { stream, comparisons, dead: yield* deadLetters(stream), places } satisfies Verified
})
