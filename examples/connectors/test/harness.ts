import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { execPath } from "node:process"
import { getCACertificates, setDefaultCACertificates } from "node:tls"
import { fileURLToPath } from "node:url"
import { Budgets } from "@tributary/connector"
import { type Connector, formatProblems, parseConnector, rawTopic } from "@tributary/domain"
import { Log, type LogRecord, SqliteLog } from "@tributary/log"
import { Tokens, TokenTransport } from "@tributary/oauth"
import { layerMemory } from "@tributary/schema-registry"
import { Environment, Secrets } from "@tributary/secrets"
import { runSource } from "@tributary/source"
import { Status } from "@tributary/telemetry"
import { Leases, TokenStore } from "@tributary/vault"
import {
  Clock,
  ConfigProvider,
  DateTime,
  Deferred,
  Duration,
  Effect,
  Fiber,
  Layer,
  Logger,
  References,
  Result,
  Schema
} from "effect"
import { type Certificate, type RunningStandIn, startStandIn } from "../api/serve.ts"
import type { StandIn } from "../api/StandIn.ts"

const folder = join(import.meta.dirname, "..")

/** The connector of a file, as it is. */
export const fileOf = (file: string): { readonly connector: Connector; readonly lines: number } => {
  const text = readFileSync(join(folder, `${file}.yaml`), "utf8")
  const parsed = parseConnector(text, `${file}.yaml`)
  if (Result.isFailure(parsed)) throw new Error(formatProblems(parsed.failure))
  return { connector: parsed.success.connector, lines: text.trimEnd().split("\n").length }
}

const Verdict = Schema.Struct({
  valid: Schema.Array(Schema.Unknown),
  problems: Schema.Array(Schema.Unknown),
  transforms: Schema.Array(Schema.Unknown),
  warnings: Schema.Array(Schema.Struct({ path: Schema.String, found: Schema.String }))
})

/** What `tributary validate` says of all files. */
export const validated = (env: Readonly<Record<string, string>>): typeof Verdict.Type => {
  const command = fileURLToPath(import.meta.resolve("@tributary/cli/main"))
  const text = execFileSync(execPath, [command, "validate", "--connectors", folder, "--json"], {
    env,
    encoding: "utf8"
  })
  return Schema.decodeSync(Schema.fromJsonString(Verdict))(text)
}

