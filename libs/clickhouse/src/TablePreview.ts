import { Result } from "effect"
import { createStatement } from "./CreateStatement.ts"
import { RowEncoder } from "./RowEncoder.ts"
import type { RejectedRecord, TableSpec } from "./Table.ts"
import { declaredTypes, isProblem, loadedColumns, newColumns, type SpecProblem } from "./TableColumns.ts"

/** A table that is not made. */
export interface TablePreview {
  /** The statement that would make it. */
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
