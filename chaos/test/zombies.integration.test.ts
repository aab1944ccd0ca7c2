import { it } from "@effect/vitest"
import { Warehouse } from "@tributary/clickhouse"
import { KafkaLog } from "@tributary/kafka"
import { describeComparison, differs, type Worker } from "@tributary/load"
import { Log } from "@tributary/log"
import { Clock, type Context, Duration, Effect, Exit, Layer, Schema, Scope } from "effect"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, assert, beforeAll, describe } from "vitest"
import { clientSecret, release, startApis } from "../src/Apis.ts"
import { rowsOf } from "../src/Progress.ts"
import { registryOf, type Servers, startServers } from "../src/Servers.ts"
import { type ChaosStream, plainStream } from "../src/Streams.ts"
import { prepareTables } from "../src/Tables.ts"
import { verify } from "../src/Verify.ts"
import { runCommand, startWorker } from "../src/Workers.ts"

const records = 4_000
const gate = pathToFileURL(join(import.meta.dirname, "fixtures", "gate.ts")).href
/** Codes with which brokers refuse one that another has taken over from. */
const refusals = { unknownMember: 25, illegalGeneration: 22, staleProducer: 47, fencedProducer: 90 } as const
const isRefusal = (answer: string) => Object.values(refusals).some((code) => answer.endsWith(` ${code}`))

const limits = { maxRecords: 5_000, maxBytes: 4 * 1024 * 1024, wait: Duration.zero }

const directory = mkdtempSync(join(tmpdir(), "tributary-zombies-"))
const scope = Scope.makeUnsafe()
let servers: Servers
let services: Context.Context<Log | Warehouse>

beforeAll(async () => {
  servers = await Effect.runPromise(
    Scope.provide(startServers({ directory: join(directory, "servers"), brokers: 1, registry: false }), scope)
  )
  services = await Effect.runPromise(
    Scope.provide(
      Layer.build(Layer.merge(KafkaLog.layer({ brokers: servers.brokers }), Warehouse.layerServer(servers.clickhouse))),
      scope
    )
  )
}, 300_000)
afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  rmSync(directory, { recursive: true, force: true })
}, 240_000)

/** Waits until `look` is true; fails after two with what `what` says then. */
const until = <E, R>(what: () => string, look: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    const end = (yield* Clock.currentTimeMillis) + 120_000
    while (!(yield* look)) {
      if ((yield* Clock.currentTimeMillis) > end) return yield* Effect.die(new Error(`waited in vain: ${what()}`))
      yield* Effect.sleep("50 millis")
    }
  })

const Line = Schema.fromJsonString(
  Schema.Struct({
    gate: Schema.Literals(["reached", "passed", "answer"]),
    request: Schema.optional(Schema.String),
    answer: Schema.optional(Schema.Int)
  })
)
const decodeLine = Schema.decodeUnknownSync(Line)

/** What the gate of a worker has said. */
const said = (worker: Worker) =>
  readFileSync(worker.log, "utf8")
    .split("\n")
    .filter((line) => line.startsWith('{"gate"'))
    .map((line) => decodeLine(line))

const isAt = (worker: Worker, where: "reached" | "passed") =>
  Effect.sync(() => said(worker).some((line) => line.gate === where))

/**
 * Answers of the brokers to the zombie after it went on, as `request code`, to the first with which they refuse it; `undefined`
 * before there is one. What it does later it does as a new member, like any other.
 */
const answersAfter = (worker: Worker) => {
  const lines = said(worker)
  const answers = lines
    .slice(lines.findIndex((line) => line.gate === "passed") + 1)
    .flatMap(({ answer, request }) => (answer === undefined ? [] : [`${request} ${answer}`]))
  const refusal = answers.findIndex(isRefusal)
  return refusal < 0 ? undefined : answers.slice(0, refusal + 1)
}

const lastLines = (worker: Worker) => readFileSync(worker.log, "utf8").split("\n").slice(-20).join("\n")

let count = 0

/** Starts a stream whose records are all there, and workers of it. */
const scenario = Effect.fnUntraced(function* (name: string) {
  const stream = plainStream(name, ++count)
  const folder = join(directory, name)
  const connectors = join(folder, "connectors")
  mkdirSync(connectors, { recursive: true })
  const [api] = yield* startApis([stream], { records, seed: count })
  assert(api !== undefined)
  yield* release([api], 0)
  writeFileSync(
    join(connectors, `${name}.yaml`),
    stream.text(api.api).replace("flush_every: 3 seconds", "flush_every: 50 millis, batch_rows: 50")
  )
  const env = { ...servers.env, TRIBUTARY_KAFKA_SESSION_TIMEOUT: "3 seconds", CHAOS_SECRET: clientSecret }
  yield* prepareTables([stream])
  // Only this connector is left: workers of a scenario have nothing else to do.
  yield* runCommand(["apply", "-f", connectors, "--prune"], { env, log: join(folder, "apply.log") })
  const start = (worker: string, stage: string, at?: string) =>
    startWorker({
      name: worker,
      stage,
      args: ["run", stage, "--data", join(folder, worker)],
      env: {
        ...env,
        ...(at === undefined
          ? {}
          : { NODE_OPTIONS: `--import=${gate}`, GATE: at, GATE_FOR: name, GATE_FILE: join(folder, `${worker}.open`) })
      },
      logs: folder
    })
  const openGate = (worker: Worker) => Effect.sync(() => writeFileSync(join(folder, `${worker.name}.open`), ""))
  return { api, openGate, start, stream }
})

