import { createHash } from "node:crypto"
import { Effect } from "effect"
import type { Client, Settings } from "./Client.ts"
import type { EncoderColumn } from "./EncoderColumn.ts"
import { anyGenerationText, generationText } from "./Generation.ts"
import { RowEncoder } from "./RowEncoder.ts"
import { planTooOldText, tableReplacedText } from "./ServerCode.ts"
import { identifier, literal } from "./Sql.ts"
import type { Encoded, InsertPlan, SourceRecord, Table, TableSpec } from "./Table.ts"
import { BadRecord, PlanTooOld, TableReplaced, WarehouseError } from "./WarehouseError.ts"

/**
 * How long after its plan an insert may begin, in milliseconds. The table must remember all tokens of this time and of the 30
 * seconds for which the server waits for a body: with the default window that is 200 inserts a second.
 */
export const deadlineMs = 20_000

/**
 * Settings of every insert. Each is here because its default, on this version or another, would lose, double or alter rows.
 * Those that a server does not know are left out (`deduplicate_*` are new names of 26.x).
 */
export const insertSettings: Settings = {
  // The answer must mean that the rows are stored, and they must be a block of their own.
  async_insert: 0,
  insert_deduplicate: 1,
  deduplicate_insert: "enable",
  // The SELECT from input() gives the same rows in the same order, though the server cannot know it.
  deduplicate_insert_select: "enable_even_for_bad_queries",
  // Targets of materialised views are deduplicated too (default 0 on older servers).
  deduplicate_blocks_in_dependent_materialized_views: 1,
  // A batch (at most 500,000 rows, 128 MiB) is one block, and so all or nothing.
  max_insert_block_size: 1_048_576,
  min_insert_block_size_rows: 1_048_576,
  min_insert_block_size_bytes: 2 ** 30,
  use_strict_insert_block_limits: 0,
  max_insert_threads: 1,
  // One parser keeps rows in order and makes no smaller blocks.
  input_format_parallel_parsing: 0,
  max_partitions_per_insert_block: 100,
  throw_on_max_partitions_per_insert_block: 1,
  // Rows stay as they are until a merge, so that those of one insert can be counted.
  optimize_on_insert: 0,
  // The fast parser of floats is off by one in the last place at times, and makes 5e-324 zero.
  precise_float_parsing: 1,
  date_time_input_format: "best_effort",
  // A value that cannot be read is an error, never a default.
  insert_null_as_default: 0,
  input_format_null_as_default: 0,
  input_format_skip_unknown_fields: 0,
  input_format_allow_errors_num: 0,
  input_format_allow_errors_ratio: 0,
  input_format_defaults_for_omitted_fields: 0,
  input_format_json_empty_as_default: 0,
  input_format_json_throw_on_bad_escape_sequence: 1,
  // Values that are not strings are kept in text columns as the JSON they are.
  input_format_json_read_numbers_as_strings: 1,
  input_format_json_read_bools_as_strings: 1,
  input_format_json_read_objects_as_strings: 1,
  input_format_json_read_arrays_as_strings: 1
}

export interface LoadedTableOptions {
  readonly client: Effect.Effect<Client, WarehouseError>
  readonly spec: TableSpec
  readonly columns: ReadonlyArray<EncoderColumn>
  /** `insertSettings` as far as the server knows them. */
  readonly settings: Settings
  readonly generation: string | undefined
  /** Blocks whose tokens the table remembers; `undefined` where that cannot be told from block numbers (replicas). */
  readonly window: number | undefined
  readonly hasViews: boolean
}

const range =
  "_topic_id = {topicId:String} AND _partition = {partition:UInt32} AND _offset BETWEEN {first:UInt64} AND {last:UInt64}"

const paramsOf = ({ topicId, partition, first, last }: InsertPlan) => ({ topicId, partition, first, last })

const tokenOf = ({ topicId, partition, first, last }: InsertPlan): string => `${topicId}/${partition}/${first}-${last}`

/** Number of the insert that made a part, from its name: `<partition>_<first block>_<last block>_<level>`. */
const firstBlock = (part: string): number => Number(/_(\d+)_\d+_\d+(_\d+)?$/u.exec(part)?.[1] ?? Number.NaN)

/** The error with its row counted otherwise. */
const withRow = (error: WarehouseError, rowOf: (row: number) => number | undefined): WarehouseError => {
  const { action, reason } = error
  if (reason._tag !== "BadRecord" || reason.row === undefined) return error
  const { code, detail, name } = reason
  const row = rowOf(reason.row)
  return new WarehouseError({
    action,
    reason: new BadRecord({ code, name, detail, ...(row === undefined ? {} : { row }) })
  })
}

