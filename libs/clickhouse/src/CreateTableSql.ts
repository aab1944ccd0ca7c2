import { Result } from "effect"
import { createStatement } from "./CreateStatement.ts"
import type { TableSpec } from "./Table.ts"
import { declaredTypes, isProblem, newColumns } from "./TableColumns.ts"

/** The statement that would make the table for these records, or what is wrong with its spec; for previews. */
export const createTableSql = (spec: TableSpec, sample: ReadonlyArray<Uint8Array>): Result.Result<string, string> => {
  const declared = declaredTypes(spec)
  const columns = isProblem(declared) ? declared : newColumns(spec, declared, sample)
  return isProblem(columns)
    ? Result.fail(`${columns.problem} ${columns.advice}`)
    : Result.succeed(createStatement(spec, columns))
}