/** Records of the raw topic that readers see. */
const published = (stream: ChaosStream) =>
  Effect.gen(function* () {
    const log = yield* Log
    const topics = yield* log.topics
    if (!topics.some(({ name }) => name === stream.rawTopic)) return 0
    let sum = 0
    for (const { earliest, end, partition } of yield* log.offsets(stream.rawTopic)) {
      for (let next = earliest; next < end;) {
        const batch = yield* log.read(stream.rawTopic, partition, next, limits)
        sum += batch.records.length
        if (batch.next === next) break
        next = batch.next
      }
    }
    return sum
  })

const loaded = ({ table }: ChaosStream) => Effect.map(rowsOf, (rows) => rows.get(table) ?? 0)

/** A worker reaches its gate, is stopped, is taken over from, and goes on. */
const comeBack = Effect.fnUntraced(function* (
  { openGate, start }: Effect.Success<ReturnType<typeof scenario>>,
  stage: string,
  at: string,
  isTakenOver: Effect.Effect<boolean, unknown, Log | Warehouse>
) {
  const zombie = yield* start("zombie", stage, at)
  yield* until(() => `the gate is not reached.\n${lastLines(zombie)}`, isAt(zombie, "reached"))
  yield* zombie.freeze
  const heir = yield* start("heir", stage)
  yield* until(
    () => `the heir does not take over.\n${lastLines(heir)}`,
    Effect.orElseSucceed(isTakenOver, () => false)
  )
  yield* openGate(zombie)
  yield* zombie.thaw
  yield* until(
    () => `the zombie is not refused.\n${lastLines(zombie)}`,
    Effect.sync(() => answersAfter(zombie) !== undefined)
  )
  const answers = answersAfter(zombie) ?? []
  yield* zombie.kill9
  return answers
})

const isExact = Effect.fnUntraced(function* ({ api }: Effect.Success<ReturnType<typeof scenario>>, tables: boolean) {
  const { comparisons, dead } = yield* verify(api, servers.phantoms).pipe(Effect.provide(registryOf(servers)))
  for (const comparison of tables ? comparisons : comparisons.slice(0, 1)) {
    assert.isFalse(differs(comparison), describeComparison(comparison, 5))
  }
  assert.deepStrictEqual(dead, [])
})

describe("a zombie source", () => {
  // Behind the commit that was sent before the stop there is nothing to refuse but the next request, whichever comes first.
  for (const [when, at, allowed] of [
    ["before its transaction", "AddPartitionsToTxn before 3", /^(Heartbeat 25|AddPartitionsToTxn (47|90))$/u],
    ["between its records and the commit", "EndTxn before 3", /^(Heartbeat 25|EndTxn (47|90))$/u],
    ["after the commit, its answer unseen", "EndTxn after 3", /^(Heartbeat 25|\w+ (47|90))$/u]
  ] as const) {
    it.live(
      `that was stopped ${when} is refused by the broker, and each record is there once`,
      () =>
        Effect.gen(function* () {
          const here = yield* scenario(`source_${count + 1}`)
          const complete = Effect.map(published(here.stream), (sum) => sum >= records)
          const answers = yield* comeBack(here, "source", at, complete)
          assert.match(answers.join(", "), allowed)
          yield* isExact(here, false)
        }).pipe(Effect.scoped, Effect.provide(services)),
      600_000
    )
  }
})

describe("a zombie sink", () => {
  for (const [when, at] of [
    ["before its plan", "OffsetCommit before 20"],
    ["between plan and insert", "insert before 20"],
    ["after the insert, its answer unseen", "insert after 20"]
  ] as const) {
    it.live(
      `that was stopped ${when} is refused by the broker, and each record is in the table once`,
      () =>
        Effect.gen(function* () {
          const here = yield* scenario(`sink_${count + 1}`)
          const source = yield* here.start("source", "source")
          yield* until(
            () => `not all is published.\n${lastLines(source)}`,
            Effect.map(published(here.stream), (sum) => sum >= records)
          )
          const complete = Effect.map(loaded(here.stream), (rows) => rows >= records)
          const answers = yield* comeBack(here, "sink", at, complete)
          // The first thing that it asked for was refused.
          assert.match(answers.join(", "), /^(Heartbeat|OffsetCommit) (22|25)$/u)
          yield* isExact(here, true)
        }).pipe(Effect.scoped, Effect.provide(services)),
      600_000
    )
  }
})
