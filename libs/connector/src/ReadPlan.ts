import type { JsonSelector } from "@tributary/codec"

/** What is looked for in each page of a stream. */
export interface ReadPlan {
  /** Fields of each record, as keys from the record down: those of the key, then the cursor's unless it is one of them. */
  readonly fields: ReadonlyArray<ReadonlyArray<string>>
  /** Single values of the body, for the paginator and behind them for the cursor. */
  readonly values: ReadonlyArray<JsonSelector>
  /** The primary key, as the file names it. */
  readonly key: ReadonlyArray<string>
  /** Where in a row the cursor's field starts; -1 without a cursor. */
  readonly cursorColumn: number
}

const fieldPath = (field: string): ReadonlyArray<string> => field.split(".")

/** What a stream with this key, cursor field and paginator looks for. */
export const readPlan = (
  key: ReadonlyArray<string>,
  cursorField: string | undefined,
  values: ReadonlyArray<JsonSelector>
): ReadPlan => {
  const fields = key.map(fieldPath)
  // A plan has each field once, and an id may be both.
  const known = cursorField === undefined ? -1 : key.indexOf(cursorField)
  const field = cursorField === undefined || known >= 0 ? known : fields.push(fieldPath(cursorField)) - 1
  return { fields, values, key, cursorColumn: field < 0 ? -1 : 2 + 2 * field }
}
