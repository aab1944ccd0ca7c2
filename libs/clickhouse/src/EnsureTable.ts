import { Clock, Effect } from "effect"
import type { Client, Settings } from "./Client.ts"
import { insertSettings } from "./InsertSettings.ts"
import { type LoadedTableOptions, deadlineMs, makeLoadedTable } from "./LoadedTable.ts"
import { createStatement, defaultWindow, quotedName } from "./CreateStatement.ts"
import { generationOf, newGenerationComment } from "./Generation.ts"
import { identifier } from "./Sql.ts"
import type { FoundTable, Table, TableSpec } from "./Table.ts"
import {
  columnsSql,
  declaredTypes,
  existingColumn,
  isProblem,
  type ExistingColumn,
  loadedColumns,
  missingColumns,
  newColumns,
  originColumns,
  type SpecProblem
} from "./TableColumns.ts"
import { Misconfigured, WarehouseError } from "./WarehouseError.ts"

const wrong = (spec: TableSpec, { problem, advice }: SpecProblem): WarehouseError =>
  new WarehouseError({
    action: `prepare ${spec.database}.${spec.table}`,
    reason: new Misconfigured({ code: 0, name: "TABLE", detail: problem, advice })
  })

interface TableInfo {
  readonly engine: string
  readonly engineFull: string
  readonly dependents: ReadonlyArray<{ readonly database: string; readonly table: string }>
  readonly create: string
  readonly uuid: string
  readonly comment: string
}

const texts = (value: unknown): ReadonlyArray<string> => (Array.isArray(value) ? value.map(String) : [])

const readTable = Effect.fnUntraced(function* (client: Client, action: string, database: string, table: string) {
  const [row] = yield* client.rows(
    action,
    "SELECT engine, engine_full, create_table_query, toString(uuid) AS uuid, comment, dependencies_database, dependencies_table FROM system.tables WHERE database = {database:String} AND name = {table:String}",
    { database, table }
  )
  if (row === undefined) return undefined
  const databases = texts(row["dependencies_database"])
  const info: TableInfo = {
    engine: String(row["engine"]),
    engineFull: String(row["engine_full"]),
    create: String(row["create_table_query"]),
    uuid: String(row["uuid"]),
    comment: String(row["comment"]),
    dependents: texts(row["dependencies_table"]).map((name, index) => ({
      database: databases[index] ?? database,
      table: name
    }))
  }
  return info
})

const isReplicated = (engine: string): boolean => /^(Replicated|Shared)/u.test(engine)

/** Blocks whose tokens a table remembers. Replicated tables remember by default, others do not. */
const windowOf = ({ engine, engineFull }: TableInfo): number => {
  const name = isReplicated(engine) ? "replicated_deduplication_window" : "non_replicated_deduplication_window"
  const set = new RegExp(`(?:^|[ ,])${name} = (\\d+)`, "u").exec(engineFull)
  return set === null ? (isReplicated(engine) ? defaultWindow : 0) : Number(set[1])
}

