import { createHash } from "node:crypto"
import { Effect } from "effect"
import type { Client } from "./Client.ts"
import { identifier, literal } from "./Sql.ts"
import type { WarehouseError } from "./WarehouseError.ts"

export interface MovedInsertOptions {
  readonly client: Client
  readonly database: string
  readonly table: string
  /** What is done, as errors say it. */
  readonly action: string
  /** What the insert is for: the same text uses the same table beside, so that two who do it move the rows once. */
  readonly purpose: string
  /** Inserts into a table with the columns of `table`, which is given as SQL names it. */
  readonly insert: (target: string) => Effect.Effect<void, WarehouseError>
}

/**
 * Inserts rows into a table without showing them to its materialised views: into an empty copy of the table, whose parts are then
 * moved. What was left in such a copy by an attempt that did not end is dropped first. The user needs the right to create and drop
 * a table in the database, and to move partitions.
 */
export const insertMoved = Effect.fn("clickhouse.insertMoved")(function* (options: MovedInsertOptions) {
  const { action, client, database, table } = options
  const original = `${identifier(database)}.${identifier(table)}`
  const name = `${table}__lost_${createHash("sha256").update(options.purpose).digest("hex").slice(0, 16)}`
  const copy = `${identifier(database)}.${identifier(name)}`
  const drop = client.command(action, `DROP TABLE IF EXISTS ${copy} SYNC`)
  yield* drop
  yield* client.command(action, `CREATE TABLE ${copy} AS ${original}`)
  yield* options.insert(copy)
  const partitions = yield* client.rows(
    action,
    `SELECT DISTINCT partition_id AS id FROM system.parts WHERE database = {database:String} AND table = {table:String} AND active`,
    { database, table: name }
  )
  for (const { id } of partitions) {
    yield* client.command(action, `ALTER TABLE ${copy} MOVE PARTITION ID ${literal(String(id))} TO TABLE ${original}`)
  }
  yield* drop
})
