import { Warehouse } from "@tributary/clickhouse"
import { Log, partitionOf } from "@tributary/log"
import { firstSeq, syntheticId } from "@tributary/testkit"
import { Clock, Duration, Effect, type Layer } from "effect"
import type { EngineProblem, Reached } from "./LoadEngine.ts"
import { becomesOf, type LoadStream, variants } from "./LoadStreams.ts"

/** Of a partition: at `at[k]` (milliseconds since 1970) its records could be queried up to the one with the number `last[k]`. */
interface Seen {
  readonly at: Array<number>
  readonly last: Array<number>
}

/** Ends of the partitions of all raw topics at a moment. */
interface Ends {
  readonly at: number
  readonly ends: ReadonlyArray<ReadonlyArray<number>>
}

const shortest = Duration.millis(100)
/** Looking takes at most a tenth of the time, unless it takes long: freshness is only known as well as it is looked for. */
const share = 10
const longest = Duration.seconds(1)
const endsEvery = 1_000
/** Parts that are merged away are forgotten when there are so many. */
const mostParts = 60
const patience = "15 seconds"

const utf8 = new TextEncoder()

/** The partition that a stream's record is in: it follows from its identifier. */
export const partitionOfRecord = (number: number, partitions: number): number =>
  partitions === 1 ? 0 : partitionOf(utf8.encode(syntheticId(number)), partitions)

const quoted = (name: string): string => `'${name.replaceAll("'", "\\'")}'`

/**
 * What can be queried, moment by moment. A stream's records are published, transformed and loaded in the order of their numbers,
 * each partition by itself, so that the last number says it all.
 */
export class Watch {
  readonly streams: ReadonlyArray<LoadStream>
  readonly seen: ReadonlyArray<ReadonlyArray<Seen>>
  readonly ends: Array<Ends> = []
  /** Rows of all tables, and records of all raw topics with the markers of transactions, as of the last look. */
  rows = 0
  /** Why the last look failed that did. */
  problem = ""
  changedAt = 0
  readonly #tables = new Set<string>()
  readonly #parts: ReadonlyArray<Set<string>>

  constructor(streams: ReadonlyArray<LoadStream>) {
    this.streams = streams
    this.seen = streams.map(({ partitions }) => Array.from({ length: partitions }, () => ({ at: [], last: [] })))
    this.#parts = streams.map(() => new Set<string>())
  }

  /** Number of the last record of a partition that was seen; -1 for none. */
  last(stream: number, partition: number): number {
    return this.seen[stream]?.[partition]?.last.at(-1) ?? -1
  }

