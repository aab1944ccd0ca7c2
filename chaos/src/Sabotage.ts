import { Warehouse } from "@tributary/clickhouse"
import { Log } from "@tributary/log"
import { Duration, Effect } from "effect"
import type { ChaosStream } from "./Streams.ts"
import { countedTable } from "./Verify.ts"

/**
 * Damages that the comparison must find: a row deleted, inserted twice or changed, an aggregate that counted a row too many,
 * a record published twice, a record that nobody reads from the API.
 */
export const sabotages = ["row-lost", "row-doubled", "row-changed", "view", "record-doubled", "record-lost"] as const
export type Sabotage = (typeof sabotages)[number]

/** Damages the outcome of a run, to see that its comparison finds it. */
export const sabotage = Effect.fn("chaos.sabotage")(function* (kind: Sabotage, stream: ChaosStream) {
  const warehouse = yield* Warehouse
  const log = yield* Log
  const { table, rawTopic } = stream
  const one = `_partition = 3 AND _offset = (SELECT max(_offset) FROM ${table} WHERE _partition = 3)`
  switch (kind) {
    case "row-lost":
      return yield* warehouse.command(`ALTER TABLE ${table} DELETE WHERE ${one} SETTINGS mutations_sync = 1`)
    case "row-changed":
      return yield* warehouse.command(
        `ALTER TABLE ${table} UPDATE seq = assumeNotNull(seq) + 1 WHERE ${one} SETTINGS mutations_sync = 1`
      )
    case "row-doubled":
      return yield* warehouse.command(
        `INSERT INTO ${table} SETTINGS insert_deduplication_token = 'sabotage' SELECT * FROM ${table} WHERE ${one}`
      )
    case "view":
      return yield* warehouse.command(`INSERT INTO ${countedTable(stream)} VALUES (2, 1, 0)`)
    case "record-doubled": {
      const batch = yield* log.read(rawTopic, 5, 0, { maxRecords: 1, maxBytes: 1, wait: Duration.zero })
      yield* log.publish(batch.records.map(({ key, value }) => ({ topic: rawTopic, partition: 5, key, value })))
      return
    }
    case "record-lost":
      // The comparison is told of one record more than the API ever had.
      return
  }
})
