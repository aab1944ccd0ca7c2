import { it } from "@effect/vitest"
import { KafkaLog } from "@tributary/kafka"
import { checkTopic, describeComparison, differs, type Worker } from "@tributary/load"
import { Log } from "@tributary/log"
import { layerNone } from "@tributary/schema-registry"
import { freePort, unhurried } from "@tributary/testkit"
import { Clock, Duration, Effect, Fiber, Layer, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "effect/http"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe } from "vitest"
import { clientSecret, release, startApis } from "../src/Apis.ts"
import { type Servers, startServers } from "../src/Servers.ts"
import { plainStream, rawOracle } from "../src/Streams.ts"
import { runCommand, startWorker } from "../src/Workers.ts"

const connectors = 200
const records = 120
/** How long the API takes to have them all: longer than the workers come and go. */
const growing = Duration.seconds(60)
/** Longest time until the others have the connectors of a worker that was killed; the session takes 6 of these seconds. */
const takeover = () => Duration.millis(6_000 + unhurried(4_000))

const Owned = HttpClientResponse.schemaBodyJson(Schema.Struct({ connectors: Schema.Array(Schema.String) }))

const idOf = (k: number) => `tiny_${String(k).padStart(3, "0")}`

/** Waits until `look` finds something; fails when that takes too long. Returns how long it took, milliseconds. */
const until = <E, R>(what: () => string, longest: Duration.Duration, look: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    const begun = yield* Clock.currentTimeMillis
    for (;;) {
      const isThere = yield* look
      const took = (yield* Clock.currentTimeMillis) - begun
      if (isThere) return took
      if (took > Duration.toMillis(longest)) {
        return yield* Effect.die(new Error(`not within ${Duration.format(longest)}: ${what()}`))
      }
      yield* Effect.sleep("50 millis")
    }
  })

const startsOf = (worker: Worker) =>
  readFileSync(worker.log, "utf8")
    .split("\n")
    .filter((line) => line.includes('"Connector started."')).length

/** Workers come, go and share the connectors. */
const scaleOut = Effect.fnUntraced(function* (directory: string, servers: Servers) {
  const folder = join(directory, "connectors")
  mkdirSync(folder)
  const streams = Array.from({ length: connectors }, (_, k) => plainStream(idOf(k), 1))
  const [api] = yield* startApis(streams.slice(0, 1), { records, seed: 1, isCalm: true })
  assert(api !== undefined)
  for (const stream of streams) {
    const text = stream
      .text(api.api)
      .replace("partitions: 8", "partitions: 1")
      .replace("every 2 seconds", "every 5 seconds")
    writeFileSync(join(folder, `${stream.connector}.yaml`), text.slice(0, text.indexOf("sink:")))
  }
  const env = { ...servers.env, TRIBUTARY_KAFKA_SESSION_TIMEOUT: "6 seconds", CHAOS_SECRET: clientSecret }
  yield* runCommand(["apply", "-f", folder], { env, log: join(directory, "apply.log") })

  const start = Effect.fnUntraced(function* (name: string) {
    const port = yield* Effect.promise(freePort)
    const worker = yield* startWorker({
      name,
      stage: "source",
      args: ["run", "source", "--data", join(directory, name), "--http", `127.0.0.1:${port}`],
      env: { ...env, TRIBUTARY_WORKER: name },
      logs: directory
    })
    const owned = HttpClient.get(`http://127.0.0.1:${port}/v1/owned`).pipe(
      Effect.flatMap(Owned),
      Effect.map(({ connectors }) => connectors),
      Effect.timeout("10 seconds"),
      // It has not started yet, or has ended.
      Effect.orElseSucceed((): ReadonlyArray<string> => [])
    )
    return { worker, owned }
  })
  /** Whether each connector is with one of the workers, and none with two. */
  const shares = (workers: ReadonlyArray<Effect.Success<ReturnType<typeof start>>>) =>
    Effect.map(
      Effect.forEach(workers, ({ owned }) => owned, { concurrency: "unbounded" }),
      (all) => ({
        counts: all.map(({ length }) => length),
        isWhole: all.flat().length === connectors && new Set(all.flat()).size === connectors
      })
    )
  let seen: ReadonlyArray<number> = []
  const share = (
    workers: ReadonlyArray<Effect.Success<ReturnType<typeof start>>>,
    longest: Duration.Duration,
    isGood: (counts: ReadonlyArray<number>) => boolean = () => true
  ) =>
    until(
      () => `the workers have ${seen.join(", ")}`,
      longest,
      Effect.map(shares(workers), ({ counts, isWhole }) => {
        seen = counts
        return isWhole && isGood(counts)
      })
    )

  const first = yield* start("one")
  yield* share([first], Duration.minutes(3))
  const log = yield* Log
  const haveTopics = Effect.map(
    log.topics,
    (topics) => topics.filter(({ name }) => name.startsWith("raw.")).length === connectors
  )
  yield* until(() => "topics of all connectors", Duration.minutes(2), haveTopics)
  const growth = yield* Effect.forkScoped(release([api], Duration.toMillis(growing)))

  const starts = startsOf(first.worker)
  const second = yield* start("two")
  const third = yield* start("three")
  const spread = yield* share([first, second, third], Duration.minutes(2), (counts) =>
    counts.every((count) => count >= 0.2 * connectors)
  )
  const [stayed = 0] = seen
  const moved = connectors - stayed
  assert.isAtLeast(moved, 0.55 * connectors, `${moved} moved`)
  assert.isAtMost(moved, 0.78 * connectors, `${moved} moved`)
  // Those that stayed went on without a stop.
  assert.strictEqual(startsOf(first.worker), starts)

  yield* second.worker.lose
  const taken = yield* share([first, third], takeover())
  yield* Effect.logInfo(
    `1 -> 3 workers: ${moved} of ${connectors} moved, ${spread} ms from the start; killed one: ${taken} ms`
  )

  yield* Fiber.join(growth)
  for (const stream of streams) {
    const oracle = rawOracle(stream, records)
    const compare = Effect.map(checkTopic(stream.rawTopic, oracle), (check) => check.finish(stream.rawTopic))
    let last = yield* compare
    yield* until(
      () => describeComparison(last, 3),
      Duration.minutes(2),
      Effect.map(compare, (comparison) => {
        last = comparison
        return comparison.found >= comparison.expected
      })
    )
    assert.isFalse(differs(last), describeComparison(last, 3))
  }
})

describe("200 connectors", () => {
  it.live(
    "spread over source workers as they come and go, and no record is lost or doubled",
    () =>
      Effect.gen(function* () {
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-scale-out-"))),
          (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
        )
        const servers = yield* startServers({ directory: join(directory, "servers"), brokers: 1, registry: false })
        yield* scaleOut(directory, servers).pipe(
          Effect.provide(Layer.mergeAll(KafkaLog.layer({ brokers: servers.brokers }), FetchHttpClient.layer, layerNone))
        )
      }).pipe(Effect.scoped),
    600_000
  )
})
