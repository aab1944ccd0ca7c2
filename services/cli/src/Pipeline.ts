import { outputTopic, rawTopic, sinkFor } from "@tributary/domain"
import { Log, type LogError } from "@tributary/log"
import { runSink, sinkGroup } from "@tributary/sink"
import { runSource } from "@tributary/source"
import { type GaveUp, Status } from "@tributary/telemetry"
import { runTransform, transformGroup } from "@tributary/transform"
import { Effect, Fiber, Result } from "effect"
import type { LoadedConnector } from "./ConnectorFiles.ts"
import { receiveWebhooks } from "./Receive.ts"

const streamsOf = (loaded: Pick<LoadedConnector, "connector">): ReadonlyArray<string> =>
  Object.keys(loaded.connector.streams)

/** The group that loads a stream; `undefined` when its records are not loaded. */
const loadingGroup = (loaded: Pick<LoadedConnector, "connector">, stream: string): string | undefined => {
  const sink = sinkFor(loaded.connector, stream)
  return sink === undefined
    ? undefined
    : sinkGroup(loaded.connector.connector, stream, `${sink.database}.${sink.table}`)
}

/** Records that are in the log and not yet where they belong, over the stages of one stream. */
export const lagOf = Effect.fnUntraced(function* (loaded: Pick<LoadedConnector, "connector">, stream: string) {
  const log = yield* Log
  const id = loaded.connector.connector
  const raw = rawTopic(id, stream)
  const output = outputTopic(loaded.connector, stream)
  const behind = Effect.fnUntraced(function* (topic: string, group: string) {
    const positions = yield* log.positions(group)
    const offsets = yield* log.offsets(topic)
    let lag = 0
    for (const { earliest, end, partition } of offsets) {
      const position = positions.find((entry) => entry.topic === topic && entry.partition === partition)
      lag += Math.max(0, end - (position?.offset ?? earliest))
    }
    return lag
  })
  const transform = output === raw ? 0 : yield* behind(raw, transformGroup(id, stream))
  const group = loadingGroup(loaded, stream)
  const sink = group === undefined ? 0 : yield* behind(output, group)
  return { transform, sink }
})

/** Waits until a group has passed what a topic holds at the time of the call. */
const passes = Effect.fnUntraced(function* (topic: string, group: string) {
  const log = yield* Log
  const ends = yield* log.offsets(topic)
  for (;;) {
    const positions = yield* log.positions(group)
    const isBehind = ends.some(({ earliest, end, partition }) => {
      const position = positions.find((entry) => entry.topic === topic && entry.partition === partition)
      return (position?.offset ?? earliest) < end
    })
    if (!isBehind) return
    yield* Effect.sleep("100 millis")
  }
})

/** Waits until everything that is in the log of a stream at the time of the call is loaded, whatever comes meanwhile. */
export const loadsWhatIsThere = Effect.fnUntraced(function* (loaded: LoadedConnector, stream: string) {
  const id = loaded.connector.connector
  const raw = rawTopic(id, stream)
  const output = outputTopic(loaded.connector, stream)
  if (output !== raw) yield* passes(raw, transformGroup(id, stream))
  const group = loadingGroup(loaded, stream)
  if (group !== undefined) yield* passes(output, group)
})

const staying = { once: false }

/** A stage that stays never gives up; that it did is a defect. */
const forEver = <A, R>(work: Effect.Effect<A, GaveUp, R>): Effect.Effect<never, never, R> =>
  work.pipe(
    Effect.catchTag("GaveUp", (error) => Effect.die(error)),
    Effect.andThen(Effect.never)
  )

/**
 * Runs the sources of a connector until interrupted. Never fails: failures are in the status. `owned` succeeds while the
 * connector belongs to this process; default: it always does.
 */
export const runSources = ({ base, connector }: LoadedConnector, owned?: Effect.Effect<void, LogError>) =>
  forEver(runSource(connector, base, owned === undefined ? staying : { ...staying, owned }))

/** The same for its transforms. */
export const runTransforms = (loaded: LoadedConnector) =>
  forEver(
    Effect.forEach(streamsOf(loaded), (stream) => runTransform(loaded.connector, stream, loaded.base, staying), {
      concurrency: "unbounded",
      discard: true
    })
  )

/** The same for its sinks. */
export const runSinks = (loaded: LoadedConnector) =>
  forEver(
    Effect.forEach(streamsOf(loaded), (stream) => runSink(loaded.connector, stream, staying), {
      concurrency: "unbounded",
      discard: true
    })
  )

/** Runs all stages of a connector in this process until interrupted. */
export const runConnector = Effect.fn("cli.runConnector")((loaded: LoadedConnector) =>
  Effect.all([runSources(loaded), runTransforms(loaded), runSinks(loaded), receiveWebhooks(loaded)], {
    concurrency: "unbounded",
    discard: true
  }).pipe(Effect.andThen(Effect.never))
)

const catchUpCheck = "20 millis"

/**
 * Runs all stages of a connector until its sources have read everything and every record of theirs is loaded or rejected.
 * Returns what any stage gave up for; the stages behind it are then not waited for.
 */
export const runConnectorOnce = Effect.fn("cli.runConnectorOnce")(function* (loaded: LoadedConnector) {
  const streams = streamsOf(loaded)
  const status = yield* Status
  const stages = yield* Effect.forEach(streams, (stream) =>
    Effect.all({
      stream: Effect.succeed(stream),
      transform: Effect.forkChild(Effect.result(runTransform(loaded.connector, stream, loaded.base, { once: true }))),
      sink: Effect.forkChild(Effect.result(runSink(loaded.connector, stream, { once: true })))
    })
  )
  const problems: Array<GaveUp> = [...(yield* runSource(loaded.connector, loaded.base, { once: true }))]
  for (const { sink, stream, transform } of stages) {
    for (;;) {
      const failed: Array<GaveUp> = []
      for (const fiber of [transform, sink]) {
        const exit = fiber.pollUnsafe()
        // A stage that the stream does not have returns at once; one that gave up says why.
        if (exit?._tag === "Success" && Result.isFailure(exit.value)) failed.push(exit.value.failure)
        if (exit?._tag === "Failure") return yield* Effect.failCause(exit.cause)
      }
      if (failed.length > 0) {
        problems.push(...failed)
        break
      }
      // A sink that has not looked at its table yet does not know whether it has to begin again.
      const known = (yield* status.snapshot).find(
        (entry) => entry.connector === loaded.connector.connector && entry.stream === stream
      )
      if (known?.stages.sink?.state === "starting") {
        yield* Effect.sleep(catchUpCheck)
        continue
      }
      const lag = yield* lagOf(loaded, stream).pipe(
        Effect.catchIf(
          (error) => error.reason._tag === "UnknownTopic",
          () => Effect.succeed({ transform: 0, sink: 0 })
        )
      )
      if (lag.transform + lag.sink === 0) break
      yield* Effect.sleep(catchUpCheck)
    }
  }
  yield* Effect.forEach(stages, ({ sink, transform }) => Fiber.interruptAll([transform, sink]), { discard: true })
  return problems
})
