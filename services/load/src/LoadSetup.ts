import { Warehouse } from "@tributary/clickhouse"
import { Log } from "@tributary/log"
import { Duration, Effect, Random, Schema } from "effect"
import { randomBytes } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { env } from "node:process"
import type { LoadEngine } from "./LoadEngine.ts"
import { type LoadOptions, WrongLoad } from "./LoadOptions.ts"
import { type LoadScreen, NotStarted } from "./LoadSession.ts"
import { type LoadStream, secretVariable } from "./LoadStreams.ts"
import { type Death, startWorker, type Worker } from "./Workers.ts"

/** A folder that the test needs cannot be made or written. */
class NoFolder extends Schema.TaggedError<NoFolder>()("NoFolder", { problem: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `The test needs a folder for its files, and none can be made: ${this.problem}. Set TMPDIR to one that can.`
  }
}

/** The longest that cleaning up may take. */
const cleanUpTimeout = Duration.seconds(18)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** What a killed worker has started ends a moment later, and may still write. */
const removal = { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }

/** A folder for everything that the test writes. */
export const folders = (keep: boolean) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const folder = mkdtempSync(join(tmpdir(), "tributary-load-"))
        for (const name of ["connectors", "data", "logs", "tmp"]) mkdirSync(join(folder, name))
        return folder
      },
      catch: (error) => new NoFolder({ problem: messageOf(error) })
    }),
    (folder) => Effect.sync(() => (keep ? undefined : rmSync(folder, removal)))
  )

/** The secret that the API knows its client by: that of the environment, which workers of others have to know too. */
export const secretOf = ({ workers }: LoadOptions): Effect.Effect<string, WrongLoad> =>
  Effect.suspend(() => {
    const given = env[secretVariable] ?? ""
    if (given !== "") return Effect.succeed(given)
    if (workers !== "running") return Effect.sync(() => randomBytes(18).toString("base64url"))
    return Effect.fail(
      new WrongLoad({
        option: "workers",
        problem: `is running, which needs the environment variable ${secretVariable}: a secret of your choice, the same for this command and for all workers.`
      })
    )
  })

/** Fails when the servers do not answer: workers would wait for them. */
export const answering = Effect.gen(function* () {
  yield* (yield* Log).topics
  yield* (yield* Warehouse).ping
}).pipe(
  Effect.timeoutOrElse({
    duration: "20 seconds",
    orElse: () => Effect.fail(new NotStarted({ problem: "Kafka or ClickHouse did not answer within 20 seconds." }))
  })
)

/** Name of a run, which nothing else on the servers has. */
export const runName = Effect.map(
  Random.nextIntBetween(0, 36 ** 6),
  (number) => `load_${number.toString(36).padStart(6, "0")}`
)

/** Starts the workers that the test has of its own; they end with the scope. */
export const startWorkers = Effect.fnUntraced(function* (
  run: string,
  engine: LoadEngine,
  { workers }: LoadOptions,
  folder: string,
  secret: string,
  onDeath: (death: Death) => void
) {
  const logs = join(folder, "logs")
  const start = (name: string, stage: string, args: ReadonlyArray<string>) =>
    startWorker({
      name,
      stage,
      args: [...engine.program, ...args],
      env: {
        ...engine.env,
        [secretVariable]: secret,
        TRIBUTARY_WORKER: `${run}-${name}`,
        // What a killed worker leaves goes with the test's folder.
        TMPDIR: join(folder, "tmp")
      },
      logs,
      onDeath
    })
  if (workers === "running") return []
  if (engine.kind === "embedded") {
    const args = ["run", "-c", join(folder, "connectors"), "--data", join(folder, "data"), "--json"]
    return [yield* start("tributary", "all", args)]
  }
  const started: Array<Worker> = []
  for (const [stage, count] of Object.entries(workers)) {
    for (let k = 1; k <= count; k++) {
      const name = `${stage}-${k}`
      started.push(yield* start(name, stage, ["run", stage, "--data", join(folder, "data", name)]))
    }
  }
  return started
})

/** Registers the connectors; when the scope ends they are deleted with everything that they have left. */
export const registered = (
  run: string,
  engine: LoadEngine,
  options: LoadOptions,
  streams: ReadonlyArray<LoadStream>,
  folder: string,
  screen: LoadScreen
) =>
  Effect.acquireRelease(engine.register(folder), () =>
    options.keep
      ? Effect.void
      : engine
          .remove({
            connectors: [...new Set(streams.map(({ connector }) => connector))],
            streams,
            topics: [...new Set(streams.flatMap((one) => [one.rawTopic, one.topic, one.deadTopic]))],
            database: run,
            areRunning: options.workers === "running"
          })
          .pipe(
            Effect.interruptible,
            Effect.timeout(cleanUpTimeout),
            Effect.catch(({ message }) =>
              screen.note(
                `Not everything could be cleaned up: ${message} Connectors and topics of this run have ${run} in their names, its tables are in the database ${run}.`
              )
            )
          )
  )
