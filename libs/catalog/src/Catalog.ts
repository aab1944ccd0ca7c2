import { type ConnectorId, connectorsTopic } from "@tributary/domain"
import { Log, type LogError, type LogRecord, type NewRecord, partitionOf } from "@tributary/log"
import {
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Layer,
  Result,
  Schedule,
  Schema,
  Semaphore,
  SynchronizedRef
} from "effect"
import { type KeyedRecords, readCompacted, readPartition } from "./CompactedTopic.ts"
import { Registration, UnreadableRegistration } from "./Registration.ts"

const utf8 = new TextEncoder()
const text = new TextDecoder()
const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Registration))
const encode = Schema.encodeSync(Schema.fromJsonString(Registration))

/**
 * Partitions of `_tributary.connectors`; a compacted topic never changes them. So many workers can share the connectors, and
 * so evenly: each partition goes to one worker as a whole.
 */
export const connectorPartitions = 64

/** Consumer group in which source workers share the registered connectors; the metadata of its commits names the workers. */
export const sourcesGroup = "tributary.sources"

/** How often registrations are looked for. */
const look = Duration.millis(500)

/** A registered connector, or why it cannot be read. */
export type Registered = Result.Result<Registration, UnreadableRegistration>

/** A change of the catalog: a connector that is registered (anew), or the identifier of one that is deleted. */
export type Change = { readonly register: Omit<Registration, "v" | "at"> } | { readonly remove: ConnectorId | string }

/** The part of the catalog that a follower is shown. */
export type Registrations = ReadonlyMap<string, Registered>

const read = (key: string, value: Uint8Array): Registered => {
  const decoded = decode(text.decode(value))
  return Result.isSuccess(decoded)
    ? Result.succeed(decoded.success)
    : Result.fail(
        new UnreadableRegistration({ connector: key, problem: decoded.failure.message.replaceAll(/\s+/gu, " ") })
      )
}

/** The partition of `_tributary.connectors` that a connector is written to; `partitions` is how many the topic has. */
export const connectorPartition = (connector: string, partitions: number = connectorPartitions): number =>
  partitionOf(utf8.encode(connector), partitions)

/** A connector with the partition that its registration is in: of those who follow, only its followers run it. */
interface Placed {
  readonly partition: number
  /** When it was written: where somebody changed the number of partitions, an older one may be in another. */
  readonly timestamp: number
  readonly registered: Registered
}

interface Known {
  /** Of the topic that was read; "" before the first. */
  readonly id: string
  readonly partitions: ReadonlyMap<number, KeyedRecords>
}

interface Waiting {
  /** Grows with each change of the partition. */
  readonly version: number
  readonly entries: ReadonlyMap<string, Placed>
  readonly changed: Deferred.Deferred<void>
}

/**
 * Registered connectors: the compacted topic `_tributary.connectors`. One loop per process asks for news, however many
 * follow: a read that waits in each partition would hold as many connections.
 */
export class Catalog extends Context.Service<
  Catalog,
  {
    /** All registered connectors as of now, by identifier. */
    readonly list: Effect.Effect<Registrations, LogError>
    /** Writes all changes or none. They take effect in the workers within about a second. */
    readonly write: (changes: ReadonlyArray<Change>) => Effect.Effect<void, LogError>
    /** Makes the topic, if it is not there. */
    readonly prepare: Effect.Effect<void, LogError>
    /**
     * Calls `take` with the registrations of one partition (`undefined`: of all), as soon as they are known and after each
     * change. While the log is away nothing changes. Never succeeds; fails when `take` does.
     */
    readonly follow: <E, R>(
      partition: number | undefined,
      take: (registered: Registrations) => Effect.Effect<void, E, R>
    ) => Effect.Effect<never, E, R>
  }
