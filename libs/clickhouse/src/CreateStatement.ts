import { identifier, literal } from "./Sql.ts"
import { type FieldColumn, originColumns, versionColumn } from "./TableColumns.ts"
import type { TableSpec } from "./Table.ts"

/** Blocks whose tokens a table remembers, unless its spec says otherwise. */
export const defaultWindow = 10_000

export const quotedName = (spec: TableSpec): string => `${identifier(spec.database)}.${identifier(spec.table)}`

/** The statement that makes the table of a spec. */
export const createStatement = (spec: TableSpec, columns: ReadonlyArray<FieldColumn>, comment?: string): string => {
  const upsert = spec.mode === "upsert"
  const definitions = [
    ...columns.map(({ name, type }) => `${identifier(name)} ${type}`),
    ...originColumns.map(([name, definition]) => `${name} ${definition}`),
    ...(upsert ? [versionColumn.join(" ")] : []),
    // Makes the search for a range of offsets cheap, whatever the sorting key.
    "INDEX _offset_range _offset TYPE minmax GRANULARITY 1"
  ]
  const orderBy = spec.orderBy.length === 0 ? ["_partition", "_offset"] : spec.orderBy.map(identifier)
  const settings = [
    `non_replicated_deduplication_window = ${spec.dedupWindow ?? defaultWindow}`,
    ...(spec.fsync === true ? ["fsync_after_insert = 1", "fsync_part_directory = 1"] : [])
  ]
  return [
    `CREATE TABLE IF NOT EXISTS ${quotedName(spec)} (${definitions.join(", ")})`,
    `ENGINE = ${upsert ? "ReplacingMergeTree(_version)" : "MergeTree"}`,
    ...(spec.partitionBy === undefined ? [] : [`PARTITION BY (${spec.partitionBy})`]),
    `ORDER BY (${orderBy.join(", ")})`,
    `SETTINGS ${settings.join(", ")}`,
    ...(comment === undefined ? [] : [`COMMENT ${literal(comment)}`])
  ].join(" ")
}
