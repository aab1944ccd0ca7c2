import { auditTopic } from "@tributary/domain"
import { Log, type LogError } from "@tributary/log"
import { AuditError, AuditEvent, type AuditQuery, AuditTrail, isAskedFor, makeAuditTrail } from "@tributary/telemetry"
import { Context, Duration, Effect, Exit, Layer, Option, Schema, Scope, Semaphore } from "effect"

const encode = Schema.encodeSync(Schema.fromJsonString(AuditEvent))
const decode = Schema.decodeOption(Schema.fromJsonString(AuditEvent))
const bytes = new TextEncoder()
const text = new TextDecoder()

/** One partition, so that events have one order. The oldest go after a year, or when there are more than this many bytes. */
const spec = {
  name: auditTopic,
  partitions: 1,
  retention: Duration.days(365),
  retentionBytes: 256 * 1024 * 1024
}
const limits = { maxRecords: 1000, maxBytes: 4 * 1024 * 1024, wait: Duration.zero }

const failed = ({ message }: LogError) => new AuditError({ place: auditTopic, problem: message })

/**
 * The audit trail of all processes that share a log: the topic `_tributary.audit`. `log` is asked for when there is something to
 * write or to read, so a process that has nothing to tell opens no connection for it.
 */
const makeLogAudit = Effect.fnUntraced(function* (process: string, log: Effect.Effect<Log["Service"], LogError>) {
  let isThere = false
  return yield* makeAuditTrail(process, {
    append: (events) =>
      Effect.gen(function* () {
        const topics = yield* log
        if (!isThere) yield* topics.ensureTopic(spec)
        isThere = true
        const records = events.map((event) => ({
          topic: auditTopic,
          key: bytes.encode(event.authorization),
          value: bytes.encode(encode(event))
        }))
        yield* topics.publish(records)
      }).pipe(Effect.mapError(failed)),
    read: (query: AuditQuery) =>
      Effect.gen(function* () {
        const topics = yield* log
        if (!(yield* topics.topics).some(({ name }) => name === auditTopic) || query.last === 0) return []
        let found: Array<AuditEvent> = []
        for (const { earliest, end, partition } of yield* topics.offsets(auditTopic)) {
          let next = earliest
          while (next < end) {
            const batch = yield* topics.read(auditTopic, partition, next, limits)
            for (const { value } of batch.records) {
              // What another version wrote, or somebody else, is left out.
              const event = value === null ? undefined : Option.getOrUndefined(decode(text.decode(value)))
              if (event !== undefined && isAskedFor(query, event)) found.push(event)
            }
            if (found.length > 2 * query.last) found = found.slice(-query.last)
            if (batch.next === next) break
            next = batch.next
          }
        }
        return found.slice(-query.last)
      }).pipe(Effect.mapError(failed))
  })
})

/** The audit trail of the process of this name in a log that is made when it is needed, and tried again when it cannot be. */
export const layerLazyLogAudit = <R>(process: string, real: Layer.Layer<Log, LogError, R>) =>
  Layer.effect(
    AuditTrail,
    Effect.gen(function* () {
      // Before the trail, so that the log is closed after what waits was written.
      const scope = yield* Scope.fork(yield* Effect.scope)
      const context = yield* Effect.context<R>()
      const making = Semaphore.makeUnsafe(1)
      let made: Log["Service"] | undefined
      const make = Effect.gen(function* () {
        const own = yield* Scope.fork(scope)
        const built = yield* Layer.buildWithScope(real, own).pipe(
          Effect.provideContext(context),
          Effect.onError((cause) => Scope.close(own, Exit.failCause(cause)))
        )
        made = Context.get(built, Log)
        return made
      })
      const log = making.withPermit(Effect.suspend(() => (made === undefined ? make : Effect.succeed(made))))
      return yield* makeLogAudit(process, log)
    })
  )