>()("@tributary/catalog/Catalog") {
  static readonly layer = Layer.effect(
    Catalog,
    Effect.gen(function* () {
      const log = yield* Log
      const withLog = Effect.provideService(Log, log)
      const prepare = Effect.asVoid(
        log.ensureTopic({ name: connectorsTopic, partitions: connectorPartitions, compacted: true })
      )

      let known: Known = { id: "", partitions: new Map() }
      const decoded = new WeakMap<LogRecord, Registered>()
      let state: Waiting = { version: 0, entries: new Map(), changed: Deferred.makeUnsafe<void>() }

      /** What is known changes as a whole or, when a read fails, not at all: the next one sees the same news. */
      const lookOnce = Effect.gen(function* () {
        const topic = (yield* log.topics).find(({ name }) => name === connectorsTopic)
        // A topic that has gone is a mistake of somebody's: what runs goes on, until connectors are registered again.
        if (topic === undefined) return yield* known.id === "" ? prepare : Effect.void
        const isAnew = known.id !== topic.id
        const partitions = new Map(isAnew ? [] : known.partitions)
        const offsets = yield* log.offsets(connectorsTopic)
        // So it is with one that was made anew, by a worker that started, before anything was written to it.
        if (isAnew && known.id !== "" && offsets.every(({ end }) => end === 0)) return
        let hasNews = isAnew
        for (const { earliest, end, partition } of offsets) {
          const before = partitions.get(partition)
          const from = before === undefined || before.next < earliest ? { records: new Map(), next: earliest } : before
          if (before !== undefined && from.next >= end) continue
          partitions.set(partition, yield* withLog(readPartition(connectorsTopic, partition, end, from)))
          hasNews = true
        }
        if (!hasNews) return
        known = { id: topic.id, partitions }
        const entries = new Map<string, Placed>()
        for (const [partition, { records }] of partitions) {
          for (const [key, record] of records) {
            const registered = decoded.get(record) ?? read(key, record.value ?? new Uint8Array())
            decoded.set(record, registered)
            const other = entries.get(key)
            if (other !== undefined && other.timestamp > record.timestamp) continue
            entries.set(key, { partition, timestamp: record.timestamp, registered })
          }
        }
        const previous = state
        state = { version: previous.version + 1, entries, changed: Deferred.makeUnsafe<void>() }
        // At once with the state: whoever looks may be interrupted at any step.
        Deferred.doneUnsafe(previous.changed, Exit.void)
      })
      const turn = yield* Semaphore.make(1)
      let looks = 0
      let lastGood = 0
      const numbered = Effect.suspend(() => {
        const own = ++looks
        return Effect.tap(lookOnce, () => Effect.sync(() => (lastGood = own)))
      })
      const refresh = turn.withPermit(numbered)
      /** As of now or later; those who ask at the same time share one look. */
      const refreshed = Effect.suspend(() => {
        const asked = looks
        return turn.withPermit(Effect.suspend(() => (lastGood > asked ? Effect.void : numbered)))
      })

      let isFailing = false
      const watching = Effect.forever(
        Effect.exit(refresh).pipe(
          Effect.flatMap((exit) => {
            const wasFailing = isFailing
            isFailing = exit._tag === "Failure"
            // Said once: it is tried all the time.
            return exit._tag === "Failure" && !wasFailing
              ? Effect.logWarning("Registered connectors cannot be read; they go on as they were.", exit.cause)
              : Effect.void
          }),
          Effect.andThen(Effect.sleep(look))
        )
      )
      const scope = yield* Effect.scope
      // Only a process that follows needs the loop.
      const started = yield* SynchronizedRef.make(false)
      const start = SynchronizedRef.updateEffect(started, (isStarted) =>
        isStarted ? Effect.succeed(true) : Effect.as(Effect.forkIn(watching, scope), true)
      )

      const follow = Effect.fnUntraced(function* <E, R>(
        partition: number | undefined,
        take: (registered: Registrations) => Effect.Effect<void, E, R>
      ): Effect.fn.Return<never, E, R> {
        yield* start
        // What was seen a moment ago may be that of a topic that was deleted meanwhile. The loop says why a look fails.
        yield* Effect.retry(refreshed, Schedule.spaced(look)).pipe(Effect.ignore)
        let shown = 0
        for (;;) {
          const now = state
          if (now.version === shown) {
            yield* Deferred.await(now.changed)
            continue
          }
          shown = now.version
          const shares = [...now.entries].filter(
            ([, entry]) => partition === undefined || entry.partition === partition
          )
          yield* take(new Map(shares.map(([id, { registered }]) => [id, registered])))
        }
      })

      return Catalog.of({
        prepare,
        list: withLog(readCompacted(connectorsTopic)).pipe(
          Effect.map(
            (records) => new Map([...records].map(([key, { value }]) => [key, read(key, value ?? new Uint8Array())]))
          ),
          Effect.withSpan("Catalog.list")
        ),
        write: Effect.fn("Catalog.write")(function* (changes) {
          yield* prepare
          const at = yield* Clock.currentTimeMillis
          const records = changes.map((change): NewRecord =>
            "register" in change
              ? {
                  topic: connectorsTopic,
                  key: utf8.encode(change.register.connector),
                  value: utf8.encode(encode({ v: 1, at, ...change.register }))
                }
              : { topic: connectorsTopic, key: utf8.encode(change.remove), value: null }
          )
          if (records.length > 0) yield* log.publish(records)
        }),
        follow
      })
    })
  )
}
