import { statusTopic, streamKey } from "@tributary/domain"
import { Log } from "@tributary/log"
import { Status, StreamStatus } from "@tributary/telemetry"
import { Effect, PubSub, Schema } from "effect"

const encodeStatus = Schema.encodeSync(Schema.fromJsonString(StreamStatus))
const utf8 = new TextEncoder()

/**
 * Writes the state of every stream to `_tributary.status` until interrupted, at most once a second and only when something
 * changed, and once more at the end.
 */
export const publishStatus = Effect.gen(function* () {
  const log = yield* Log
  const status = yield* Status
  const changes = yield* status.changes
  const written = new Map<string, string>()
  const publish = Effect.gen(function* () {
    const records = (yield* status.snapshot).flatMap((entry) => {
      const key = streamKey(entry.connector, entry.stream)
      const value = encodeStatus(entry)
      return written.get(key) === value ? [] : [{ key, value }]
    })
    if (records.length === 0) return
    yield* log.ensureTopic({ name: statusTopic, partitions: 1, compacted: true })
    yield* log.publish(
      records.map(({ key, value }) => ({ topic: statusTopic, key: utf8.encode(key), value: utf8.encode(value) }))
    )
    for (const { key, value } of records) written.set(key, value)
  })
  let isFailing = false
  return yield* Effect.forever(
    PubSub.take(changes).pipe(
      Effect.andThen(publish),
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
  ).pipe(Effect.ensuring(Effect.ignore(publish)))
}).pipe(Effect.scoped)