/** A certificate for all hosts of the stand-ins, which this process trusts from then on. */
export const trustedCertificate = (hosts: ReadonlyArray<string>): Certificate => {
  const directory = mkdtempSync(join(tmpdir(), "tributary-examples-"))
  try {
    const [key, certificate] = [join(directory, "key.pem"), join(directory, "certificate.pem")]
    const names = `subjectAltName=${hosts.map((host) => `DNS:${host}`).join(",")}`
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    const files = ["-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=stand-ins", "-addext", names]
    execFileSync("openssl", ["req", "-x509", ...curve, ...files], { stdio: "pipe" })
    const pair = { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") }
    setDefaultCACertificates([...getCACertificates("default"), pair.certificate])
    return pair
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Sleeps up to so long are cut short, and the clock is put forward by what was left out: waits between tries, and for a budget. */
const longestCut = 65_000
const cut = 20
const mostSlept = 100

export interface SkippingClock {
  readonly clock: Clock.Clock
  /** Puts it forward. */
  readonly jump: (millis: number) => void
  readonly now: () => number
}

/** A clock that begins at a time and leaves out most of short waits. */
const skippingClock = (real: Clock.Clock, start: string): SkippingClock => {
  let offset = DateTime.toEpochMillis(DateTime.makeUnsafe(start)) - real.currentTimeMillisUnsafe()
  const atStart = offset
  const now = () => Math.floor(real.currentTimeMillisUnsafe() + offset)
  const nanos = () => real.currentTimeNanosUnsafe() + BigInt(Math.round(offset)) * 1_000_000n
  const monotonic = () => real.monotonicTimeNanosUnsafe() + BigInt(Math.round(offset - atStart)) * 1_000_000n
  return {
    now,
    jump: (millis) => {
      offset += millis
    },
    clock: {
      ...real,
      currentTimeMillisUnsafe: now,
      currentTimeMillis: Effect.sync(now),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: monotonic,
      monotonicTimeNanos: Effect.sync(monotonic),
      sleep: (duration) => {
        const millis = Duration.toMillis(duration)
        if (millis > longestCut) return real.sleep(duration)
        const slept = Math.min(millis / cut, mostSlept)
        return Effect.map(real.sleep(Duration.millis(slept)), () => {
          offset += millis - slept
        })
      }
    }
  }
}

/** A log that says when so many transactions were committed. */
const counting = (most: number, reached: Deferred.Deferred<void>) =>
  Effect.map(Log, (log) => {
    let count = 0
    return Log.of({
      ...log,
      producer: (id) =>
        Effect.map(log.producer(id), (producer) => ({
          transact: (transaction) =>
            Effect.tap(producer.transact(transaction), () =>
              ++count >= most ? Deferred.succeed(reached, undefined) : Effect.void
            )
        }))
    })
  })

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

/** A stand-in with a connector that reads it into a log of its own. */
export interface World {
  readonly api: RunningStandIn
  readonly time: SkippingClock
  /** Reads once; with `transactions` it is stopped in the middle, after so many. What streams gave up for is returned. */
  readonly read: (transactions?: number) => Effect.Effect<ReadonlyArray<string>>
  /** What a stream published since the last time it was asked for. */
  readonly published: (stream: string) => Effect.Effect<ReadonlyArray<unknown>>
}

/** Starts the stand-in of a connector. `seed` decides what goes wrong. */
export const worldOf = Effect.fnUntraced(function* (
  standIn: StandIn,
  connector: Connector,
  certificate: Certificate,
  seed: number | "no faults"
) {
  const time = skippingClock(yield* Clock.Clock, "2026-03-01T00:00:00Z")
  const api = yield* Effect.acquireRelease(
    Effect.promise(() => startStandIn(standIn, certificate, seed, time.now)),
    (running) => Effect.promise(running.stop)
  )
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-examples-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const transport = Layer.effect(
    TokenTransport,
    Effect.map(TokenTransport, ({ send }) =>
      TokenTransport.of({ send: (request) => send({ ...request, url: api.tokenAddress(request.url) }) })
    )
  ).pipe(Layer.provide(TokenTransport.layer))
  const environment = Layer.succeed(Environment, api.env)
  const secrets = Secrets.layer.pipe(Layer.provide(environment))
  const tokens = Tokens.layerNoDeps.pipe(
    Layer.provide([transport, secrets, TokenStore.layerMemory, Leases.layerMemory, Budgets.layer])
  )
  const needed = Layer.mergeAll(
    SqliteLog.layer({ directory }),
    layerMemory,
    Budgets.layer,
    secrets,
    tokens,
    environment,
    Status.layer,
    Layer.succeed(Clock.Clock, time.clock)
  ).pipe(Layer.provideMerge(Layer.mergeAll(Logger.layer([]), Layer.succeed(References.MinimumLogLevel, "None"))))
  // Bounds of single requests are not to be cut short with the waits between them.
  const settings = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_OAUTH_TIMEOUT: "10 minutes" }))
  const context = yield* Effect.provideService(Layer.build(Layer.provide(needed, settings)), Clock.Clock, time.clock)

  const once = runSource(connector, folder, { once: true }).pipe(
    Effect.map((failures) => failures.map(({ message }) => message))
  )
  const stopped = (transactions: number) =>
    Effect.gen(function* () {
      const reached = yield* Deferred.make<void>()
      const log = yield* counting(transactions, reached)
      const fiber = yield* Effect.forkChild(Effect.provideService(once, Log, log))
      yield* Effect.raceFirst(Deferred.await(reached), Effect.asVoid(Fiber.await(fiber)))
      yield* Fiber.interrupt(fiber)
      return []
    })
  const ends = new Map<string, number>()
  const published = Effect.fnUntraced(function* (stream: string) {
    const log = yield* Log
    const topic = rawTopic(connector.connector, stream)
    const records: Array<LogRecord> = []
    const [offsets] = yield* log.offsets(topic)
    const end = offsets?.end ?? 0
    for (let next = ends.get(stream) ?? 0; next < end;) {
      const limits = { maxRecords: 100_000, maxBytes: 100_000_000, wait: Duration.zero }
      const batch = yield* log.read(topic, 0, next, limits)
      records.push(...batch.records)
      next = batch.next
    }
    ends.set(stream, end)
    return records.map(({ value }): unknown => (value === null ? null : JSON.parse(textOf(value))))
  })
  const world: World = {
    api,
    time,
    read: (transactions) =>
      Effect.orDie(Effect.provideContext(transactions === undefined ? once : stopped(transactions), context)),
    published: (stream) => Effect.orDie(Effect.provideContext(published(stream), context))
  }
  return world
})
