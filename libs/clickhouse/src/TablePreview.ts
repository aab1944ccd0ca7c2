import { Effect, Result } from "effect"
import { createStatement, quotedName } from "./CreateStatement.ts"
import { RowEncoder } from "./RowEncoder.ts"
import type { RejectedRecord, TableSpec } from "./Table.ts"
import {
  columnsSql,
  declaredTypes,
  existingColumn,
  type ExistingColumn,
  isProblem,
  loadedColumns,
  missingColumns,
  newColumns,
  type SpecProblem
} from "./TableColumns.ts"
import { identifier } from "./Sql.ts"
import { Warehouse } from "./Warehouse.ts"
import type { WarehouseError } from "./WarehouseError.ts"

/** What loading would do, which is not done. */
export interface TablePreview {
  /** The statement that would make the table, or add the columns that a table lacks; empty: it stays as it is. */
  readonly sql: string
  /** The records that would not be loaded into it. */
  readonly rejected: ReadonlyArray<RejectedRecord>
}

const inWords = ({ advice, problem }: SpecProblem): string => `${problem} ${advice}`

/**
 * The table that would be made for these records, and which of them it would refuse, as loading them would find; or what is wrong
 * with its spec. Asks no server: what only that finds (a partition expression, a constraint) is not seen.
 */
export const previewTable = (
  spec: TableSpec,
  values: ReadonlyArray<Uint8Array>
): Result.Result<TablePreview, string> => {
  const declared = declaredTypes(spec)
  if (isProblem(declared)) return Result.fail(inWords(declared))
  const columns = newColumns(spec, declared, values)
  if (isProblem(columns)) return Result.fail(inWords(columns))
  const sorted = new Set(spec.orderBy)
  const made = columns.map(({ name, type }) => ({ name, type, defaultKind: "", inSortingKey: sorted.has(name) }))
  const loaded = loadedColumns(spec, declared, made)
  if (isProblem(loaded)) return Result.fail(inWords(loaded))
  const { rejected } = new RowEncoder(loaded).encode(values.map((value, offset) => ({ offset, value })))
  return Result.succeed({ sql: createStatement(spec, columns), rejected })
}

/** The same for a table that is there, with these columns. Columns that are not declared are not added: such values go to `_extra`. */
const previewExisting = (
  spec: TableSpec,
  existing: ReadonlyArray<ExistingColumn>,
  values: ReadonlyArray<Uint8Array>
): Result.Result<TablePreview, string> => {
  const declared = declaredTypes(spec)
  if (isProblem(declared)) return Result.fail(inWords(declared))
  const added = missingColumns(declared, existing)
  const made = added.map(({ name, type }) => ({ name, type, defaultKind: "", inSortingKey: false }))
  const loaded = loadedColumns(spec, declared, [...existing, ...made])
  if (isProblem(loaded)) return Result.fail(inWords(loaded))
  const { rejected } = new RowEncoder(loaded).encode(values.map((value, offset) => ({ offset, value })))
  const columns = added.map(({ name, type }) => `ADD COLUMN ${identifier(name)} ${type}`).join(", ")
  return Result.succeed({ sql: columns === "" ? "" : `ALTER TABLE ${quotedName(spec)} ${columns}`, rejected })
}

/** `previewTable` for the table as it is at the server, if there is one. Changes nothing. */
export const previewLoad = Effect.fn("clickhouse.previewLoad")(function* (
  spec: TableSpec,
  values: ReadonlyArray<Uint8Array>
): Effect.fn.Return<
  { readonly isThere: boolean; readonly preview: Result.Result<TablePreview, string> },
  WarehouseError,
  Warehouse
> {
  const warehouse = yield* Warehouse
  const rows = yield* warehouse.query(columnsSql, { database: spec.database, table: spec.table })
  const isThere = rows.length > 0
  return {
    isThere,
    preview: isThere ? previewExisting(spec, rows.map(existingColumn), values) : previewTable(spec, values)
  }
})
