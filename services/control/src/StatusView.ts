import { Catalog, type KeyedRecords, readPartition } from "@tributary/catalog"
import { statusTopic } from "@tributary/domain"
import type { ProcessReport, StreamReport } from "@tributary/domain/control"
import { Log, type LogError } from "@tributary/log"
import { mergeStatus, readStatusEntries, seenProcesses } from "@tributary/telemetry"
import { Clock, Context, Effect, Layer, Semaphore } from "effect"

/** Offsets that are read before what was read is kept: a reader that is interrupted goes on from there. */
const stride = 20_000

/** What `_tributary.status` says as of now, of connectors that are registered. */
export interface StatusOfAll {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly streams: ReadonlyArray<StreamReport>
  readonly processes: ReadonlyArray<ProcessReport>
  /** Keys whose value this version cannot read. */
  readonly unreadable: ReadonlyArray<string>
}

/**
 * The status topic, read on from where it was read last: workers write to it all the time, and a broker compacts it late, so that
 * reading all of it takes long.
 */
export class StatusView extends Context.Service<
  StatusView,
  { readonly current: Effect.Effect<StatusOfAll, LogError> }
>()("@tributary/control/StatusView") {
  static readonly layer = Layer.effect(
    StatusView,
    Effect.gen(function* () {
      const log = yield* Log
      const catalog = yield* Catalog
      const known = new Map<number, { readonly id: string; readonly keyed: KeyedRecords }>()
      const turn = yield* Semaphore.make(1)

      const refresh = Effect.gen(function* () {
        const topic = (yield* log.topics).find(({ name }) => name === statusTopic)
        if (topic === undefined) return known.clear()
        for (const { earliest, end, partition } of yield* log.offsets(statusTopic)) {
          const before = known.get(partition)
          let keyed: KeyedRecords =
            before === undefined || before.id !== topic.id || before.keyed.next < earliest
              ? { records: new Map(), next: earliest }
              : before.keyed
          while (keyed.next < end) {
            const from = keyed.next
            keyed = yield* readPartition(statusTopic, partition, Math.min(end, from + stride), keyed)
            known.set(partition, { id: topic.id, keyed })
            // Behind the last record there may be markers of transactions only.
            if (keyed.next === from) break
          }
        }
      }).pipe(Effect.provideService(Log, log))

      const current = Effect.gen(function* () {
        const [registered] = yield* Effect.all([catalog.list, turn.withPermit(refresh)], { concurrency: 2 })
        const at = yield* Clock.currentTimeMillis
        const { processes, streams, unreadable } = readStatusEntries(
          [...known.values()].flatMap(({ keyed }) => Array.from(keyed.records))
        )
        return {
          at,
          // What was deleted is left over where a worker died; the one process of an engine ("") runs what its files say.
          streams: mergeStatus(
            streams.filter(({ connector, worker }) => worker === "" || registered.has(connector)),
            at
          ),
          processes: seenProcesses(processes, at),
          unreadable
        }
      }).pipe(Effect.withSpan("StatusView.current"))

      return StatusView.of({ current })
    })
  )
}
