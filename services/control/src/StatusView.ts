import { type KeyedRecords, readPartition } from "@tributary/catalog"
import { statusTopic } from "@tributary/domain"
import type { StreamReport } from "@tributary/domain/control"
import { Log, type LogError } from "@tributary/log"
import { mergeStatus, WorkerStatus } from "@tributary/telemetry"
import { Clock, Context, Effect, Layer, Result, Schema, Semaphore } from "effect"

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(WorkerStatus))
const text = new TextDecoder()

/** Offsets that are read before what was read is kept: a reader that is interrupted goes on from there. */
const stride = 20_000

/** What `_tributary.status` says as of now. */
export interface StatusOfAll {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly streams: ReadonlyArray<StreamReport>
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
        yield* turn.withPermit(refresh)
        const at = yield* Clock.currentTimeMillis
        const entries: Array<WorkerStatus> = []
        const unreadable: Array<string> = []
        for (const { keyed } of known.values()) {
          for (const [key, { value }] of keyed.records) {
            const status = value === null ? undefined : decode(text.decode(value))
            if (status === undefined || Result.isFailure(status)) unreadable.push(key)
            else entries.push(status.success)
          }
        }
        return { at, streams: mergeStatus(entries, at), unreadable: unreadable.toSorted() }
      }).pipe(Effect.withSpan("StatusView.current"))

      return StatusView.of({ current })
    })
  )
}
