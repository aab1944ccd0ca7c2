import { createHash } from "node:crypto"
import { Effect } from "effect"
import type { Client, Settings } from "./Client.ts"
import type { EncoderColumn } from "./EncoderColumn.ts"
import { anyGenerationText, generationText } from "./Generation.ts"
import { RowEncoder } from "./RowEncoder.ts"
import { insertMoved } from "./MovedInsert.ts"
import { planTooOldText, tableReplacedText } from "./ServerCode.ts"
import { identifier, literal } from "./Sql.ts"
import type { Encoded, InsertPlan, SourceRecord, Table, TableSpec } from "./Table.ts"
import { BadRecord, Misconfigured, PlanTooOld, TableReplaced, WarehouseError } from "./WarehouseError.ts"

/**
 * How long after its plan an insert may begin, in milliseconds. The table must remember all tokens of this time and of the 30
 * seconds for which the server waits for a body: with the default window that is 200 inserts a second.
 */
export const deadlineMs = 20_000

/** Most that the server's start may seem later than a plan though it was before: the clocks may differ, uptime is in whole seconds. */
const clockDifference = deadlineMs / 2 + 1_000
/** How often rows that are not there after they were sent are sent again. Each time takes another crash in the wrong moment. */
const mostRounds = 2

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

const arrayOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

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

  const statement = (plan: InsertPlan, base: string, target: string): string => {
    const constants = [literal(plan.topic), literal(plan.topicId), String(plan.partition)]
    return [
      `INSERT INTO ${target} (${["_topic", "_topic_id", "_partition", ...(upsert ? ["_version"] : []), "_offset", ...fields, "_extra"].join(", ")})`,
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

  const send = Effect.fnUntraced(function* (plan: InsertPlan, encoded: Encoded, token: string, target = quoted) {
    if (encoded.rows === 0) return
    const base = yield* baseOf(plan)
    const client = yield* options.client
    yield* client
      .insert(action, statement(plan, base, target), encoded.body, { ...settings, insert_deduplication_token: token })
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

  /**
   * The plan's offsets that are in the table, whether the table certainly remembers the token of their insert, and whether the server
   * may have been started anew since the plan was made.
   */
  const found = Effect.fnUntraced(function* (plan: InsertPlan) {
    const client = yield* options.client
    const looking = `look for rows in ${name}`
    const [answer] = yield* client.rows(
      looking,
      "SELECT groupArray(part) AS parts, groupArray(found) AS offsets, toUnixTimestamp64Milli(now64(3)) - 1000 * uptime() AS started " +
        `FROM (SELECT _part AS part, groupArray(_offset) AS found FROM ${quoted} WHERE ${range} GROUP BY part)`,
      paramsOf(plan)
    )
    const offsets = new Set<number>()
    let first = Number.POSITIVE_INFINITY
    for (const part of arrayOf(answer?.["parts"])) first = Math.min(first, firstBlock(String(part)))
    for (const some of arrayOf(answer?.["offsets"])) for (const offset of arrayOf(some)) offsets.add(Number(offset))
    const restarted = plan.madeAt === undefined || Number(answer?.["started"]) > plan.madeAt - clockDifference
    if (offsets.size === 0 || options.window === undefined || Number.isNaN(first))
      return { offsets, restarted, remembered: false }
    // Every insert into any partition takes the next number. A part that merges have grown begins at or before its own.
    const [row] = yield* client.rows(
      looking,
      "SELECT max(max_block_number) AS last FROM system.parts WHERE database = {database:String} AND table = {table:String}",
      { database: spec.database, table: spec.table }
    )
    // A view's target may take several blocks for one of the table, so its window is used up sooner.
    const blocks = options.hasViews ? options.window / 10 : options.window
    return { offsets, restarted, remembered: Number(row?.["last"] ?? 0) - first + 1 < blocks }
  })

  /**
   * Sends rows of a range that are missing, under a token of their own that depends on `round`, too. `missing` counts them over
   * those that fit. Views that have had them already must not be shown them again.
   */
  const sendMissing = Effect.fnUntraced(function* (
    plan: InsertPlan,
    fitting: ReadonlyArray<SourceRecord>,
    missing: ReadonlyArray<number>,
    round: number,
    viewsHadThem: boolean
  ) {
    const rest = missing.map((row) => fitting[row]!)
    const which = createHash("sha256")
      .update(rest.map(({ offset }) => offset).join())
      .digest("base64url")
    const token = `${tokenOf(plan)}/${which}${round === 0 ? "" : `/${round}`}`
    const sending = (target: string) =>
      Effect.mapError(send(plan, encoder.encode(rest), token, target), (error) => withRow(error, (row) => missing[row]))
    if (!viewsHadThem) return yield* sending(quoted)
    const client = yield* options.client
    yield* insertMoved({
      client,
      database: spec.database,
      table: spec.table,
      action,
      purpose: tokenOf(plan),
      insert: sending
    })
  })

  /** Rows of the table that a filter hides from this user. Those of `DELETE` are not hidden, they are gone. */
  const hiddenRows = Effect.fnUntraced(function* () {
    const client = yield* options.client
    const counting = `count the rows of ${name}`
    const parts = Effect.map(
      client.rows(
        counting,
        "SELECT name, rows FROM system.parts WHERE database = {database:String} AND table = {table:String} AND active",
        { database: spec.database, table: spec.table }
      ),
      (rows) => new Map(rows.map((row) => [String(row["name"]), Number(row["rows"])]))
    )
    // A part that is there before and after was there in between, and its rows do not change.
    const before = yield* parts
    const seen = yield* client.rows(
      counting,
      `SELECT _part AS name, count() AS n FROM ${quoted} GROUP BY name SETTINGS apply_deleted_mask = 0`
    )
    const visible = new Map(seen.map((row) => [String(row["name"]), Number(row["n"])]))
    let hidden = 0
    for (const [part, rows] of yield* parts) if (before.has(part)) hidden += rows - (visible.get(part) ?? 0)
    return hidden
  })

  /** Whether rows of the table are deleted when their time has come, so that those of a plan may be gone. */
  const rowsExpire = Effect.fnUntraced(function* () {
    const client = yield* options.client
    const [row] = yield* client.rows(
      action,
      "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}",
      { database: spec.database, table: spec.table }
    )
    return / TTL /u.test(String(row?.["engine_full"]))
  })

  const unseen = (plan: InsertPlan, problem: string, help: string) =>
    new WarehouseError({
      action,
      reason: new Misconfigured({
        code: 0,
        name: "ROWS_NOT_VISIBLE",
        detail: `Rows of partition ${plan.partition}, offsets ${plan.first} to ${plan.last}, were inserted into ${name} and are not visible to this user: ${problem}.`,
        advice: help
      })
    })

  type MissingFrom = (there: ReadonlySet<number>) => ReadonlyArray<number>

  /**
   * Sends rows that are missing until they are there.
   *
   * A server writes a token down before it stores the block. One that was killed in between remembers the token of a block that
   * is nowhere, and drops every insert with that token in silence. So what was sent is looked for, and goes again under another
   * token: unless rows of the table are hidden, as those may be among them and would be stored twice. On replicas token and block
   * are one, and a row that is not seen may only not have come yet; and in mode `upsert` rows that were replaced go again at any time.
   */
  const sendUntilThere = Effect.fnUntraced(function* (
    plan: InsertPlan,
    fitting: ReadonlyArray<SourceRecord>,
    missing: ReadonlyArray<number>,
    missingFrom: MissingFrom,
    viewsHadThem: boolean
  ) {
    let rest = missing
    for (let round = 0; rest.length > 0; round++) {
      const hidden = upsert ? 0 : yield* hiddenRows()
      if (hidden > 0)
        return yield* unseen(
          plan,
          `a filter hides ${hidden} rows of the table, and they may be among them`,
          "Let this user see all rows: look for a row policy (SHOW POLICIES) and for additional_table_filters in its settings. They are not sent again before that, as they could be stored twice."
        )
      yield* sendMissing(plan, fitting, rest, round, viewsHadThem)
      if (options.window === undefined || upsert) return
      rest = missingFrom((yield* found(plan)).offsets)
      if (rest.length === 0) return
      if (yield* rowsExpire()) {
        yield* Effect.logInfo(`Rows that were inserted into ${name} are gone; its TTL deletes rows.`).pipe(
          Effect.annotateLogs({ partition: plan.partition, first: plan.first, last: plan.last, rows: rest.length })
        )
        return
      }
      if (round >= mostRounds)
        return yield* unseen(
          plan,
          `${rest.length} of them were sent ${round + 1} times under different tokens`,
          "Look for what removes or hides them (statements that delete, system.mutations) and stop it; the range is loaded then. If nothing does, the server loses rows: look at its log and its disk."
        )
    }
  })

  /** Inserts what is missing of `fitting`, of which `looked` was found. */
  const complete = Effect.fnUntraced(function* (
    plan: InsertPlan,
    whole: Effect.Effect<void, WarehouseError>,
    fitting: ReadonlyArray<SourceRecord>,
    missingFrom: MissingFrom,
    looked: Effect.Success<ReturnType<typeof found>>
  ) {
    const { offsets, remembered } = looked
    const missing = missingFrom(offsets)
    if (offsets.size === 0) {
      yield* whole
      if (options.window === undefined) return
      const after = yield* found(plan)
      const lost = missingFrom(after.offsets)
      // A server that was not started since then keeps its word: what is not there is hidden or was deleted or replaced.
      if (!after.restarted || lost.length === 0) return
      // Views have their own tokens: they had the rows before, or from the insert that the table has just dropped.
      return yield* sendUntilThere(plan, fitting, lost, missingFrom, options.hasViews)
    }
    // The token is still known: the same insert again does what is missing in partitions and views.
    if (remembered && (options.hasViews || missing.length > 0)) yield* whole
    if (upsert && options.hasViews) {
      // Replaced rows are gone, and must not reach the views again: a table without partitions had all of them.
      if (!remembered && missing.length > 0 && spec.partitionBy !== undefined) yield* whole
      return
    }
    // Still missing: the token is forgotten, or they did not fit when the range was tried first. In mode upsert rows that were
    // replaced come again, in their old version, and are replaced again.
    const still = remembered && missing.length > 0 ? missingFrom((yield* found(plan)).offsets) : missing
    yield* sendUntilThere(plan, fitting, still, missingFrom, false)
  })

  const insertMissing = Effect.fn("Table.insertMissing")(function* (
    plan: InsertPlan,
    records: ReadonlyArray<SourceRecord>
  ) {
    const all = encoder.encode(records)
    const looked = yield* found(plan)
    const unfit = new Set(all.rejected.map(({ index }) => index))
    const fitting = records.filter((_, index) => !unfit.has(index))
    const missingFrom: MissingFrom = (there) => [...fitting.keys()].filter((row) => !there.has(fitting[row]!.offset))
    yield* complete(plan, send(plan, all, tokenOf(plan)), fitting, missingFrom, looked)
    if (options.hasViews && options.window !== undefined && looked.restarted && fitting.length > 0)
      yield* Effect.logWarning(
        `ClickHouse was started anew while a range was loaded into ${name}. The table has it, but materialised views of the table may lack it or have it twice: compare their counts with the table's, and fill a view that differs anew from the table (docs/decisions/0007-phantom-tokens.md).`
      ).pipe(Effect.annotateLogs({ table: name, partition: plan.partition, first: plan.first, last: plan.last }))
    const missing = missingFrom(looked.offsets)
    return {
      // The range may have been tried with another schema first: what was stored then is not rejected now.
      encoded: {
        ...all,
        rejected: all.rejected.filter(({ index }) => !looked.offsets.has(records[index]!.offset))
      },
      stored: fitting.length - missing.length,
      inserted: missing.length
    }
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
