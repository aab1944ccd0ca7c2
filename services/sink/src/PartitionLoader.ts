import type { Encoded, InsertPlan, RejectedRecord, SourceRecord, Table, WarehouseError } from "@tributary/clickhouse"
import type { Claim, LogError, LogRecord, Producer } from "@tributary/log"
import type { RegistryError, ValueDecoder } from "@tributary/schema-registry"
import type { Reporter } from "@tributary/telemetry"
import { Clock, Effect, Fiber } from "effect"
import { deadLetters } from "./DeadLetter.ts"
import { isPassing, patiently, waitAfter } from "./Patience.ts"
import {
  belongingOf,
  decodePlan,
  encodeAcknowledged,
  encodePlan,
  type Plan,
  type PlanLost,
  UnknownPlan
} from "./Plan.ts"
import {
  collect,
  collectPlanned,
  decodeRange,
  halves,
  type Range,
  type RangeLimits,
  sampleLimits,
  valuesOf
} from "./Range.ts"

export interface LoaderOptions extends RangeLimits {
  readonly table: string
  readonly deadTopic: string
  /** How often an insert that failed for a passing reason is repeated before the loader fails; it starts again from the plan. */
  readonly retries: number
}

/** One try of an insert; succeeds with the records that do not fit the table. */
type Attempt = (
  plan: InsertPlan,
  encoded: Encoded,
  records: () => ReadonlyArray<SourceRecord>
) => Effect.Effect<ReadonlyArray<RejectedRecord>, WarehouseError>

/** With more records of a range than this that only the server refuses, it is halved: each of them costs an insert of the rest. */
const mostRefused = 8
const nothing = new Uint8Array()

const source = ({ offset, value }: LogRecord): SourceRecord => ({ offset, value: value ?? nothing })

/** Place of the record that a row of an insert was made from. */
const placeOfRow = ({ rejected }: Encoded, row: number): number => {
  let place = row
  for (const { index } of rejected) if (index <= place) place++
  return place
}

const insertNew =
  (table: Table): Attempt =>
  (plan, encoded) =>
    Effect.as(table.insert(plan, encoded), encoded.rejected)

const insertMissing =
  (table: Table): Attempt =>
  (plan, _encoded, records) =>
    Effect.suspend(() => table.insertMissing(plan, records())).pipe(
      Effect.tap(({ inserted, stored }) =>
        Effect.logDebug("Range asked for.").pipe(
          Effect.annotateLogs({ first: plan.first, last: plan.last, inserted, stored })
        )
      ),
      Effect.map(({ encoded }) => encoded.rejected)
    )

/**
 * Loads one partition into its table, each record once, for as long as the partition is owned (DESIGN.md, promise 2).
 *
 * Before an insert its range is committed as the plan of the group's position. Whoever finds a plan replays exactly that
 * range under the same token, asking the table first what of it is there. The commit also proves ownership: an expelled
 * member cannot plan. Records that do not fit the table are published to the dead-letter topic in the same transaction as
 * the position that passes them.
 */
