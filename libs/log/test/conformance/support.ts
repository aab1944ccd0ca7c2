import { Cause, Duration, Effect, Exit, Fiber, Layer, Queue, Schedule, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import { assert } from "vitest"
import { type Claim, Log, LogError, type LogRecord, type NewRecord, type TopicSpec } from "../../src/index.ts"
import type { Storage } from "../LogConformance.ts"

/** The longest that a case waits for something that must happen. */
export const patience = Duration.seconds(60)

/** A name that no other case and no other run uses. */
export const unique = (name: string): string => `${name}-${randomUUID().slice(0, 8)}`

const encoder = new TextEncoder()
export const bytes = (text: string): Uint8Array => encoder.encode(text)
const decoder = new TextDecoder("utf-8", { fatal: true })
export const textOf = (value: Uint8Array | null): string | null => (value === null ? null : decoder.decode(value))
export const record = (topic: string, key: string | null, value: string | null, partition?: number): NewRecord => ({
  topic,
  key: key === null ? null : bytes(key),
  value: value === null ? null : bytes(value),
  ...(partition === undefined ? {} : { partition })
})
export const values = (records: ReadonlyArray<LogRecord>): ReadonlyArray<string | null> =>
  records.map((record) => textOf(record.value))
export const numbers = (from: number, to: number): ReadonlyArray<string> =>
  Array.from({ length: to - from }, (_, i) => String(from + i))

/** Runs a case with a log of the engine on a storage of its own. */
export const withLog =
  <R>(engine: Storage<R>) =>
  <A, E>(
    body: (log: Log["Service"]) => Effect.Effect<A, E, Log | R | Scope.Scope>
  ): Effect.Effect<A, E | LogError, Scope.Scope | Exclude<R, Log | R>> =>
    Effect.gen(function* () {
      const layer = yield* engine.storage
      return yield* Effect.flatMap(Log, body).pipe(Effect.provide(Layer.fresh(layer)))
    })

/** Makes a topic with a name of its own. */
export const makeTopic = Effect.fnUntraced(function* (spec: Partial<TopicSpec> = {}) {
  const log = yield* Log
  return yield* log.ensureTopic({ name: unique("topic"), partitions: 1, ...spec })
})

/** Everything that is in a partition now, page by page. */
export const readAll = Effect.fnUntraced(function* (topic: string, partition = 0, pageSize = 1000) {
  const log = yield* Log
  const place = (yield* log.offsets(topic))[partition]
  assert.isDefined(place)
  const records: Array<LogRecord> = []
  let from = place.earliest
  while (from < place.end) {
    const batch = yield* log.read(topic, partition, from, {
      maxRecords: pageSize,
      maxBytes: 1_000_000,
      // What is committed can be read once its mark is there, and that takes a while when the broker that writes it has just ended.
      wait: patience
    })
    assert.isAbove(batch.next, from, "a read before the end moves on")
    for (const { offset } of batch.records) assert.isTrue(offset >= from && offset < batch.next)
    records.push(...batch.records)
    from = batch.next
  }
  return records
})

/** The `_tag` of the reason for which the effect fails. */
export const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<string, A, R> =>
  Effect.map(Effect.flip(effect), (error) =>
    error instanceof LogError ? error.reason._tag : `another error: ${String(error)}`
  )

/** Waits until `look` gives what `holds`; dies with what it saw last when it does not within `patience`. */
export const eventually = <A, E, R>(
  look: Effect.Effect<A, E, R>,
  holds: (value: A) => boolean
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let last: unknown
    return Effect.tap(look, (value) => Effect.sync(() => (last = value))).pipe(
      Effect.repeat({ until: holds, schedule: Schedule.spaced("20 millis") }),
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () =>
          Effect.die(new Error(`Not so within ${Duration.format(patience)}; last seen: ${inspect(last, { depth: 3 })}`))
      })
    )
  })

/** What happened to a member, in order. */
export interface MemberEvent {
  readonly kind: "started" | "ended"
  readonly claim: Claim
}

export interface TestMember {
  readonly events: Queue.Queue<MemberEvent>
  /** The next event; fails after `patience`. */
  readonly next: Effect.Effect<MemberEvent, Cause.TimeoutError>
  /** Makes it leave and waits until it has. */
  readonly leave: Effect.Effect<void>
}

/** Joins a group with `work` (by default: holds the partition and does nothing) and tells what starts and ends. */
export const join = Effect.fnUntraced(function* (
  group: string,
  topics: ReadonlyArray<string>,
  work: (claim: Claim) => Effect.Effect<never, LogError> = () => Effect.never
) {
  const log = yield* Log
  const events = yield* Queue.unbounded<MemberEvent>()
  const fiber = yield* log
    .consume({ group, topics }, (claim) =>
      Effect.acquireUseRelease(
        Queue.offer(events, { kind: "started", claim }),
        () => work(claim),
        () => Queue.offer(events, { kind: "ended", claim })
      )
    )
    .pipe(Effect.forkScoped({ startImmediately: true }))
  const member: TestMember = {
    events,
    next: Effect.timeout(Queue.take(events), patience),
    leave: Fiber.interrupt(fiber)
  }
  return member
})

/** Starts a member alone in its group and gives its claim on partition 0 of the topic. */
export const claimOf = Effect.fnUntraced(function* (group: string, topic: string) {
  const member = yield* join(group, [topic])
  const { claim } = yield* member.next
  return { member, claim }
})

/** Reads a claim from its committed offset on, hands every batch to `handle` and commits. */
export const pump = (claim: Claim, handle: (records: ReadonlyArray<LogRecord>) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    let from = (yield* claim.committed)?.offset ?? 0
    for (;;) {
      const batch = yield* claim.read(from, { maxRecords: 7, maxBytes: 100_000, wait: patience })
      if (batch.records.length === 0) continue
      yield* handle(batch.records)
      yield* claim.commit(batch.next, "")
      from = batch.next
    }
  })

export const failureOf = <A, E>(exit: Exit.Exit<A, E>): unknown =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : assert.fail("it succeeded")
