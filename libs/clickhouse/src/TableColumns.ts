import { nearest } from "@tributary/domain"
import { type DeclaredType, parseColumnType, parseFieldType, sameColumnType } from "./ColumnType.ts"
import { inferColumns } from "./InferColumns.ts"
import type { EncoderColumn } from "./EncoderColumn.ts"
import type { TableSpec } from "./Table.ts"

/** Columns that say where a row came from, in every table. */
export const originColumns: ReadonlyArray<readonly [name: string, definition: string]> = [
  ["_topic", "LowCardinality(String)"],
  ["_topic_id", "LowCardinality(String)"],
  ["_partition", "UInt32"],
  ["_offset", "UInt64"],
  ["_extra", "String"],
  ["_inserted_at", "DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')"]
]

/** In mode `upsert`: grows with every record of a key, also across topics that were deleted and made again. */
export const versionColumn = ["_version", "UInt64"] as const

/** Names that a field cannot have as its column: our own, and those that ClickHouse gives to every table or part. */
const reserved = new Set([
  ...originColumns.map(([name]) => name),
  versionColumn[0],
  "",
  "_part",
  "_part_index",
  "_part_starting_offset",
  "_part_offset",
  "_part_granule_offset",
  "_part_uuid",
  "_part_data_version",
  "_partition_id",
  "_partition_value",
  "_sample_factor",
  "_disk_name",
  "_distance",
  "_row_exists",
  "_block_number",
  "_block_offset",
  "_database",
  "_table",
  "_shard_num"
])

export interface FieldColumn {
  readonly name: string
  readonly type: string
  readonly declared: boolean
}

/** A setting of the spec that cannot be used; the text says what was found and what to do. */
export interface SpecProblem {
  readonly problem: string
  readonly advice: string
}

export const isProblem = (value: object): value is SpecProblem => "problem" in value

/** Advice for a column whose type is not the declared one. A column that may be null stays so: ClickHouse refuses to change that. */
const adviseType = (spec: TableSpec, name: string, wanted: string, found: string): string => {
  const keepsNull = found.startsWith("Nullable(") && !wanted.startsWith("Nullable(")
  const declare = keepsNull
    ? `Declare the column's own type, or ${spec.schema[name]}? and`
    : "Declare the column's own type, or"
  const type = keepsNull ? `Nullable(${wanted})` : wanted
  return `${declare} change it: ALTER TABLE ${spec.database}.${spec.table} MODIFY COLUMN ${name} ${type}.`
}

/** Advice for a field name that is not known. */
const advise = (name: string, known: ReadonlyArray<string>): string => {
  if (known.length === 0) return "No field is known yet."
  const near = nearest(name, known)
  return near === undefined ? `Known fields: ${known.slice(0, 20).join(", ")}.` : `Did you mean "${near}"?`
}

/** Types of the spec's schema; the first that is wrong is a problem. */
export const declaredTypes = (spec: TableSpec): ReadonlyMap<string, DeclaredType> | SpecProblem => {
  const declared = new Map<string, DeclaredType>()
  for (const [name, field] of Object.entries(spec.schema)) {
    const type = parseFieldType(field)
    if (type === undefined)
      return {
        problem: `schema.${name} is "${field}", which is no type (precision of a decimal: 1 to 76, scale up to the precision).`,
        advice:
          "Use one of bool, int8 to int64, uint8 to uint64, float64, decimal(p, s), string, date, timestamp(0, 3, 6 or 9), uuid, json."
      }
    if (reserved.has(name))
      return {
        problem: `schema names the field "${name}", a name that the table keeps for itself.`,
        advice: "Rename the field in the transform. Undeclared fields of that name are kept in _extra."
      }
    declared.set(name, type)
  }
  return declared
}

