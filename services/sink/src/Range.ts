import type { Rejected } from "@tributary/domain"
import type { Claim, LogError, LogRecord } from "@tributary/log"
import type { ValueDecoder } from "@tributary/schema-registry"
import { Clock, Duration, Effect } from "effect"
import { type Plan, PlanLost } from "./Plan.ts"

/** A record of a range; `wrong` says why its value could not be decoded and is as it was in the topic. */
export interface RangeRecord extends LogRecord {
  readonly wrong?: Rejected
}

/** Consecutive records of a partition. Offsets may have gaps, also between `last` and `next`. */
export interface Range {
  readonly first: number
  /** Offset of the last record. */
  readonly last: number
  /** Where to read on. */
  readonly next: number
  readonly records: ReadonlyArray<RangeRecord>
  /** Size of the values. */
  readonly bytes: number
}

export interface RangeLimits {
  readonly maxRows: number
  readonly maxBytes: number
  /** Shortest time between two ranges that are not full; so the longest time that a record waits for others. */
  readonly flushEvery: Duration.Duration
}

/** Records by which the columns of a new table are chosen. */
export const sampleLimits = { maxRecords: 1_000, maxBytes: 16 * 2 ** 20 } as const

const oneMinute = Duration.minutes(1)
/** How long records that were there may take to be found again. */
const longestLook = Duration.seconds(1)

const sizeOf = (records: ReadonlyArray<LogRecord>): number => {
  let bytes = 0
  for (const { value } of records) bytes += value?.length ?? 0
  return bytes
}

/**
 * Waits for records and collects a range: full at once when there is a backlog, else what came until `flushEvery` after the range
 * before it was closed at `closedAt` (milliseconds since 1970). So a record that comes after a pause goes at once, and there is at
 * most one range per `flushEvery` when records trickle. `passed` hears of offsets before the range that turned out to have no record.
 */
export const collect = Effect.fnUntraced(function* (
  claim: Claim,
  from: number,
  limits: RangeLimits,
  closedAt: number,
  passed: (next: number) => Effect.Effect<void, LogError>
) {
  const records: Array<LogRecord> = []
  let bytes = 0
  let first = from
  let next = from
  let flushAt = 0
  for (;;) {
    const now = yield* Clock.currentTimeMillis
    const batch = yield* claim.read(next, {
      maxRecords: limits.maxRows - records.length,
      maxBytes: limits.maxBytes - bytes,
      wait: records.length === 0 ? oneMinute : Duration.millis(Math.max(0, flushAt - now)),
      returnsGaps: records.length === 0
    })
    next = batch.next
    if (batch.records.length === 0) {
      if (records.length > 0) break
      if (next > first) yield* passed(next)
      first = next
      continue
    }
    const arrived = yield* Clock.currentTimeMillis
    if (records.length === 0) flushAt = closedAt + Duration.toMillis(limits.flushEvery)
    for (const record of batch.records) records.push(record)
    bytes += sizeOf(batch.records)
    if (records.length >= limits.maxRows || bytes >= limits.maxBytes) break
    if (next >= batch.end && arrived >= flushAt) break
  }
  return { first, last: records.at(-1)!.offset, next, records, bytes } satisfies Range
})

/** Reads exactly the range of a plan. Fails with `PlanLost` when the topic ends before it does. */
export const collectPlanned = Effect.fnUntraced(function* (claim: Claim, plan: Plan, limits: RangeLimits) {
  const records: Array<LogRecord> = []
  let next = plan.first
  while (next <= plan.last) {
    const batch = yield* claim.read(next, {
      maxRecords: Math.min(plan.last - next + 1, limits.maxRows),
      maxBytes: limits.maxBytes,
      // They were there when the plan was made.
      wait: longestLook
    })
    for (const record of batch.records) if (record.offset <= plan.last) records.push(record)
    if (batch.records.length === 0 && batch.next >= batch.end && batch.end <= plan.last) {
      return yield* new PlanLost({ topic: claim.topic.name, partition: claim.partition, plan, end: batch.end })
    }
    next = batch.next
  }
  return { first: plan.first, last: plan.last, next: plan.last + 1, records, bytes: sizeOf(records) } satisfies Range
})

const nothing = new Uint8Array()

/** What the table gets to see of records. */
export const valuesOf = (records: ReadonlyArray<LogRecord>): ReadonlyArray<Uint8Array> =>
  records.map(({ value }) => value ?? nothing)

/** The range with its values as JSON. Records whose values are JSON already stay what they are. */
export const decodeRange = Effect.fnUntraced(function* (range: Range, decoder: ValueDecoder) {
  const { values, wrong } = yield* decoder.decode(valuesOf(range.records))
  const records = range.records.map((record, index): RangeRecord => {
    const value = values[index]!
    const problem = wrong.get(index)
    if (problem !== undefined) return { ...record, wrong: problem }
    return record.value === null || value === record.value ? record : { ...record, value }
  })
  return { ...range, records } satisfies Range
})

/** Two ranges, of at least one record each, in place of one of at least two. */
export const halves = (range: Range): readonly [Range, Range] => {
  const middle = range.records.length >> 1
  const left = range.records.slice(0, middle)
  const right = range.records.slice(middle)
  const cut = right[0]!.offset
  return [
    { first: range.first, last: left.at(-1)!.offset, next: cut, records: left, bytes: sizeOf(left) },
    { first: cut, last: range.last, next: range.next, records: right, bytes: sizeOf(right) }
  ]
}
