import { openSource } from "@tributary/airbyte"
import { type Checkpoint, nextRun, type Source, SourceError } from "@tributary/connector"
import { checkpointsTopic, type Connector, parsePoll, streamKey, streamOf } from "@tributary/domain"
import { Log, type LogError, type Producer } from "@tributary/log"
import type { ValueEncoder } from "@tributary/schema-registry"
import { authorizationOfConnector, configuredRefreshToken, makeConsentWatch } from "@tributary/oauth"
import { Secrets } from "@tributary/secrets"
import { type Classified, GaveUp, type Reporter, Status, supervise, type SuperviseOptions } from "@tributary/telemetry"
import { TokenStore } from "@tributary/vault"
import { Clock, Effect, Option, Random, Stream } from "effect"
import { publishInbox } from "./Inbox.ts"
import {
  encodePage,
  encoderOf,
  ensureTopics,
  snapshotKey,
  storedCheckpoint,
  text,
  toRecords,
  UnknownCheckpoint,
  utf8
} from "./Publish.ts"

/** Where a stream goes on: its checkpoint, and the parts of it that are kept beside. */
interface Place {
  readonly checkpoint: Checkpoint | undefined
  readonly snapshots: ReadonlyArray<string>
}

/** One walk, or the rest of one: each page and its checkpoint are one transaction. Returns where the stream goes on. */
const walk = Effect.fn("source.walk")(function* (
  source: Source,
  producer: Producer,
  reporter: Reporter,
  connector: string,
  stream: string,
  encoder: ValueEncoder | undefined,
  from: Place
) {
  let { checkpoint } = from
  const snapshots = [...from.snapshots]
  yield* source.pages(stream, from.checkpoint, { snapshots: from.snapshots }).pipe(
    Stream.runForEach((page) =>
      Effect.gen(function* () {
        const published = encoder === undefined ? page : yield* encodePage(page, encoder)
        yield* producer.transact({ records: toRecords(page, published, connector, stream) })
        checkpoint = page.checkpoint
        for (const { shard, text } of page.snapshots ?? []) snapshots[shard] = text
        yield* reporter.progress({
          records: published.records.length,
          bytes: page.bytes,
          rejected: published.rejected.length,
          skipped: page.skipped,
          unmarked: page.unmarked,
          ahead: page.ahead,
          unasked: page.unasked
        })
      })
    )
  )
  return { checkpoint, snapshots } satisfies Place
})

/** Timers stand still while a machine sleeps, and clocks are set; so the clock is looked at again and again. */
const longestSleep = 60_000

const sleepUntil = Effect.fnUntraced(function* (time: number) {
  for (let now = yield* Clock.currentTimeMillis; now < time; now = yield* Clock.currentTimeMillis) {
    yield* Effect.sleep(Math.min(time - now, longestSleep))
  }
})

export interface SourceOptions extends SuperviseOptions {
  /**
   * Succeeds while the connector belongs to this worker. Asked before a stream is taken over: a worker that was expelled must
   * not fence the one that has the connector now. Data is right without it; it saves taking each other's place in turn.
   */
  readonly owned?: Effect.Effect<void, LogError>
}

const readStream = Effect.fnUntraced(function* (
  source: Source,
  connector: Connector,
  stream: string,
  reporter: Reporter,
  options: SourceOptions
) {
  const log = yield* Log
  const settings = streamOf(connector, stream)
  if (settings.webhook !== undefined) return yield* publishInbox(connector, stream, reporter, options)
  const key = streamKey(connector.connector, stream)
  yield* ensureTopics(connector, stream)
  if (options.owned !== undefined) yield* options.owned
  // Fence first, then read: whoever wrote this stream before can no longer move the checkpoint.
  const producer = yield* log.producer(key)
  const checkpoint = yield* storedCheckpoint(key)
  const kept: Array<string> = []
  for (let shard = 0; shard < (checkpoint?.partitions?.shards ?? 0); shard++) {
    const part = yield* log.latest(checkpointsTopic, utf8.encode(snapshotKey(connector.connector, stream, shard)))
    if (part === null) {
      const problem = `its part ${shard} is missing`
      return yield* new UnknownCheckpoint({ stream: key, problem })
    }
    kept.push(text.decode(part))
  }
  let place: Place = { checkpoint, snapshots: kept }
  const encoder = yield* encoderOf(connector, stream)
  const poll = parsePoll(settings.poll)
  for (;;) {
    const now = yield* Clock.currentTimeMillis
    const due = nextRun(poll, settings.jitter, place.checkpoint, now, yield* Random.next)
    if (due > now) {
      // What is not due is caught up: a full refresh is not repeated because the process was.
      if (options.once) break
      yield* reporter.state("waiting", { nextAt: due })
      yield* sleepUntil(due)
    }
    yield* reporter.state("running")
    place = yield* walk(source, producer, reporter, connector.connector, stream, encoder, place)
    if (options.once) break
  }
  yield* reporter.state("done")
}, Effect.scoped)

