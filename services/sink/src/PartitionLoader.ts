import type { Encoded, InsertPlan, Recovered, RejectedRecord, Table, WarehouseError } from "@tributary/clickhouse"
import { rejectedHeaders } from "@tributary/domain"
import type { Claim, LogError, LogRecord, NewRecord, Producer } from "@tributary/log"
import type { Reporter } from "@tributary/telemetry"
import { Clock, Duration, Effect, Fiber, Random } from "effect"
import { decodePlan, encodePlan, type Plan, UnknownPlan } from "./Plan.ts"

export interface LoaderOptions {
  readonly table: string
  readonly deadTopic: string
  readonly maxRows: number
  readonly maxBytes: number
  readonly flushEvery: Duration.Duration
  /** How often an insert that failed for a passing reason is repeated before the loader fails; it starts again from the plan. */
  readonly retries: number
}

/** Consecutive records of the partition, and where the range ends. */
interface Range {
  readonly first: number
  readonly next: number
  readonly records: ReadonlyArray<LogRecord>
  readonly bytes: number
}

const oneMinute = Duration.minutes(1)
const longestDelay = 30_000
const nothing = new Uint8Array()

const source = (record: LogRecord) => ({ offset: record.offset, value: record.value ?? nothing })

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
  earliest: number
): Effect.fn.Return<never, LogError | WarehouseError | UnknownPlan> {
  const topic = claim.topic
  const committed = yield* claim.committed
  let table: Table | undefined

  const planOf = (first: number, next: number): Plan => ({
    v: 1,
    first,
    last: next - 1,
    epoch: topic.id,
    table: options.table
  })

  const insertPlan = (plan: Plan, plannedAt: number): InsertPlan => ({
    topic: topic.name,
    topicId: plan.epoch,
    partition: claim.partition,
    first: plan.first,
    last: plan.last,
    plannedAt
  })

  /** Collects a range: full at once when there is a backlog, else whatever came within `flushEvery` of its first record. */
  const collect = Effect.fnUntraced(function* (from: number) {
    const records: Array<LogRecord> = []
    let bytes = 0
    let first = from
    let next = from
    let flushAt = 0
    for (;;) {
      const now = yield* Clock.currentTimeMillis
      const batch = yield* claim.read(next, {
        maxRecords: options.maxRows - records.length,
        maxBytes: options.maxBytes - bytes,
        wait: records.length === 0 ? oneMinute : Duration.millis(Math.max(0, flushAt - now))
      })
      next = batch.next
      if (batch.records.length === 0) {
        if (records.length > 0) break
        first = next
        continue
      }
      if (records.length === 0) flushAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(options.flushEvery)
      for (const record of batch.records) {
        records.push(record)
        bytes += record.value?.length ?? 0
      }
      if (records.length >= options.maxRows || bytes >= options.maxBytes) break
      if (next >= batch.end && (yield* Clock.currentTimeMillis) >= flushAt) break
    }
    return { first, next, records, bytes } satisfies Range
  })

  /** Reads exactly the range of a plan. */
  const collectPlanned = Effect.fnUntraced(function* (plan: Plan) {
    const records: Array<LogRecord> = []
    let bytes = 0
    let next = plan.first
    while (next <= plan.last) {
      const batch = yield* claim.read(next, {
        maxRecords: Math.min(plan.last - next + 1, options.maxRows),
        maxBytes: options.maxBytes,
        wait: oneMinute
      })
      for (const record of batch.records) {
        if (record.offset > plan.last) break
        records.push(record)
        bytes += record.value?.length ?? 0
      }
      next = batch.next
    }
    return { first: plan.first, next: plan.last + 1, records, bytes } satisfies Range
  })

  /**
   * Tries `insert` until it succeeds. Each try commits the plan first: that asks whether this member is still the owner, and
   * only then may the insert's deadline move.
   */
  const planned = Effect.fnUntraced(function* <A>(
    plan: Plan,
    insert: (plan: InsertPlan) => Effect.Effect<A, WarehouseError>
  ) {
    for (let tries = 0; ; tries++) {
      // Taken before the commit: time spent frozen behind it counts.
      const plannedAt = yield* Clock.currentTimeMillis
      yield* claim.commit(plan.first, encodePlan(plan))
      const result = yield* Effect.result(insert(insertPlan(plan, plannedAt)))
      if (result._tag === "Success") return result.success
      const error = result.failure
      const passing = error.failureClass === "transient" || error.failureClass === "throttled"
      if (!passing || tries >= options.retries) return yield* error
      yield* reporter.state("retrying", { problem: { class: error.failureClass, message: error.message } })
      yield* Effect.logWarning(error.message).pipe(Effect.annotateLogs({ attempt: tries + 1 }))
      const delay = Math.min((error.failureClass === "throttled" ? 2_000 : 100) * 2 ** tries, longestDelay)
      yield* Effect.sleep(delay * (0.5 + (yield* Random.next)))
    }
  })

  /** Everything of the range is stored or rejected: publish the rejections with the position that passes them. */
  const finish = Effect.fnUntraced(function* (range: Range, rejected: ReadonlyArray<RejectedRecord>) {
    if (rejected.length > 0) {
      const dead: ReadonlyArray<NewRecord> = rejected.map(({ code, index, reason }) => {
        const record = range.records[index]!
        return {
          topic: options.deadTopic,
          key: record.key,
          value: record.value,
          headers: {
            [rejectedHeaders.reason]: reason,
            [rejectedHeaders.code]: code,
            [rejectedHeaders.stage]: "sink",
            [rejectedHeaders.topic]: topic.name,
            [rejectedHeaders.partition]: String(claim.partition),
            [rejectedHeaders.offset]: String(record.offset)
          }
        }
      })
      yield* producer.transact({ records: dead, consumed: { claim, offset: range.next } })
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

  const values = (records: ReadonlyArray<LogRecord>) => records.slice(0, 1_000).map((record) => source(record).value)

  const prepare = Effect.fnUntraced(function* (from: number) {
    const range = yield* collect(from)
    const target = table ?? (yield* ensureTable(values(range.records)))
    table = target
    return { range, target, encoded: target.encode(range.records.map(source)) }
  })

  /**
   * Inserts a range. A record that only the server finds wrong is left out and the rest goes again under the same token:
   * nothing of the refused insert was stored.
   */
  const insertRange = Effect.fnUntraced(function* (range: Range, target: Table, encoded: Encoded) {
    const plan = planOf(range.first, range.next)
    const refused = new Map<number, RejectedRecord>()
    let body = encoded
    let indices: ReadonlyArray<number> = range.records.map((_, index) => index)
    for (;;) {
      const result = yield* Effect.result(planned(plan, (insert) => target.insert(insert, body)))
      const rejections = () => [
        ...body.rejected.map((rejection) => ({ ...rejection, index: indices[rejection.index]! })),
        ...refused.values()
      ]
      if (result._tag === "Success") return rejections()
      const error = result.failure
      if (error._tag !== "WarehouseError" || error.reason._tag !== "BadRecord" || error.reason.row === undefined)
        return yield* error
      const out = new Set(body.rejected.map(({ index }) => index))
      const index = indices.filter((_, position) => !out.has(position))[error.reason.row]
      if (index === undefined) return yield* error
      refused.set(index, { index, code: "refused-by-clickhouse", reason: error.reason.message })
      indices = indices.filter((other) => other !== index)
      body = target.encode(indices.map((kept) => source(range.records[kept]!)))
    }
  })

  let position = committed?.offset ?? earliest
  const pending = committed === undefined ? undefined : decodePlan(committed.metadata, committed.offset)
  if (pending === "unknown") {
    return yield* new UnknownPlan({
      topic: topic.name,
      partition: claim.partition,
      metadata: committed?.metadata ?? ""
    })
  }
  if (pending !== undefined && (pending.table !== options.table || pending.epoch !== topic.id)) {
    yield* Effect.logWarning("The pending plan was made for another table or topic and is dropped.").pipe(
      Effect.annotateLogs({ plan: encodePlan(pending), table: options.table })
    )
  } else if (pending !== undefined) {
    yield* reporter.state("running")
    const range = yield* collectPlanned(pending)
    const target = yield* ensureTable(values(range.records))
    table = target
    const recovered: Recovered = yield* planned(pending, (insert) =>
      target.insertMissing(insert, range.records.map(source))
    )
    yield* finish(range, recovered.encoded.rejected)
    position = range.next
    yield* claim.commit(position, "")
    yield* Effect.logInfo("Pending plan replayed.").pipe(
      Effect.annotateLogs({ rows: range.records.length, stored: recovered.stored, inserted: recovered.inserted })
    )
  }

  yield* reporter.state("waiting")
  let prepared = yield* prepare(position)
  for (;;) {
    yield* reporter.state("running")
    // The next range is read and encoded while this one is on its way; only one is ever planned.
    const following = yield* Effect.forkChild(prepare(prepared.range.next))
    const rejected = yield* insertRange(prepared.range, prepared.target, prepared.encoded)
    yield* finish(prepared.range, rejected)
    if (following.pollUnsafe() === undefined) {
      // Nothing follows yet: acknowledge now, so that the group's lag is zero and a restart has nothing to replay.
      yield* claim.commit(prepared.range.next, "")
      yield* reporter.state("waiting")
    }
    prepared = yield* Fiber.join(following)
  }
})
