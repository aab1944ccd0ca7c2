import { Warehouse } from "@tributary/clickhouse"
import { KafkaLog } from "@tributary/kafka"
import type { Death } from "@tributary/load"
import { Clock, Console, Duration, Effect, Fiber, Layer, Schema } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { clientSecret, release, startApis, type StreamApi } from "./Apis.ts"
import { describePlan, faultPlan } from "./FaultPlan.ts"
import { awaitInSync, makeFaults } from "./Faults.ts"
import { freshnessOf, watchFreshness } from "./Freshness.ts"
import { readLogs } from "./Logs.ts"
import { rowsOf, watchProgress } from "./Progress.ts"
import { describeOutcome, isGood, type Outcome } from "./Report.ts"
import { type Sabotage, sabotage } from "./Sabotage.ts"
import { registryOf, startServers } from "./Servers.ts"
import { chaosStreams, rowsOfStream } from "./Streams.ts"
import { prepareTables } from "./Tables.ts"
import { verify, type Verified } from "./Verify.ts"
import { runCommand, startWorker } from "./Workers.ts"

export interface ChaosOptions {
  readonly seed: number
  /** How long faults are made. */
  readonly lasts: Duration.Duration
  readonly records: number
  /** Average time between two faults. */
  readonly pause: Duration.Duration
  /** How long the load runs without faults at first. */
  readonly calm: Duration.Duration
  /** Folder of all data and logs. */
  readonly directory: string
  /** A damage that the comparison must find. */
  readonly sabotage: Sabotage | undefined
}

/** The platform did not come up. */
export class NotStarted extends Schema.TaggedError<NotStarted>()("NotStarted", { problem: Schema.String }) {
  override get message(): string {
    return this.problem
  }
}

const sessionTimeout = Duration.seconds(6)
const workerCounts = { source: 3, transform: 2, sink: 3 }
/** Longest wait for the first rows in every table. */
const startTimeout = Duration.minutes(3)
/** Time for what should not come any more. */
const settle = Duration.seconds(5)
/** Differences that are named on the screen; the file has more. */
const mostNamed = 10

/** Says a line with the time since the start. */
const speaker = (begun: number) => (line: string) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Console.log(`${((now - begun) / 1000).toFixed(1).padStart(7)}  ${line}`)
  )

/** Tables that have fewer rows than they should, with what they have. */
const short = (expected: ReadonlyMap<string, number>) =>
  Effect.map(rowsOf, (rows) =>
    [...expected].flatMap(([table, count]) => {
      const found = rows.get(table) ?? 0
      return found < count ? [`${table} ${found} of ${count}`] : []
    })
  )

/**
 * Waits until each table has as many rows as are expected of it; returns what is short when nothing more has arrived for `longest`,
 * or after three times as long in all: how long the whole takes depends on the machine.
 */
const arrival = Effect.fnUntraced(function* (
  expected: ReadonlyMap<string, number>,
  longest: Duration.Duration,
  say: (line: string) => Effect.Effect<void>
) {
  const begun = yield* Clock.currentTimeMillis
  let saidAt = begun
  let changedAt = begun
  let missing: ReadonlyArray<string> = ["nothing could be asked"]
  for (;;) {
    const before = missing.join()
    missing = yield* Effect.orElseSucceed(Effect.timeout(short(expected), "5 seconds"), () => missing)
    const now = yield* Clock.currentTimeMillis
    if (missing.join() !== before) changedAt = now
    const most = Duration.toMillis(longest)
    if (missing.length === 0 || now - changedAt > most || now - begun > 3 * most) return { missing, took: now - begun }
    if (now - saidAt > 10_000) {
      saidAt = now
      yield* say(`waiting for ${missing.join(", ")}`)
    }
    yield* Effect.sleep("500 millis")
  }
})

/** Writes the connector files, and registers them. */
const register = Effect.fnUntraced(function* (
  apis: ReadonlyArray<StreamApi>,
  folder: string,
  env: Readonly<Record<string, string>>,
  log: string
) {
  yield* Effect.sync(() => {
    mkdirSync(folder, { recursive: true })
    for (const { api, stream } of apis) {
      writeFileSync(join(folder, `${stream.connector}.yaml`), stream.text(api))
      for (const [name, text] of Object.entries(stream.files)) writeFileSync(join(folder, name), text)
    }
  })
  yield* runCommand(["apply", "-f", folder], { env, log })
})

/**
 * A run: servers and workers are started, an API has more and more records, and faults are made while it is loaded. Afterwards
 * everything must have arrived, once and as it was. Returns whether that is so.
 */