  private readonly findTables = Effect.gen({ self: this }, function* () {
    const warehouse = yield* Warehouse
    if (this.#tables.size === this.streams.length) return
    const [database = ""] = this.streams[0]?.table.split(".") ?? []
    const rows = yield* warehouse.query(`SELECT name FROM system.tables WHERE database = ${quoted(database)}`)
    for (const row of rows) this.#tables.add(`${database}.${String(row["name"])}`)
  })

  /** Looks only at parts that were not there the last time: what it costs does not grow with the tables. */
  private readonly lookAtTables = Effect.gen({ self: this }, function* () {
    const warehouse = yield* Warehouse
    yield* this.findTables
    const known = this.streams.filter(({ table }) => this.#tables.has(table))
    if (known.length === 0) return
    const sql = known.map(({ number, table }) => {
      const parts = this.#parts[number]!
      const unseen = parts.size === 0 ? "" : ` WHERE _part NOT IN (${[...parts].map(quoted).join(", ")})`
      return (
        `SELECT ${number} AS stream, toUInt32(_partition) AS partition, max(ifNull(toInt64(seq), 0)) - ${firstSeq} AS last, ` +
        `groupUniqArray(_part) AS parts FROM ${table}${unseen} GROUP BY partition`
      )
    })
    const rows = yield* warehouse.query(sql.join(" UNION ALL "))
    // When the answer is here the rows have been there.
    const at = yield* Clock.currentTimeMillis
    for (const row of rows) {
      const stream = Number(row["stream"])
      const seen = this.seen[stream]?.[Number(row["partition"])]
      const last = Number(row["last"])
      if (Array.isArray(row["parts"])) for (const part of row["parts"]) this.#parts[stream]!.add(String(part))
      if (seen === undefined || last <= (seen.last.at(-1) ?? -1)) continue
      seen.at.push(at)
      seen.last.push(last)
      this.changedAt = at
    }
    for (const { number, table } of known) {
      if (this.#parts[number]!.size > mostParts) yield* this.#forgetParts(number, table)
    }
  })

  #forgetParts(stream: number, table: string) {
    return Effect.gen({ self: this }, function* () {
      const warehouse = yield* Warehouse
      const [database = "", name = ""] = table.split(".")
      const rows = yield* warehouse.query(
        `SELECT name FROM system.parts WHERE active AND database = ${quoted(database)} AND table = ${quoted(name)}`
      )
      const active = new Set(rows.map((row) => String(row["name"])))
      const parts = this.#parts[stream]!
      for (const part of parts) if (!active.has(part)) parts.delete(part)
    })
  }

  private readonly lookAtTopics = Effect.gen({ self: this }, function* () {
    const log = yield* Log
    const warehouse = yield* Warehouse
    const known = new Set((yield* log.topics).map(({ name }) => name))
    const ends: Array<ReadonlyArray<number>> = []
    for (const { rawTopic } of this.streams) {
      ends.push(known.has(rawTopic) ? (yield* log.offsets(rawTopic)).map(({ end }) => end) : [])
    }
    this.ends.push({ at: yield* Clock.currentTimeMillis, ends })
    const [database = ""] = this.streams[0]?.table.split(".") ?? []
    const [row] = yield* warehouse.query(
      `SELECT sum(total_rows) AS rows FROM system.tables WHERE database = ${quoted(database)}`
    )
    this.rows = Number(row?.["rows"] ?? 0)
  })

  /** Looks again and again until interrupted. What cannot be reached is tried again: workers are killed, servers restart. */
  run(places: Layer.Layer<Reached, EngineProblem>): Effect.Effect<never> {
    const looking = Effect.gen({ self: this }, function* () {
      for (;;) {
        const begun = yield* Clock.currentTimeMillis
        yield* Effect.timeout(this.lookAtTables, patience)
        if (begun - (this.ends.at(-1)?.at ?? 0) >= endsEvery) yield* Effect.timeout(this.lookAtTopics, patience)
        const took = (yield* Clock.currentTimeMillis) - begun
        yield* Effect.sleep(
          Duration.clamp(Duration.millis(took * (share - 1)), { minimum: shortest, maximum: longest })
        )
      }
    })
    return looking.pipe(
      Effect.provide(places, { local: true }),
      Effect.catch((error: { readonly message: string }) =>
        Effect.sync(() => {
          this.problem = error.message
        })
      ),
      Effect.andThen(Effect.sleep("250 millis")),
      Effect.forever
    )
  }

  /** One more look, for the end. */
  finish(places: Layer.Layer<Reached, EngineProblem>): Effect.Effect<void> {
    return Effect.andThen(this.lookAtTables, this.lookAtTopics).pipe(
      Effect.timeout(patience),
      Effect.provide(places, { local: true }),
      Effect.catch((error: { readonly message: string }) =>
        Effect.sync(() => {
          this.problem = error.message
        })
      )
    )
  }

  /** Whether all records up to `count` of each stream can be queried. */
  hasAll(count: (stream: number) => number): boolean {
    return this.streams.every(({ number }) =>
      this.#lastOf(number, count(number)).every((last, partition) => this.last(number, partition) >= last)
    )
  }

  readonly #lasts = new Map<number, { readonly count: number; readonly last: ReadonlyArray<number> }>()

  /** Of each partition the number of the last record of the first `count` that becomes a row; -1 for none. */
  #lastOf(stream: number, count: number): ReadonlyArray<number> {
    const known = this.#lasts.get(stream)
    if (known?.count === count) return known.last
    const { first, partitions } = this.streams[stream]!
    const becomes = becomesOf(this.streams[stream]!)
    const last = Array.from({ length: partitions }, () => -1)
    let left = partitions
    for (let index = count - 1; index >= 0 && left > 0; index--) {
      if (becomes[(first + index) % variants] === 0) continue
      const partition = partitionOfRecord(first + index, partitions)
      if (last[partition]! >= 0) continue
      last[partition] = first + index
      left--
    }
    this.#lasts.set(stream, { count, last })
    return last
  }
}
