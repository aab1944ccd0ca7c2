import { Warehouse } from "@tributary/clickhouse"
import type { Places } from "@tributary/load"
import { Clock, Duration, Effect } from "effect"
import type { ChaosStream } from "./Streams.ts"

/** What could be queried at a moment: of each table and partition the last offset, keyed `table/partition`. */
interface Look {
  readonly at: number
  readonly last: ReadonlyMap<string, number>
}

const every = Duration.millis(100)

/** Asks for a time what can be queried. Partitions are loaded in order, so the last offset says it all. */
export const watchFreshness = Effect.fnUntraced(function* (streams: ReadonlyArray<ChaosStream>, lasts: number) {
  const warehouse = yield* Warehouse
  const looks: Array<Look> = []
  const sql = streams
    .map(
      ({ table }) =>
        `SELECT '${table}' AS name, _partition AS partition, max(_offset) AS last FROM ${table} GROUP BY _partition`
    )
    .join(" UNION ALL ")
  const begun = yield* Clock.currentTimeMillis
  for (let now = begun; now < begun + lasts; now = yield* Clock.currentTimeMillis) {
    const rows = yield* warehouse.query(sql)
    // When the answer is here the rows have been there.
    const at = yield* Clock.currentTimeMillis
    looks.push({ at, last: new Map(rows.map((row) => [`${row["name"]}/${row["partition"]}`, Number(row["last"])])) })
    yield* Effect.sleep(every)
  }
  return looks
})

/** From the publication of records to the moment in which a query finds them, milliseconds. */
export interface Freshness {
  readonly records: number
  readonly p50: number
  readonly p99: number
  readonly longest: number
}

/** Freshness of the records that were published while it was watched, and were found. */
export const freshnessOf = (
  looks: ReadonlyArray<Look>,
  tables: ReadonlyArray<{ readonly table: string; readonly places: ReadonlyArray<Places> }>
): Freshness => {
  const ages: Array<number> = []
  const begun = looks[0]?.at ?? 0
  for (const { places, table } of tables) {
    for (const [partition, { offsets, times }] of places.entries()) {
      const key = `${table}/${partition}`
      let look = 0
      for (const [at, offset] of offsets.entries()) {
        const published = times[at]!
        if (published < begun) continue
        while (look < looks.length && (looks[look]!.last.get(key) ?? -1) < offset) look++
        const seen = looks[look]
        if (seen === undefined) break
        ages.push(Math.max(0, seen.at - published))
      }
    }
  }
  const sorted = Float64Array.from(ages).sort()
  const quantile = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { records: sorted.length, p50: quantile(0.5), p99: quantile(0.99), longest: sorted.at(-1) ?? 0 }
}
