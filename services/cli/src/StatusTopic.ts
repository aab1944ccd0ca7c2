import { readCompacted } from "@tributary/catalog"
import { statusTopic } from "@tributary/domain"
import { Log } from "@tributary/log"
import {
  measureProcess,
  Status,
  WorkerProcess,
  workerProcessKey,
  WorkerStatus,
  workerStatusKey
} from "@tributary/telemetry"
import { Clock, Effect, PubSub, Schema } from "effect"

const encodeStatus = Schema.encodeSync(Schema.fromJsonString(WorkerStatus))
const encodeProcess = Schema.encodeSync(Schema.fromJsonString(WorkerProcess))
const utf8 = new TextEncoder()

/** A worker that has not written for much longer than this is gone, milliseconds. */
const rewriteAfter = 10_000

/** How often a worker says what its process uses, milliseconds. */
const measureAfter = 5_000

/** What a worker said that has said nothing since is of no use any more, milliseconds (24 hours). */
const forgottenAfter = 86_400_000

/** One process among others that share a Kafka. */
export interface WorkerName {
  readonly worker: string
  readonly service: string
}

interface Entry {
  readonly key: string
  /** What is compared: a value that was written is not written again too soon. */
  readonly text: string
  readonly value: Uint8Array | null
}

/**
 * Takes back what workers said that are long gone: one that was killed cannot do it itself. What the one process of an engine said
 * last stays; its keys name no worker.
 */
const forgetGone = Effect.gen(function* () {
  const log = yield* Log
  const now = yield* Clock.currentTimeMillis
  const gone = [...(yield* readCompacted(statusTopic))].filter(
    ([key, { timestamp }]) => key.includes("@") && now - timestamp > forgottenAfter
  )
  if (gone.length === 0) return
  yield* log.publish(gone.map(([key]) => ({ topic: statusTopic, key: utf8.encode(key), value: null })))
}).pipe(
  Effect.catch(({ message }) =>
    Effect.logWarning(`What workers said that are long gone could not be taken back: ${message} The next start tries.`)
  ),
  Effect.withSpan("cli.forgetGone")
)

/**
 * Writes the state of every stream to `_tributary.status` until interrupted: at most once a second what changed. A worker among others
 * also says every 10 seconds that it is there and every 5 seconds what its process uses, and takes back what it said of streams
 * that it does not run any more; the one process of an engine (`undefined`) leaves its last word.
 */
export const publishStatus = Effect.fn("cli.publishStatus")(function* (name: WorkerName | undefined) {
  const log = yield* Log
  const status = yield* Status
  const changes = yield* status.changes
  const worker = name?.worker ?? ""
  const written = new Map<string, { readonly text: string; readonly at: number }>()
  let measuredAt = Number.NEGATIVE_INFINITY

  const publish = Effect.fnUntraced(function* (isLast: boolean) {
    const at = yield* Clock.currentTimeMillis
    const isShared = name !== undefined
    const snapshot = isLast && isShared ? [] : yield* status.snapshot
    const present = new Set<string>()
    const records: Array<Entry> = []
    for (const entry of snapshot) {
      const key = workerStatusKey({ ...entry, worker })
      present.add(key)
      const text = encodeStatus({ ...entry, worker, at: 0 })
      const before = written.get(key)
      if (before?.text === text && !(isShared && at - before.at > rewriteAfter)) continue
      records.push({ key, text, value: utf8.encode(encodeStatus({ ...entry, worker, at })) })
    }
    if (isShared) {
      const own = workerProcessKey(worker)
      if (!isLast) present.add(own)
      if (!isLast && at - measuredAt >= measureAfter) {
        const value = utf8.encode(encodeProcess(yield* measureProcess(worker, name.service)))
        records.push({ key: own, text: "", value })
      }
      for (const key of written.keys()) if (!present.has(key)) records.push({ key, text: "", value: null })
    }
    if (records.length === 0) return
    yield* log.ensureTopic({ name: statusTopic, partitions: 1, compacted: true })
    yield* log.publish(records.map(({ key, value }) => ({ topic: statusTopic, key: utf8.encode(key), value })))
    for (const { key, text, value } of records) {
      if (value === null) written.delete(key)
      else written.set(key, { text, at })
      if (key === workerProcessKey(worker)) measuredAt = at
    }
  })

  if (name !== undefined) yield* forgetGone
  let isFailing = false
  const next =
    name === undefined
      ? PubSub.take(changes)
      : Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Effect.timeoutOption(PubSub.take(changes), Math.max(0, measuredAt + measureAfter - now))
        )
  return yield* Effect.forever(
    publish(false).pipe(
      Effect.tap(() => Effect.sync(() => (isFailing = false))),
      Effect.catch((error) =>
        // Said once: it is tried every second.
        Effect.when(
          Effect.logWarning(`The status could not be written: ${error.message}`),
          Effect.sync(() => !isFailing && (isFailing = true))
        )
      ),
      Effect.andThen(Effect.sleep("1 second")),
      Effect.andThen(next)
    )
  ).pipe(Effect.ensuring(Effect.ignore(publish(true))))
}, Effect.scoped)
