import { deadTopic, rejectedHeaders } from "@tributary/domain"
import { Log, type LogError } from "@tributary/log"
import { Duration, Effect } from "effect"
import type { LoadedConnector } from "./ConnectorFiles.ts"

/** What was rejected of a stream since a moment. */
export interface Rejection {
  /** `connector/stream` */
  readonly stream: string
  /** Where the rejected records are. */
  readonly topic: string
  readonly rejected: number
  /** Why the first was. */
  readonly reason: string
}

const isNone = (error: LogError): boolean => error.reason._tag === "UnknownTopic"

/** The end of a topic of one partition; 0 while it is not there. */
const endOf = Effect.fnUntraced(function* (topic: string) {
  const log = yield* Log
  const offsets = yield* log.offsets(topic).pipe(Effect.catchIf(isNone, () => Effect.succeed([])))
  return offsets[0]?.end ?? 0
})

const streamsOf = (connectors: ReadonlyArray<Pick<LoadedConnector, "connector">>) =>
  connectors.flatMap(({ connector }) =>
    Object.keys(connector.streams).map((stream) => ({
      stream: `${connector.connector}/${stream}`,
      topic: deadTopic(connector.connector, stream)
    }))
  )

/** Takes note of where the dead-letter topics end now; `since` says what they have had since. */
export const watchRejections = Effect.fn("cli.watchRejections")(function* (
  connectors: ReadonlyArray<Pick<LoadedConnector, "connector">>
) {
  const log = yield* Log
  const streams = yield* Effect.forEach(streamsOf(connectors), ({ stream, topic }) =>
    Effect.map(endOf(topic), (before) => ({ stream, topic, before }))
  )
  const since = Effect.gen(function* () {
    const found: Array<Rejection> = []
    for (const { before, stream, topic } of streams) {
      const end = yield* endOf(topic)
      if (end <= before) continue
      const batch = yield* log.read(topic, 0, before, { maxRecords: 1, maxBytes: 1, wait: Duration.zero })
      const reason = batch.records[0]?.headers[rejectedHeaders.reason] ?? "it does not say"
      found.push({ stream, topic, rejected: end - before, reason })
    }
    return found
  }).pipe(Effect.provideService(Log, log))
  return { since }
})