const unquoted = (name: string): string => name.replace(/^`|`$/gu, "").replace(/\\([\\`])/gu, "$1")

/** Name of the table that a materialised view writes to. */
const targetOf = (view: TableInfo, database: string): { readonly database: string; readonly table: string } => {
  const name = "`(?:[^`\\\\]|\\\\.)+`|[\\w$]+"
  const match = new RegExp(
    `^CREATE MATERIALIZED VIEW (?:${name})\\.(?:${name})(?: ON CLUSTER \\S+)?(?: REFRESH .*?)?(?: APPEND)? TO (${name})\\.(${name})`,
    "u"
  ).exec(view.create)
  return match === null
    ? { database, table: `.inner_id.${view.uuid}` }
    : { database: unquoted(match[1] ?? ""), table: unquoted(match[2] ?? "") }
}

/** Fails unless every table that a materialised view fills from this one, or from its target, remembers tokens too. */
const checkViewTargets = Effect.fnUntraced(function* (client: Client, spec: TableSpec, table: TableInfo) {
  const action = `prepare ${spec.database}.${spec.table}`
  const seen = new Set<string>()
  const open = [...table.dependents]
  let views = 0
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const key = `${next.database}.${next.table}`
    if (seen.has(key)) continue
    seen.add(key)
    const view = yield* readTable(client, action, next.database, next.table)
    if (view === undefined || view.engine !== "MaterializedView") continue
    views++
    const place = targetOf(view, next.database)
    const target = yield* readTable(client, action, place.database, place.table)
    if (target === undefined) continue
    if (target.engine.endsWith("MergeTree") && windowOf(target) === 0)
      return yield* wrong(spec, {
        problem: `The materialised view ${key} writes to ${place.database}.${place.table}, which does not remember inserts: an insert that is repeated would count twice there.`,
        advice: `Run ALTER TABLE ${identifier(place.database)}.${identifier(place.table)} MODIFY SETTING non_replicated_deduplication_window = ${defaultWindow}.`
      })
    open.push(...target.dependents)
  }
  return views > 0
})

const checkEngine = (spec: TableSpec, table: TableInfo): SpecProblem | undefined => {
  const name = `${spec.database}.${spec.table}`
  const engine = table.engine.replace(/^(Replicated|Shared)/u, "")
  if (!engine.endsWith("MergeTree"))
    return {
      problem: `${name} is a ${table.engine}, which cannot be loaded exactly once.`,
      advice: "Name another table, or remove this one."
    }
  if (windowOf(table) === 0)
    return {
      problem: `${name} does not remember inserts, so one that is repeated would be stored twice.`,
      advice: `Run ALTER TABLE ${quotedName(spec)} MODIFY SETTING non_replicated_deduplication_window = ${defaultWindow}.`
    }
  const replacing = engine === "ReplacingMergeTree"
  if (spec.mode === "append" && engine !== "MergeTree")
    return {
      problem: `${name} is a ${table.engine}, which merges rows, but mode is append.`,
      advice: "Use mode upsert, or load another table."
    }
  if (
    spec.mode === "upsert" &&
    !(replacing && /ReplacingMergeTree\((?:'[^']*', ?'[^']*', ?)?_version\)/u.test(table.engineFull))
  )
    return {
      problem: `${name} is ${table.engineFull.split(" ").slice(0, 1).join("")}, but mode upsert needs ReplacingMergeTree(_version).`,
      advice: "Use mode append, or load another table, which is then made."
    }
  return undefined
}

/**
 * What tells the rows of a table that Tributary made apart is its sorting key, which cannot be changed: with another one in the
 * file, records that should replace each other would stand side by side, or the other way round.
 */
const checkSortingKey = (
  spec: TableSpec,
  table: TableInfo,
  existing: ReadonlyArray<ExistingColumn>
): SpecProblem | undefined => {
  if (spec.mode !== "upsert" || generationOf(table.comment) === undefined) return undefined
  const sorted = existing.flatMap(({ inSortingKey, name }) => (inSortingKey ? [name] : []))
  const wanted = new Set(spec.orderBy)
  if (sorted.length === wanted.size && sorted.every((name) => wanted.has(name))) return undefined
  const name = `${spec.database}.${spec.table}`
  return {
    problem: `${name} keeps one row for each ${sorted.join(", ")}, but order_by is ${spec.orderBy.join(", ")}. The sorting key of a table cannot be changed.`,
    advice: `Set order_by to [${sorted.join(", ")}] again; or name another table; or drop this one (DROP TABLE ${quotedName(spec)}), and what its topic still has is loaded into a new one.`
  }
}

const readColumns = Effect.fnUntraced(function* (client: Client, action: string, spec: TableSpec) {
  const rows = yield* client.rows(action, columnsSql, { database: spec.database, table: spec.table })
  return rows.map(existingColumn)
})

/** Settings of inserts that the server knows; those that keep rows single must be among them. */
const knownSettings = Effect.fnUntraced(function* (client: Client, spec: TableSpec) {
  const rows = yield* client.rows(
    `prepare ${spec.database}.${spec.table}`,
    "SELECT name FROM system.settings WHERE name IN {names:Array(String)}",
    {
      names: [...Object.keys(insertSettings), "insert_deduplication_token"]
    }
  )
  const names = new Set(rows.map((row) => String(row["name"])))
  for (const needed of [
    "insert_deduplication_token",
    "deduplicate_blocks_in_dependent_materialized_views",
    "precise_float_parsing"
  ])
    if (!names.has(needed))
      return yield* wrong(spec, {
        problem: `The server does not know the setting ${needed}, without which rows are not stored exactly once.`,
        advice: "Use ClickHouse 24.8 or later."
      })
  return Object.fromEntries(Object.entries(insertSettings).filter(([name]) => names.has(name))) satisfies Settings
})

/** The deadline of inserts is compared with the server's clock, so the two clocks must agree. */
const checkClocks = Effect.fnUntraced(function* (client: Client, spec: TableSpec) {
  const before = yield* Clock.currentTimeMillis
  const [row] = yield* client.rows(
    `prepare ${spec.database}.${spec.table}`,
    "SELECT toUnixTimestamp64Milli(now64(3)) AS now"
  )
  const after = yield* Clock.currentTimeMillis
  const server = Number(row?.["now"])
  const skew = server < before ? before - server : server > after ? server - after : 0
  if (skew > deadlineMs / 2)
    return yield* wrong(spec, {
      problem: `The clocks of this machine and the ClickHouse server differ by ${Math.round(skew / 1000)} seconds, but inserts carry a deadline of ${deadlineMs / 1000} seconds.`,
      advice: "Synchronise both with NTP."
    })
})

/** Makes or checks the table and everything around it (see `Warehouse.ensureTable`). */
export const ensureTable = Effect.fn("Warehouse.ensureTable")(function* (
  connect: LoadedTableOptions["client"],
  spec: TableSpec,
  sample: ReadonlyArray<Uint8Array>
): Effect.fn.Return<Table, WarehouseError> {
  const action = `prepare ${spec.database}.${spec.table}`
  const declared = declaredTypes(spec)
  if (isProblem(declared)) return yield* wrong(spec, declared)
  const client = yield* connect
  yield* checkClocks(client, spec)
  const settings = yield* knownSettings(client, spec)

  let existing = yield* readColumns(client, action, spec)
  if (existing.length === 0) {
    const columns = newColumns(spec, declared, sample)
    if (isProblem(columns)) return yield* wrong(spec, columns)
    yield* client.command(action, `CREATE DATABASE IF NOT EXISTS ${identifier(spec.database)}`)
    yield* client.command(action, createStatement(spec, columns, newGenerationComment()))
    // Another process may have been quicker; its columns count.
    existing = yield* readColumns(client, action, spec)
  }
  const table = yield* readTable(client, action, spec.database, spec.table)
  if (table === undefined)
    return yield* wrong(spec, {
      problem: `${spec.database}.${spec.table} is there, but cannot be seen: it is detached, this user has no right to see it, or it was dropped just now.`,
      advice: `Run ATTACH TABLE ${quotedName(spec)}, or give the user the rights SHOW, SELECT and INSERT on it.`
    })
  const problem = checkEngine(spec, table) ?? checkSortingKey(spec, table, existing)
  if (problem !== undefined) return yield* wrong(spec, problem)

  const names = new Set(existing.map(({ name }) => name))
  const added = [
    ...missingColumns(declared, existing).map(({ name, type }) => `${identifier(name)} ${type}`),
    ...originColumns.filter(([name]) => !names.has(name)).map(([name, definition]) => `${name} ${definition}`)
  ]
  if (added.length > 0) {
    const changes = added.map((definition) => `ADD COLUMN IF NOT EXISTS ${definition}`)
    yield* client.command(action, `ALTER TABLE ${quotedName(spec)} ${changes.join(", ")}`)
    existing = yield* readColumns(client, action, spec)
  }
  const columns = loadedColumns(spec, declared, existing)
  if (isProblem(columns)) return yield* wrong(spec, columns)
  const hasViews = yield* checkViewTargets(client, spec, table)
  for (const [name, select] of Object.entries(spec.views))
    yield* client.command(
      `${action}, view ${name}`,
      `CREATE OR REPLACE VIEW ${identifier(spec.database)}.${identifier(name)} AS ${select}`
    )
  return makeLoadedTable({
    client: connect,
    spec,
    columns,
    settings,
    generation: generationOf(table.comment),
    window: isReplicated(table.engine) ? undefined : windowOf(table),
    hasViews
  })
})

/** The table as it is now: nothing, or its generation if Tributary made it. */
export const findTable = Effect.fn("Warehouse.findTable")(function* (
  connect: LoadedTableOptions["client"],
  database: string,
  table: string
): Effect.fn.Return<FoundTable | undefined, WarehouseError> {
  const client = yield* connect
  const found = yield* readTable(client, `look for ${database}.${table}`, database, table)
  return found === undefined ? undefined : { generation: generationOf(found.comment) }
})
