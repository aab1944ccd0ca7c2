import type { Warehouse, WarehouseError } from "@tributary/clickhouse"
import type { Claim, Committed } from "@tributary/log"
import { Effect } from "effect"
import { belongingOf } from "./Plan.ts"

/** `a` as an identifier of ClickHouse. */
const quoted = (name: string): string => `\`${name.replaceAll(/[\\`]/gu, String.raw`\$&`)}\``

/**
 * Warns when a table has rows of another topic of the same name: the log was deleted and the table kept. What is read of the API
 * again has other offsets of another topic, so nothing tells that it is in the table already. Said before the first record of
 * a topic is loaded, and of tables that Tributary made.
 */
export const warnOfOtherLog = Effect.fn("sink.warnOfOtherLog")(function* (
  warehouse: Warehouse["Service"],
  { partition, topic }: Pick<Claim, "partition" | "topic">,
  committed: Committed | undefined,
  { database, table }: { readonly database: string; readonly table: string }
): Effect.fn.Return<void, WarehouseError> {
  if (committed !== undefined && (belongingOf(committed).epoch ?? topic.id) === topic.id) return
  const found = yield* warehouse.findTable(database, table)
  if (found?.generation === undefined) return
  const [row] = yield* warehouse.query(
    `SELECT 1 FROM ${quoted(database)}.${quoted(table)} WHERE _topic = {topic:String} AND _topic_id != {id:String} LIMIT 1`,
    { topic: topic.name, id: topic.id }
  )
  if (row === undefined) return
  yield* Effect.logWarning(
    `The table ${database}.${table} has rows of an earlier topic ${topic.name}: the log was deleted, or made anew, and the table was kept. ` +
      "In mode append what the API sends again is now in the table a second time. To begin anew, drop the table too " +
      "(it is made and loaded again); to keep one row for each record, load into another table with mode upsert."
  ).pipe(Effect.annotateLogs({ topic: topic.name, partition }))
})
