import { Warehouse } from "@tributary/clickhouse"
import { Log } from "@tributary/log"
import { valueDecoder } from "@tributary/schema-registry"
import { Duration, Effect, Stream } from "effect"
import type { Comparison, Findings } from "./Findings.ts"
import type { Verification } from "./LoadResult.ts"
import { digestOf, digestSql, type LoadStream, outputOracle, rawOracle } from "./LoadStreams.ts"
import { TableCheck, type TableOracle } from "./TableCheck.ts"
import { type Oracle, TopicCheck } from "./TopicCheck.ts"

const limits = { maxRecords: 5_000, maxBytes: 4 * 1024 * 1024, wait: Duration.zero }
const text = new TextDecoder()
/** Differences of one comparison that the result names. */
const mostNamed = 30

/** Counts how many records of a partition come before each of the ends that it had over time. */
class Published {
  readonly #ends: ReadonlyArray<number | undefined>
  readonly #counts: Float64Array
  #next = 0
  #found = 0

  constructor(ends: ReadonlyArray<number | undefined>, counts: Float64Array) {
    this.#ends = ends
    this.#counts = counts
  }

  record(offset: number): void {
    while (this.#next < this.#ends.length && (this.#ends[this.#next] ?? 0) <= offset) this.#pass()
    this.#found++
  }

  #pass(): void {
    this.#counts[this.#next] = this.#counts[this.#next]! + this.#found
    this.#next++
  }

