import { Warehouse } from "@tributary/clickhouse"
import { digestSql } from "@tributary/load"
import { syntheticRecord } from "@tributary/testkit"
import { Effect } from "effect"
import type { ChaosStream } from "./Streams.ts"
import { countedTable } from "./Verify.ts"

const sampleSize = 100

/**
 * Makes the tables as a sink would with its first records, and for each a view that counts its rows and adds up their digests.
 * The view's target remembers inserts, as the sink demands.
 */
export const prepareTables = Effect.fn("chaos.prepareTables")(function* (streams: ReadonlyArray<ChaosStream>) {
  const warehouse = yield* Warehouse
  for (const stream of streams) {
    const sample: Array<Uint8Array> = []
    for (let index = 0; index < sampleSize; index++) {
      for (const value of stream.become(syntheticRecord(stream.first + index))) {
        if (value !== undefined) sample.push(Buffer.from(value))
      }
    }
    const [database = "", table = ""] = stream.table.split(".")
    yield* warehouse.ensureTable(
      { database, table, mode: stream.mode, orderBy: ["id"], schema: stream.schema, views: {} },
      sample
    )
    const target = countedTable(stream)
    yield* warehouse.command(
      `CREATE TABLE ${target} (p UInt32, n UInt64, s UInt64) ENGINE = SummingMergeTree ORDER BY p SETTINGS non_replicated_deduplication_window = 10000`
    )
    yield* warehouse.command(
      `CREATE MATERIALIZED VIEW ${target}_view TO ${target} AS SELECT _partition AS p, count() AS n, sum(toUInt64(${digestSql(stream)})) AS s FROM ${stream.table} GROUP BY p`
    )
  }
})
