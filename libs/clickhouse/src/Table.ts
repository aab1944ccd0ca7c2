import type { Effect } from "effect"
import type { WarehouseError } from "./WarehouseError.ts"

/** The table that a topic is loaded into. */
export interface TableSpec {
  readonly database: string
  readonly table: string
  /** `append` keeps every record; `upsert` keeps the last one per `orderBy` (read it with FINAL). */
  readonly mode: "append" | "upsert"
  /** Names of fields. They become columns that cannot be null. May be empty in mode `append` only. */
  readonly orderBy: ReadonlyArray<string>
  /** ClickHouse expression. An insert that spans partitions is atomic per partition only; `insertMissing` heals the rest. */
  readonly partitionBy?: string
  /** Types of fields as `FieldType` of the connector file writes them. Other fields are inferred from the sample. */
  readonly schema: Readonly<Record<string, string>>
  /** Views of the same database: name and SELECT. Replaced whenever the table is ensured. */
  readonly views: Readonly<Record<string, string>>
  /** Blocks whose tokens the table remembers. Default 10,000. */
  readonly dedupWindow?: number
  /** Wait for the disk on each insert, so that rows survive a power cut. Default false. Applies to a table made by this call. */
  readonly fsync?: boolean
}

export interface SourceRecord {
  readonly offset: number
  /** One JSON object. */
  readonly value: Uint8Array
}

/** A record that does not fit the table, with `index` in the array that was encoded. Goes to the dead-letter topic. */
export interface RejectedRecord {
  readonly index: number
  /** Low-cardinality code, for counting. */
  readonly code: string
  /** One sentence: field, what was found, what was expected. */
  readonly reason: string
}

/** Records as the insert sends them. The bytes are a function of the records and the table, and belong to the caller. */
export interface Encoded {
  readonly body: Uint8Array
  readonly rows: number
  readonly rejected: ReadonlyArray<RejectedRecord>
}

/** The range of one insert. Everything but the times must be the same each time the range is tried. */
export interface InsertPlan {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** Offsets, inclusive. */
  readonly first: number
  readonly last: number
  /** Milliseconds since 1970, read before the plan was committed. */
  readonly plannedAt: number
  /** Milliseconds since 1970 at which the range was planned first, in whichever process; `undefined` when that is not known. */
  readonly madeAt?: number
}

/**
 * What `insertMissing` found and did. `encoded` is of all records, so its rejections are those of the whole range, less those
 * that are stored because they did fit when the range was tried first.
 */
export interface Recovered {
  readonly encoded: Encoded
  /** Rows of the range that were there before. In mode `upsert` some may have been replaced since. */
  readonly stored: number
  /** Rows sent now. */
  readonly inserted: number
}

export interface Column {
  readonly name: string
  /** ClickHouse type. */
  readonly type: string
  /** Named in the spec's schema: a value that does not fit rejects the record. Otherwise it moves to `_extra`. */
  readonly declared: boolean
}

/** A table that exists, as far as positions in its topic are concerned. */
export interface FoundTable {
  /** Made with the table, and never given to another; `undefined` for a table that somebody else made. */
  readonly generation: string | undefined
}

/** A table that exists and fits its spec. */
export interface Table extends FoundTable {
  /** `database.table`, as messages show it. */
  readonly name: string
  readonly columns: ReadonlyArray<Column>
  /**
   * Checks and encodes records; pure, so it may run in any thread of control. A record that does not fit is left out of the
   * body and named in `rejected`. Values arrive in the table as they were sent, or they are in `_extra`, or the record is
   * rejected: never altered.
   */
  readonly encode: (records: ReadonlyArray<SourceRecord>) => Encoded
  /**
   * Stores the rows at most once, however often it is called with the same plan and body. Durable when the first call succeeds. On
   * `Unavailable` and its like the outcome is not known: commit the plan again and go on with `insertMissing`, since a server
   * that was killed may remember the token of a block that it has lost. Encoded with no rows is stored at once.
   */
  readonly insert: (plan: InsertPlan, encoded: Encoded) => Effect.Effect<void, WarehouseError>
  /** Number of rows of the plan's range that are in the table. */
  readonly stored: (plan: InsertPlan) => Effect.Effect<number, WarehouseError>
  /**
   * The insert of a plan that was tried before, here or by another process, in whole, in part or not at all, and however long
   * ago: asks the table and inserts what is missing. `records` are all records of the range, or all but those that the server
   * refused. A `BadRecord` counts its row over all of them that fit, as `insert` does. Safe with a part of a range only where
   * no insert of the whole stored anything.
   *
   * A server that was killed may remember the insert of a block that it has lost. So if it was started since the plan was made, rows
   * that are not there afterwards are sent under other tokens, but only if the user sees all rows of the table: `Misconfigured`
   * otherwise. What views lack then cannot be told, and is warned of (docs/decisions/0007-phantom-tokens.md).
   */
  readonly insertMissing: (
    plan: InsertPlan,
    records: ReadonlyArray<SourceRecord>
  ) => Effect.Effect<Recovered, WarehouseError>
}