export const makeLoadedTable = (options: LoadedTableOptions): Table => {
  const { spec, columns, generation, settings } = options
  const name = `${spec.database}.${spec.table}`
  const quoted = `${identifier(spec.database)}.${identifier(spec.table)}`
  const encoder = new RowEncoder(columns)
  const fields = columns.map((column) => identifier(column.name))
  const structure = [
    "_offset UInt64",
    ...columns.map((column) => `${identifier(column.name)} ${column.type}`),
    "_extra String"
  ].join(", ")
  const upsert = spec.mode === "upsert"
  const action = `insert into ${name}`
  /** Version of offset 0 of a topic, by its id. */
  const bases = new Map<string, string>()

  // The table may be dropped and made anew by another process between two inserts of this one, whose position then does not count.
  const sameTable =
    generation === undefined
      ? undefined
      : `throwIf((SELECT countIf(position(comment, ${literal(anyGenerationText)}) > 0 AND position(comment, ${literal(generationText(generation))}) = 0) ` +
        `FROM system.tables WHERE database = ${literal(spec.database)} AND name = ${literal(spec.table)}) > 0, ${literal(tableReplacedText)}) = 0`

  const statement = (plan: InsertPlan, base: string): string => {
    const constants = [literal(plan.topic), literal(plan.topicId), String(plan.partition)]
    return [
      `INSERT INTO ${quoted} (${["_topic", "_topic_id", "_partition", ...(upsert ? ["_version"] : []), "_offset", ...fields, "_extra"].join(", ")})`,
      `SELECT ${[...constants, ...(upsert ? [`${base} + _offset`] : []), "_offset", ...fields, "_extra"].join(", ")}`,
      `FROM input(${literal(structure)})`,
      // Checked by the server, because a process that was frozen between its own check and the request cannot know.
      `WHERE throwIf(toUnixTimestamp64Milli(now64(3)) > ${Math.floor(plan.plannedAt) + deadlineMs}, ${literal(planTooOldText)}) = 0`,
      ...(sameTable === undefined ? [] : [`AND ${sameTable}`]),
      "FORMAT JSONEachRow"
    ].join(" ")
  }

  /**
   * Offsets begin at 0 again when a topic is deleted and made anew, but its records are newer than all in the table. So a
   * topic's versions begin behind those of the topics before it; the rows that are there say where that was.
   */
  const baseOf = Effect.fnUntraced(function* (plan: InsertPlan) {
    if (!upsert) return "0"
    const known = bases.get(plan.topicId)
    if (known !== undefined) return known
    const client = yield* options.client
    const [row] = yield* client.rows(
      action,
      `SELECT if(countIf(_topic_id = {topicId:String}) > 0, anyIf(_version - _offset, _topic_id = {topicId:String}), if(count() > 0, max(_version) + 1, 0)) AS base FROM ${quoted}`,
      { topicId: plan.topicId }
    )
    const base = String(row?.["base"] ?? "0")
    bases.set(plan.topicId, base)
    return base
  })

  const send = Effect.fnUntraced(function* (plan: InsertPlan, encoded: Encoded, token: string) {
    if (encoded.rows === 0) return
    const base = yield* baseOf(plan)
    const client = yield* options.client
    yield* client
      .insert(action, statement(plan, base), encoded.body, { ...settings, insert_deduplication_token: token })
      .pipe(Effect.mapError((error) => asRefusal(error, plan)))
  })

  /** What our own checks in the statement threw. */
  const asRefusal = (error: WarehouseError, plan: InsertPlan): WarehouseError => {
    if (error.reason._tag !== "Unexpected" || error.reason.code !== 395) return error
    const { detail } = error.reason
    if (detail.includes(tableReplacedText))
      return new WarehouseError({ action, reason: new TableReplaced({ table: name }) })
    return detail.includes(planTooOldText)
      ? new WarehouseError({ action, reason: new PlanTooOld({ table: name, plannedAt: plan.plannedAt, deadlineMs }) })
      : error
  }

  const insert = Effect.fn("Table.insert")(
    (plan: InsertPlan, encoded: Encoded) => send(plan, encoded, tokenOf(plan)),
    (effect, plan, encoded) =>
      Effect.annotateSpans(effect, {
        table: name,
        partition: plan.partition,
        first: plan.first,
        last: plan.last,
        rows: encoded.rows
      })
  )

  const stored = Effect.fn("Table.stored")(function* (plan: InsertPlan) {
    const client = yield* options.client
    const [row] = yield* client.rows(
      `count the rows of ${name}`,
      `SELECT count() AS n FROM ${quoted} WHERE ${range}`,
      paramsOf(plan)
    )
    return Number(row?.["n"] ?? 0)
  })

  /** The plan's offsets that are in the table, and whether the table certainly remembers the token of their insert. */
  const found = Effect.fnUntraced(function* (plan: InsertPlan) {
    const client = yield* options.client
    const looking = `look for rows in ${name}`
    const parts = yield* client.rows(
      looking,
      `SELECT _part AS part, groupArray(_offset) AS offsets FROM ${quoted} WHERE ${range} GROUP BY part`,
      paramsOf(plan)
    )
    const offsets = new Set<number>()
    let first = Number.POSITIVE_INFINITY
    for (const { part, offsets: some } of parts) {
      if (Array.isArray(some)) for (const offset of some) offsets.add(Number(offset))
      first = Math.min(first, firstBlock(String(part)))
    }
    if (offsets.size === 0 || options.window === undefined || Number.isNaN(first)) return { offsets, remembered: false }
    // Every insert into any partition takes the next number. A part that merges have grown begins at or before its own.
    const [row] = yield* client.rows(
      looking,
      "SELECT max(max_block_number) AS last FROM system.parts WHERE database = {database:String} AND table = {table:String}",
      { database: spec.database, table: spec.table }
    )
    // A view's target may take several blocks for one of the table, so its window is used up sooner.
    const blocks = options.hasViews ? options.window / 10 : options.window
    return { offsets, remembered: Number(row?.["last"] ?? 0) - first + 1 < blocks }
  })

  /** Sends rows of a range of which others are stored, under a token of their own. `missing` counts them over those that fit. */
  const sendMissing = Effect.fnUntraced(function* (
    plan: InsertPlan,
    fitting: ReadonlyArray<SourceRecord>,
    missing: ReadonlyArray<number>
  ) {
    const rest = missing.map((row) => fitting[row]!)
    const which = createHash("sha256")
      .update(rest.map(({ offset }) => offset).join())
      .digest("base64url")
    yield* send(plan, encoder.encode(rest), `${tokenOf(plan)}/${which}`).pipe(
      Effect.mapError((error) => withRow(error, (row) => missing[row]))
    )
  })

  const insertMissing = Effect.fn("Table.insertMissing")(function* (
    plan: InsertPlan,
    records: ReadonlyArray<SourceRecord>
  ) {
    const all = encoder.encode(records)
    const { offsets, remembered } = yield* found(plan)
    const unfit = new Set(all.rejected.map(({ index }) => index))
    const fitting = records.filter((_, index) => !unfit.has(index))
    const missingFrom = (there: ReadonlySet<number>) =>
      [...fitting.keys()].filter((row) => !there.has(fitting[row]!.offset))
    const missing = missingFrom(offsets)
    // The range may have been tried with another schema first: what was stored then is not rejected now.
    const encoded = { ...all, rejected: all.rejected.filter(({ index }) => !offsets.has(records[index]!.offset)) }
    const recovered = { encoded, stored: fitting.length - missing.length, inserted: missing.length }
    const whole = send(plan, all, tokenOf(plan))
    if (offsets.size === 0) {
      yield* whole
      return recovered
    }
    // The token is still known: the same insert again does what is missing in partitions and views.
    if (remembered && (options.hasViews || missing.length > 0)) yield* whole
    if (upsert && options.hasViews) {
      // Replaced rows are gone, and must not reach the views again: a table without partitions had all of them.
      if (!remembered && missing.length > 0 && spec.partitionBy !== undefined) yield* whole
      return recovered
    }
    // Still missing: the token is forgotten, or they did not fit when the range was tried first. In mode upsert rows that were
    // replaced come again, in their old version, and are replaced again.
    const still = remembered && missing.length > 0 ? missingFrom((yield* found(plan)).offsets) : missing
    if (still.length > 0) yield* sendMissing(plan, fitting, still)
    return recovered
  })

  return {
    name,
    generation,
    columns: columns.map(({ name, type, declared }) => ({ name, type, declared })),
    encode: (records) => encoder.encode(records),
    insert,
    stored,
    insertMissing
  }
}