/**
 * Runs the work on a stream by the policy for failures. A run that has to end does not begin again with a request that the API has put
 * off for as long as the engine waits: it gives up with what was said.
 */
const superviseStream = Effect.fnUntraced(function* <E extends Classified, R>(
  reporter: Reporter,
  work: Effect.Effect<void, E | SourceError, R>,
  options: SuperviseOptions
) {
  let last: SourceError | undefined
  const ending = Effect.catchIf(
    work,
    (error) => options.once && error instanceof SourceError && error.reason._tag === "StillThrottled",
    (error) => Effect.sync(() => void (last = error instanceof SourceError ? error : undefined))
  )
  yield* supervise(reporter, ending, options)
  if (last === undefined) return
  const { failureClass, message } = last
  yield* reporter.state("paused", { problem: { class: failureClass, message } })
  yield* Effect.logError(message).pipe(Effect.annotateLogs({ failure: failureClass }))
  return yield* new GaveUp({ failureClass, problem: message })
})

/** Reports to all streams of a connector what concerns the connector as a whole. */
const toAll = (reporters: ReadonlyArray<Reporter>): Reporter => ({
  progress: (progress) => Effect.forEach(reporters, (reporter) => reporter.progress(progress), { discard: true }),
  state: (state, detail) => Effect.forEach(reporters, (reporter) => reporter.state(state, detail), { discard: true }),
  restarted: Effect.forEach(reporters, (reporter) => reporter.restarted, { discard: true }),
  batches: Effect.map(
    Effect.forEach(reporters, (reporter) => reporter.batches),
    (batches) => batches.reduce((sum, count) => sum + count, 0)
  )
})

/**
 * Reads the streams of a connector for as long as it runs, or with `once` until it has everything there is. Failures follow
 * the policy of their class, for each stream by itself; each try goes on from the last commit. With `once` it returns what
 * each stream that failed gave up for.
 */
export const runSource = Effect.fn("source.run")(function* (
  connector: Connector,
  base: string,
  options: SourceOptions
) {
  const status = yield* Status
  const id = connector.connector
  const streams = yield* Effect.forEach(Object.keys(connector.streams), (stream) =>
    Effect.map(status.reporter(id, stream, "source"), (reporter) => ({ stream, reporter }))
  )
  const tokens = yield* Effect.serviceOption(TokenStore)
  const secrets = yield* Effect.serviceOption(Secrets)
  const authorization = authorizationOfConnector(connector, base)
  const configured =
    authorization === undefined || Option.isNone(secrets)
      ? Effect.undefined
      : configuredRefreshToken(authorization).pipe(Effect.provideService(Secrets, secrets.value))
  /** Work goes on by itself once a person has consented, in whatever process they did. */
  const watch = Effect.suspend(() =>
    Option.isNone(tokens)
      ? Effect.succeed({ begin: Effect.void, options })
      : makeConsentWatch(authorization?.id ?? id, configured).pipe(
          Effect.provideService(TokenStore, tokens.value),
          Effect.map(({ begin, consented }) => ({ begin, options: { ...options, consented } }))
        )
  )
  const told = new Set<string>()
  const paging = Effect.fnUntraced(function* (stream: string, problem: string | undefined) {
    const message = problem === undefined ? undefined : `${stream}: ${problem}`
    yield* status.notice(id, `paging ${stream}`, message)
    if (message === undefined || told.has(stream)) return
    told.add(stream)
    yield* Effect.logWarning(message)
  })
  const all = Effect.scoped(
    Effect.gen(function* () {
      const source = yield* openSource(connector, {
        base,
        circuit: (host, problem) => status.notice(id, `circuit ${host}`, problem),
        paging,
        waiting: (budget, problem) => status.notice(id, `waiting ${budget}`, problem)
      })
      return yield* Effect.forEach(
        streams,
        ({ reporter, stream }) =>
          Effect.flatMap(watch, ({ begin, options: watching }) =>
            superviseStream(
              reporter,
              Effect.andThen(begin, readStream(source, connector, stream, reporter, options)),
              watching
            )
          ).pipe(Effect.annotateLogs({ stream }), Effect.result),
        { concurrency: "unbounded" }
      )
    })
  )
  const whole = yield* watch
  return yield* supervise(
    toAll(streams.map(({ reporter }) => reporter)),
    Effect.andThen(whole.begin, all),
    whole.options
  ).pipe(
    Effect.map((results) => results.flatMap((result) => (result._tag === "Failure" ? [result.failure] : []))),
    Effect.catchTag("GaveUp", (gaveUp) => Effect.succeed([gaveUp])),
    Effect.annotateLogs({ connector: id, stage: "source" })
  )
})