  end(): void {
    while (this.#next < this.#ends.length) this.#pass()
  }
}

/** Ends of the partitions of one topic, look by look, and where the records before them are counted. */
export interface PublishedLooks {
  readonly ends: ReadonlyArray<ReadonlyArray<number>>
  readonly counts: Float64Array
}

/** Reads a topic from its first record to its last, as a consumer that reads what is committed. */
export const checkTopic = Effect.fn("load.checkTopic")(function* (
  topic: string,
  oracle: Oracle,
  options: {
    readonly asSent?: (value: string) => string
    readonly published?: PublishedLooks
    readonly keepsTimes?: boolean
  } = {}
) {
  const { asSent, keepsTimes, published } = options
  const log = yield* Log
  const { decode } = yield* valueDecoder
  const ends = yield* log.offsets(topic)
  const check = new TopicCheck(topic, ends.length, oracle, keepsTimes)
  for (const { earliest, end, partition } of ends) {
    const counter =
      published &&
      new Published(
        published.ends.map((all) => all[partition]),
        published.counts
      )
    let next = earliest
    while (next < end) {
      const batch = yield* log.read(topic, partition, next, limits)
      const { values, wrong } = yield* decode(batch.records.map(({ value }) => value ?? new Uint8Array()))
      for (const [at, record] of batch.records.entries()) {
        const value = text.decode(values[at])
        check.accept(partition, record, wrong.get(at)?.reason ?? (asSent === undefined ? value : asSent(value)))
        counter?.record(record.offset)
      }
      if (batch.next === next) break
      next = batch.next
    }
    counter?.end()
  }
  return check
})

/**
 * Offsets that one query reads. Rows are sorted in memory, part after part: to read all parts of a large table at once, in their
 * order, takes buffers of every column of every part.
 */
const rowsAtOnce = 1_000_000

/** What a table is compared by. */
export interface CheckedTable {
  readonly table: string
  readonly topic: string
  /** SQL of the digest of a row. */
  readonly digest: string
  readonly partitions: number
}

/** Compares a table with the records of the topic that it was loaded from, row by row. */
export const checkTable = Effect.fn("load.checkTable")(function* (
  { digest, partitions, table, topic }: CheckedTable,
  oracle: TableOracle
) {
  const warehouse = yield* Warehouse
  const check = new TableCheck(table, oracle)
  const read = (partition: number, from: number) =>
    warehouse.stream(
      `SELECT _partition, _offset, ${digest} FROM ${table} WHERE _partition = ${partition} AND _offset >= ${from} AND _offset < ${from + rowsAtOnce} ` +
        "ORDER BY _offset SETTINGS optimize_read_in_order = 0, max_threads = 2",
      "TabSeparated"
    )
  for (let partition = 0; partition < partitions; partition++) {
    const [last] = yield* warehouse.query(
      `SELECT count() AS count, max(_offset) AS offset FROM ${table} WHERE _partition = ${partition}`
    )
    const end = Number(last?.["count"] ?? 0) === 0 ? 0 : Number(last?.["offset"]) + 1
    const rows = Stream.range(0, Math.ceil(end / rowsAtOnce) - 1).pipe(
      Stream.flatMap((part) => read(partition, part * rowsAtOnce))
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
    `SELECT _partition AS p, _offset AS o FROM ${table} WHERE _partition >= ${partitions} ORDER BY p, o LIMIT 10000`
  )
  for (const { o, p } of others) check.accept(Number(p), Number(o), 0)
  return check.finish(`table ${table} == topic ${topic}`)
})

const countOf = ({ differences }: Comparison, kind: string): number =>
  differences.find((one) => one.kind === kind)?.count ?? 0

const linesOf = (findings: ReadonlyArray<Findings>): ReadonlyArray<string> =>
  findings.flatMap(({ count, kind, lines }) => {
    const named = lines.slice(0, mostNamed).map((line) => `${kind}: ${line}`)
    return lines.length > mostNamed ? [...named, `${kind}: ${count} in all`] : named
  })

const resultOf = (comparison: Comparison): Verification => ({
  what: comparison.what,
  expected: comparison.expected,
  found: comparison.found,
  missing: countOf(comparison, "lost"),
  duplicated: countOf(comparison, "duplicated"),
  altered: countOf(comparison, "altered"),
  foreign: countOf(comparison, "foreign"),
  differences: linesOf(comparison.differences)
})

/** A place that is not there at all holds nothing of what was expected. */
const absent = (what: string, expected: number): Verification => ({
  what,
  expected,
  found: 0,
  missing: expected,
  duplicated: 0,
  altered: 0,
  foreign: 0,
  differences: expected === 0 ? [] : ["it does not exist"]
})

/** Records in the dead-letter topic of a stream: none can be rejected. */
const checkDead = Effect.fnUntraced(function* ({ deadTopic }: LoadStream) {
  const log = yield* Log
  const found: Array<string> = []
  let count = 0
  for (const { earliest, end, partition } of yield* log.offsets(deadTopic)) {
    for (let next = earliest; next < end;) {
      const batch = yield* log.read(deadTopic, partition, next, limits)
      for (const { headers, offset } of batch.records) {
        if (count++ < mostNamed) found.push(`rejected: ${deadTopic}/${partition}@${offset}: ${JSON.stringify(headers)}`)
      }
      if (batch.next === next) break
      next = batch.next
    }
  }
  const what = `topic ${deadTopic} is empty`
  return { ...absent(what, 0), found: count, foreign: count, differences: found } satisfies Verification
})

export const isRight = (one: Verification): boolean =>
  one.expected === one.found && one.missing + one.duplicated + one.altered + one.foreign === 0

/**
 * Compares for one stream: raw topic with the API, which had `count` records; the topic behind the transform with what must have
 * become of them; table with topic; and that nothing was rejected.
 */
export const verifyStream = Effect.fn("load.verifyStream")(function* (
  stream: LoadStream,
  count: number,
  published: PublishedLooks
) {
  const log = yield* Log
  const warehouse = yield* Warehouse
  const topics = new Set((yield* log.topics).map(({ name }) => name))
  const results: Array<Verification> = []
  const rawWhat = `topic ${stream.rawTopic} == source`
  if (!topics.has(stream.rawTopic)) return [absent(rawWhat, count)]
  const raw = yield* checkTopic(stream.rawTopic, rawOracle(stream, count), { published })
  results.push(resultOf(raw.finish(rawWhat)))

  const isSame = stream.topic === stream.rawTopic
  const oracle = isSame ? rawOracle(stream, count) : outputOracle(stream, count)
  let { places } = raw
  if (!isSame) {
    const what = `topic ${stream.topic} == expected`
    if (!topics.has(stream.topic)) return [...results, absent(what, count)]
    const options = stream.isDecoded ? { asSent: stream.shape.asSent } : {}
    const output = yield* checkTopic(stream.topic, oracle, options)
    results.push(resultOf(output.finish(what)))
    places = output.places
  }
  const [database = "", name = ""] = stream.table.split(".")
  if ((yield* warehouse.findTable(database, name)) === undefined) {
    const expected = places.reduce((sum, place) => sum + place.count, 0)
    results.push(absent(`table ${stream.table} == topic ${stream.topic}`, expected))
  } else {
    const table = yield* checkTable(
      { table: stream.table, topic: stream.topic, digest: digestSql(stream.shape), partitions: places.length },
      {
        places,
        digestOf: (slot) => digestOf(stream.shape, oracle.expected(slot)?.value ?? "{}"),
        idOf: (slot) => oracle.expected(slot)?.id ?? `slot ${slot}`
      }
    )
    results.push(resultOf(table))
  }
  if (topics.has(stream.deadTopic)) results.push(yield* checkDead(stream))
  return results
})
