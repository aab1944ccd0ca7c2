import { statusTopic } from "@tributary/domain"
import { Log } from "@tributary/log"
import { Status, WorkerStatus, workerStatusKey } from "@tributary/telemetry"
import { Clock, Effect, PubSub, Schema } from "effect"

const encodeStatus = Schema.encodeSync(Schema.fromJsonString(WorkerStatus))
const utf8 = new TextEncoder()

/** A worker that has not written for much longer than this is gone, milliseconds. */
const rewriteAfter = 10_000

/**
 * Writes the state of every stream to `_tributary.status` until interrupted: at most once a second what changed. A worker among others
 * (`worker` is its name) also says every 10 seconds that it is there, and takes back what it said of streams that it does not run
 * any more; the one process of an engine ("") leaves its last word.
 */
export const publishStatus = Effect.fn("cli.publishStatus")(function* (worker: string) {
  const log = yield* Log
  const status = yield* Status
  const changes = yield* status.changes
  const written = new Map<string, { readonly text: string; readonly at: number }>()

  const publish = Effect.fnUntraced(function* (isLast: boolean) {
    const at = yield* Clock.currentTimeMillis
    const isShared = worker !== ""
    const snapshot = isLast && isShared ? [] : yield* status.snapshot
    const present = new Set<string>()
    const records: Array<{ readonly key: string; readonly text: string; readonly value: Uint8Array | null }> = []
    for (const entry of snapshot) {
      const key = workerStatusKey({ ...entry, worker })
      present.add(key)
      const text = encodeStatus({ ...entry, worker, at: 0 })
      const before = written.get(key)
      if (before?.text === text && !(isShared && at - before.at > rewriteAfter)) continue
      records.push({ key, text, value: utf8.encode(encodeStatus({ ...entry, worker, at })) })
    }
    if (isShared) {
      for (const key of written.keys()) if (!present.has(key)) records.push({ key, text: "", value: null })
    }
    if (records.length === 0) return
    yield* log.ensureTopic({ name: statusTopic, partitions: 1, compacted: true })
    yield* log.publish(records.map(({ key, value }) => ({ topic: statusTopic, key: utf8.encode(key), value })))
    for (const { key, text, value } of records) {
      if (value === null) written.delete(key)
      else written.set(key, { text, at })
    }
  })

  let isFailing = false
  const next =
    worker === "" ? PubSub.take(changes) : Effect.timeoutOption(PubSub.take(changes), `${rewriteAfter} millis`)
  return yield* Effect.forever(
    Effect.asVoid(next).pipe(
      Effect.andThen(publish(false)),
      Effect.tap(() => Effect.sync(() => (isFailing = false))),
      Effect.catch((error) =>
        // Said once: it is tried every second.
        Effect.when(
          Effect.logWarning(`The status could not be written: ${error.message}`),
          Effect.sync(() => !isFailing && (isFailing = true))
        )
      ),
      Effect.andThen(Effect.sleep("1 second"))
    )
  ).pipe(Effect.ensuring(Effect.ignore(publish(true))))
}, Effect.scoped)