/** Columns of the fields of a table that is made: declared ones, then those of the sample in their order. */
export const newColumns = (
  spec: TableSpec,
  declared: ReadonlyMap<string, DeclaredType>,
  sample: ReadonlyArray<Uint8Array>
): ReadonlyArray<FieldColumn> | SpecProblem => {
  const columns = new Map<string, FieldColumn>()
  const sorted = new Set(spec.orderBy)
  const typeOf = (name: string, type: string, nullable: boolean) =>
    nullable && !sorted.has(name) ? `Nullable(${type})` : type
  for (const [name, { type, nullable }] of declared)
    columns.set(name, { name, type: typeOf(name, type, nullable), declared: true })
  for (const [name, type] of inferColumns(sample))
    if (!columns.has(name) && !reserved.has(name))
      columns.set(name, { name, type: typeOf(name, type, true), declared: false })
  for (const name of spec.orderBy)
    if (!columns.has(name))
      return {
        problem: `order_by names "${name}", which is neither in the schema nor a field of the first records.`,
        advice: `${advise(name, [...columns.keys()])} If the name is right, declare its type in schema.`
      }
  if (spec.mode === "upsert" && spec.orderBy.length === 0)
    return {
      problem: "order_by is empty, so in mode upsert every record would replace the last one.",
      advice: "Set order_by or primary_key to the fields that identify a record, or use mode append."
    }
  return [...columns.values()]
}

export interface ExistingColumn {
  readonly name: string
  readonly type: string
  readonly defaultKind: string
  readonly inSortingKey: boolean
}

/** Asks for the columns of a table, in their order. */
export const columnsSql =
  "SELECT name, type, default_kind, is_in_sorting_key FROM system.columns WHERE database = {database:String} AND table = {table:String} ORDER BY position"

export const existingColumn = (row: Readonly<Record<string, unknown>>): ExistingColumn => ({
  name: String(row["name"]),
  type: String(row["type"]),
  defaultKind: String(row["default_kind"]),
  inSortingKey: Number(row["is_in_sorting_key"]) === 1
})

/** Declared columns that a table does not have yet. */
export const missingColumns = (
  declared: ReadonlyMap<string, DeclaredType>,
  existing: ReadonlyArray<ExistingColumn>
): ReadonlyArray<FieldColumn> => {
  const names = new Set(existing.map(({ name }) => name))
  return [...declared]
    .filter(([name]) => !names.has(name))
    .map(([name, { type, nullable }]) => ({ name, type: nullable ? `Nullable(${type})` : type, declared: true }))
}

/** The columns that records are loaded into, or the first that does not fit its declaration. */
export const loadedColumns = (
  spec: TableSpec,
  declared: ReadonlyMap<string, DeclaredType>,
  existing: ReadonlyArray<ExistingColumn>
): ReadonlyArray<EncoderColumn> | SpecProblem => {
  const columns: Array<EncoderColumn> = []
  for (const { name, type, defaultKind, inSortingKey } of existing) {
    if (reserved.has(name) || defaultKind === "MATERIALIZED" || defaultKind === "ALIAS") continue
    const declaration = declared.get(name)
    const parsed = parseColumnType(type)
    if (declaration !== undefined) {
      const wanted = declaration.nullable && !inSortingKey ? `Nullable(${declaration.type})` : declaration.type
      if (!sameColumnType(wanted, type))
        return {
          problem: `Column "${name}" of ${spec.database}.${spec.table} is ${type}, but schema declares ${spec.schema[name]} (${wanted}).`,
          advice: adviseType(spec, name, wanted, type)
        }
    }
    // Columns of types that the encoder cannot check are left to their defaults.
    if (parsed === undefined) continue
    columns.push({
      name,
      type,
      declared: declaration !== undefined,
      json: declaration?.json === true,
      required: !parsed.nullable && (declaration !== undefined || inSortingKey)
    })
  }
  const loaded = new Set(columns.map(({ name }) => name))
  const unloaded = existing.find(({ name, inSortingKey }) => inSortingKey && !reserved.has(name) && !loaded.has(name))
  if (unloaded !== undefined && unloaded.defaultKind === "")
    return {
      problem: `Column "${unloaded.name}" of ${spec.database}.${spec.table} is in the sorting key and has the type ${unloaded.type}, which cannot be loaded.`,
      advice: "Make the table anew with another type for it."
    }
  return columns
}