export const loadPartition = Effect.fnUntraced(function* (
  claim: Claim,
  producer: Producer,
  ensureTable: (sample: ReadonlyArray<Uint8Array>) => Effect.Effect<Table, WarehouseError>,
  reporter: Reporter,
  options: LoaderOptions,
  earliest: number,
  decoder: ValueDecoder
): Effect.fn.Return<never, LogError | RegistryError | WarehouseError | UnknownPlan | PlanLost> {
  const topic = claim.topic
  const committed = yield* claim.committed
  let table: Table | undefined

  const planOf = ({ first, last }: Range, madeAt: number | undefined): Plan => ({
    v: 1,
    first,
    last,
    epoch: topic.id,
    table: options.table,
    ...(table?.generation === undefined ? {} : { generation: table.generation }),
    ...(madeAt === undefined ? {} : { madeAt })
  })

  /** Says that everything before `offset` is done, with no range in flight. */
  const acknowledge = (offset: number, generation: string | undefined) =>
    claim.commit(offset, encodeAcknowledged(generation, topic.id))

  /**
   * Tries `insert` until it succeeds. Each try commits the plan first: that asks whether this member is still the owner, and
   * only then may the insert's deadline move.
   */
  const planned = Effect.fnUntraced(function* <A>(
    plan: Plan,
    insert: (plan: InsertPlan, tries: number) => Effect.Effect<A, WarehouseError>
  ) {
    const { epoch, first, last, madeAt } = plan
    const place = { topic: topic.name, topicId: epoch, partition: claim.partition, first, last }
    for (let tries = 0; ; tries++) {
      // Taken before the commit: time spent frozen behind it counts.
      const plannedAt = yield* Clock.currentTimeMillis
      yield* claim.commit(first, encodePlan(plan))
      const result = yield* Effect.result(
        insert({ ...place, plannedAt, ...(madeAt === undefined ? {} : { madeAt }) }, tries)
      )
      if (result._tag === "Success") return result.success
      const error = result.failure
      if (!isPassing(error) || tries >= options.retries) return yield* error
      yield* waitAfter(reporter, error, tries)
    }
  })

  /** Everything of the range is stored or rejected: publish the rejections with the position that passes them. */
  const finish = Effect.fnUntraced(function* (range: Range, rejected: ReadonlyArray<RejectedRecord>) {
    if (rejected.length > 0) {
      yield* producer.transact({
        records: deadLetters(options.deadTopic, claim, range, rejected),
        consumed: { claim, offset: range.next }
      })
      yield* Effect.logWarning("Records rejected.").pipe(
        Effect.annotateLogs({ count: rejected.length, topic: options.deadTopic, code: rejected[0]!.code })
      )
    }
    const now = yield* Clock.currentTimeMillis
    const oldest = range.records[0]
    yield* reporter.progress({
      records: range.records.length - rejected.length,
      bytes: range.bytes,
      rejected: rejected.length,
      ...(oldest === undefined ? {} : { freshness: Math.max(0, now - oldest.timestamp) })
    })
  })

  /**
   * Inserts a range under its plan. A record that only the server finds wrong is left out and the rest goes again under the same
   * token: nothing of the refused insert was stored. Succeeds with all rejections, or with "halve" when the server does not
   * say which record it refuses, or refuses many.
   */
  const insertRange = Effect.fnUntraced(function* (
    range: Range,
    target: Table,
    attempt: Attempt,
    most: number,
    madeAt: number | undefined,
    ready?: Encoded
  ) {
    const plan = planOf(range, madeAt)
    const refused: Array<RejectedRecord> = []
    /** Indices of the records that still go, once one has been refused. */
    let kept: ReadonlyArray<number> | undefined
    const indexOf = (place: number) => (kept === undefined ? place : kept[place]!)
    const records = () =>
      kept === undefined ? range.records.map(source) : kept.map((index) => source(range.records[index]!))
    let encoded = ready ?? target.encode(records())
    for (;;) {
      const body = encoded
      const result = yield* Effect.result(
        planned(plan, (insert, tries) =>
          // After a try of unknown outcome the table is asked: its token may be forgotten by now.
          (tries === 0 ? attempt : insertMissing(target))(insert, body, records)
        )
      )
      if (result._tag === "Success") {
        const unfit = result.success.map((rejection) => ({ ...rejection, index: indexOf(rejection.index) }))
        return [...unfit, ...refused].sort((a, b) => a.index - b.index)
      }
      const error = result.failure
      if (error._tag !== "WarehouseError" || error.reason._tag !== "BadRecord") return yield* error
      const named = error.reason.row
      if (named === undefined || (refused.length >= most && encoded.rows > mostRefused)) {
        const isStored = (yield* planned(plan, (insert) => target.stored(insert))) > 0
        if (!isStored && encoded.rows > 1) return "halve"
        // Rows of this range are in the table, so that no other range may carry them, and which is refused is not known.
        if (isStored && named === undefined) return yield* error
      }
      // The only row of an insert is the one that is refused.
      const place = placeOfRow(encoded, encoded.rows === 1 ? 0 : (named ?? 0))
      const index = indexOf(place)
      refused.push({ index, code: "refused_by_clickhouse", reason: error.reason.message })
      kept = (kept ?? [...range.records.keys()]).filter((other) => other !== index)
      encoded = target.encode(records())
    }
  })

  /**
   * Loads a range to its end. One that has to be halved is planned anew as its first half; the server has refused the whole, so
   * nothing of it can arrive later. In the end a record that cannot be loaded stands alone.
   */
  const load = Effect.fnUntraced(function* (
    range: Range,
    target: Table,
    attempt: Attempt,
    madeAt: number | undefined,
    ready?: Encoded
  ) {
    const first = yield* insertRange(range, target, attempt, mostRefused, madeAt, ready)
    if (first !== "halve") return yield* finish(range, first)
    const waiting = [...halves(range)]
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const now = yield* Clock.currentTimeMillis
      const rejected = yield* insertRange(next, target, insertNew(target), 1, now)
      if (rejected === "halve") waiting.unshift(...halves(next))
      else yield* finish(next, rejected)
    }
  })

  const tableFor = Effect.fnUntraced(function* (range: Range) {
    if (table !== undefined) return table
    const sample = valuesOf(range.records.slice(0, sampleLimits.maxRecords))
    const target = yield* patiently(reporter, options.retries, ensureTable(sample))
    table = target
    return target
  })

  /** A range is planned and not acknowledged yet: nothing behind it may be. */
  let isPlanned = false
  /** What is before it has been loaded, or has no record. */
  let passedTo = 0

  /** Offsets without a record are acknowledged, so that the group's lag is zero behind the marker of a transaction, too. */
  const passed = (next: number) =>
    Effect.suspend(() => {
      passedTo = next
      return isPlanned ? Effect.void : acknowledge(next, table?.generation ?? belonging?.generation)
    })

  /** Acknowledges a range that was planned, and what was passed behind it meanwhile. */
  const close = Effect.fnUntraced(function* (next: number, generation: string | undefined) {
    for (let to = Math.max(next, passedTo); ; to = passedTo) {
      yield* acknowledge(to, generation)
      if (passedTo <= to) break
    }
    isPlanned = false
  })

  let closedAt = 0
  const prepare = Effect.fnUntraced(function* (from: number) {
    const collected = yield* collect(claim, from, options, closedAt, passed)
    closedAt = yield* Clock.currentTimeMillis
    const range = yield* decodeRange(collected, decoder)
    const target = yield* tableFor(range)
    return { range, target, encoded: target.encode(range.records.map(source)) }
  })

  /** Replays the plan that a predecessor has left. */
  const replay = Effect.fnUntraced(function* (plan: Plan) {
    const range = yield* decodeRange(yield* collectPlanned(claim, plan, options), decoder)
    const target = yield* tableFor(range)
    yield* load(range, target, insertMissing(target), plan.madeAt)
    yield* acknowledge(range.next, target.generation)
    yield* Effect.logInfo("Pending plan replayed.").pipe(
      Effect.annotateLogs({ first: plan.first, last: plan.last, records: range.records.length })
    )
    return range.next
  })

  let position = committed?.offset ?? earliest
  const belonging = committed === undefined ? undefined : belongingOf(committed)
  const isForeign = belonging?.epoch !== undefined && belonging.epoch !== topic.id
  const pending = committed === undefined || isForeign ? undefined : decodePlan(committed.metadata, committed.offset)
  if (isForeign) {
    position = earliest
    yield* acknowledge(position, belonging.generation)
    yield* Effect.logWarning(
      `The topic ${topic.name} was deleted and made anew, so its position does not count. It is loaded from its first record.`
    ).pipe(Effect.annotateLogs({ partition: claim.partition, committed: committed?.offset, from: earliest }))
  }
  if (pending === "unknown") {
    return yield* new UnknownPlan({
      topic: topic.name,
      partition: claim.partition,
      metadata: committed?.metadata ?? ""
    })
  }
  if (pending !== undefined && pending.table !== options.table) {
    yield* Effect.logWarning("The pending plan was made for another table and is dropped.").pipe(
      Effect.annotateLogs({ plan: encodePlan(pending), table: options.table })
    )
  } else if (pending !== undefined) {
    yield* reporter.state("running")
    position = yield* replay(pending)
  }

  yield* reporter.state("waiting")
  let prepared = yield* prepare(position)
  for (;;) {
    const { encoded, range, target } = prepared
    yield* reporter.state("running")
    // The next range is read and encoded while this one is on its way; only one is ever planned. It ends with this fiber.
    isPlanned = true
    const following = yield* Effect.forkChild(prepare(range.next))
    yield* load(range, target, insertNew(target), yield* Clock.currentTimeMillis, encoded)
    if (following.pollUnsafe()?._tag !== "Success") {
      // No plan follows at once: acknowledge now, so that the group's lag is zero and a restart has nothing to replay.
      yield* close(range.next, target.generation)
      yield* reporter.state("waiting")
    }
    prepared = yield* Fiber.join(following)
  }
})