export const runChaos = Effect.fn("chaos.run")(function* (options: ChaosOptions) {
  const { calm, directory, seed } = options
  const lasts = Duration.toMillis(options.lasts)
  const begunAt = yield* Clock.currentTimeMillis
  const say = speaker(begunAt)
  const logs = join(directory, "logs")
  mkdirSync(logs, { recursive: true })

  yield* say("starting 3 brokers, ClickHouse, Redis and the schema registry")
  const servers = yield* startServers({ directory, brokers: 3, registry: true })
  const streams = chaosStreams
  const apis = yield* startApis(streams, { records: options.records, seed })
  const env = {
    ...servers.env,
    TRIBUTARY_KAFKA_SESSION_TIMEOUT: `${Duration.toSeconds(sessionTimeout)} seconds`,
    CHAOS_SECRET: clientSecret
  }
  const outside = Layer.mergeAll(
    KafkaLog.layer({ brokers: servers.brokers, clientId: "chaos" }),
    Warehouse.layerServer(servers.clickhouse),
    registryOf(servers)
  )
  return yield* Effect.gen(function* () {
    if (!(yield* awaitInSync(servers.brokers, "1 minute"))) {
      return yield* new NotStarted({ problem: "The brokers' replicas did not get in sync within a minute." })
    }
    yield* prepareTables(streams)
    yield* register(apis, join(directory, "connectors"), env, join(logs, "apply.log"))

    const deaths: Array<Death> = []
    const services = Object.fromEntries(
      Object.entries(workerCounts).map(([stage, count]) => [
        stage,
        Array.from({ length: count }, (_, k) => `${stage}-${k + 1}`)
      ])
    )
    const names = Object.entries(services).flatMap(([stage, all]) => all.map((name) => ({ stage, name })))
    const workers = yield* Effect.forEach(names, ({ name, stage }) =>
      startWorker({
        name,
        stage,
        args: ["run", stage, "--data", join(directory, "data", name)],
        env: { ...env, TRIBUTARY_WORKER: name },
        logs,
        onDeath: (death) => deaths.push(death)
      })
    )
    yield* say(`started ${workers.map(({ name }) => name).join(", ")}`)
    const first = yield* arrival(new Map(streams.map(({ table }) => [table, 1])), startTimeout, say)
    if (first.missing.length > 0) {
      return yield* new NotStarted({ problem: `The first records did not arrive: ${first.missing.join(", ")}.` })
    }

    yield* say(`everything runs; ${Duration.format(calm)} without faults`)
    const releasing = yield* Effect.forkScoped(release(apis, Duration.toMillis(calm) + lasts))
    const { progress, watching } = yield* watchProgress(streams)
    const watcher = yield* Effect.forkScoped(watching)
    const looks = yield* watchFreshness(streams, Duration.toMillis(calm))
    yield* say(`looked ${looks.length} times`)

    const plan = faultPlan({
      seed,
      lasts,
      pause: Duration.toMillis(options.pause),
      sessionTimeout: Duration.toMillis(sessionTimeout),
      services,
      brokers: servers.kafka.map(({ name }) => name),
      servers: servers.others.map(({ name }) => name)
    })
    yield* say(`${plan.length} faults, from the seed ${seed}:\n${describePlan(plan)}`)
    const actions = yield* makeFaults(plan, { servers, workers, say })
    yield* Fiber.join(releasing)
    yield* say("no more faults; waiting until everything has arrived")

    const totals = new Map(apis.map(({ stream, total }) => [stream.table, rowsOfStream(stream, total)]))
    const longest = Duration.max(Duration.minutes(2), Duration.times(options.lasts, 0.5))
    const { missing, took } = yield* arrival(totals, longest, say)
    yield* Fiber.interrupt(watcher)
    if (missing.length > 0) yield* say(`did not arrive in time: ${missing.join(", ")}`)
    yield* Effect.sleep(settle)

    const damaged = streams[0]
    if (options.sabotage !== undefined && damaged !== undefined) {
      yield* say(`sabotage: ${options.sabotage}`)
      yield* sabotage(options.sabotage, damaged)
      yield* Effect.sleep(settle)
    }
    const ends = yield* Effect.forEach(
      workers,
      (worker) => Effect.map(worker.stop, (how) => [worker.name, how] as const),
      {
        concurrency: "unbounded"
      }
    )
    yield* say("comparing")
    const verified: Array<Verified> = []
    for (const one of apis) {
      const isDamaged = options.sabotage === "record-lost" && one.stream === damaged
      verified.push(yield* verify(isDamaged ? { ...one, total: one.total + 1 } : one, servers.phantoms))
    }
    const outcome: Outcome = {
      seed,
      begunAt,
      records: options.records,
      lasted: lasts,
      caughtUp: missing.length === 0 ? took : undefined,
      actions,
      starts: Object.fromEntries(workers.map((worker) => [worker.name, worker.starts()])),
      deaths,
      progress,
      logs: yield* readLogs(workers),
      freshness: freshnessOf(
        looks,
        verified.map(({ places, stream }) => ({ places, table: stream.table }))
      ),
      comparisons: verified.flatMap(({ comparisons }) => comparisons),
      dead: verified.flatMap(({ dead }) => dead),
      ends: Object.fromEntries(ends)
    }
    yield* Effect.sync(() =>
      writeFileSync(join(directory, "outcome.txt"), describeOutcome(outcome, Number.POSITIVE_INFINITY))
    )
    yield* Console.log(describeOutcome(outcome, mostNamed))
    return isGood(outcome)
  }).pipe(Effect.provide(outside))
}, Effect.scoped)
