import { Data, Effect, type Scope } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"

/** A broker could not be started; the message holds the last lines of what it said. */
export class BrokerFailed extends Data.TaggedError("BrokerFailed")<{ readonly message: string }> {}

/** A broker as a process that can be ended and started again on its data. */
export interface Broker {
  readonly id: number
  /** `host:port` of its first client listener. */
  readonly address: string
  /** File of what it says; begun anew with each start. */
  readonly log: string
  /** Process id while it runs. */
  readonly pid: number | undefined
  /** Starts it on its data and waits until it serves; does nothing while it runs. */
  readonly start: Effect.Effect<void, BrokerFailed>
  /** Ends it at once, as a crash does. */
  readonly kill9: Effect.Effect<void>
  /** Ends it in order: it hands its partitions over first. By force when that takes more than 30 seconds. */
  readonly stop: Effect.Effect<void>
  /** Stands still without closing connections (SIGSTOP), until `resume`. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}

/** How long a broker may take to start; usually 3 seconds, but many may start at once. */
const startTimeout = "90 seconds"
const stopTimeout = "30 seconds"

const logging = `
status = error
appender.f.type = Console
appender.f.name = f
appender.f.layout.type = PatternLayout
appender.f.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = info
rootLogger.appenderRef.f.ref = f
`

/** Ends the process with its parent, however that ends; only Linux can do that. */
const withParent: ReadonlyArray<string> =
  spawnSync("setpriv", ["--pdeathsig", "KILL", "true"], { stdio: "ignore" }).status === 0
    ? ["setpriv", "--pdeathsig", "KILL"]
    : []

const isRunning = (child: ChildProcess | undefined): child is ChildProcess =>
  child !== undefined && child.exitCode === null && child.signalCode === null

const lastLines = (text: string): string => text.trimEnd().split("\n").slice(-25).join("\n")

/**
 * A broker in a directory of its own, which is formatted when it holds no data; not started yet. It ends with the scope at the
 * latest. `scram` is given to the format: `SCRAM-SHA-256=[name=alice,password=secret]`.
 */
export const makeBroker = Effect.fnUntraced(function* (options: {
  readonly id: number
  readonly address: string
  readonly directory: string
  readonly classPath: string
  readonly properties: Readonly<Record<string, string>>
  readonly heap: string
  readonly scram: ReadonlyArray<string>
}): Effect.fn.Return<Broker, BrokerFailed, Scope.Scope> {
  const { address, directory, id } = options
  const config = join(directory, "server.properties")
  const log = join(directory, "server.log")
  const java = (main: string, ...args: ReadonlyArray<string>): readonly [string, ReadonlyArray<string>] => {
    const [command, ...rest] = [
      ...withParent,
      "java",
      "-Xms64m",
      `-Xmx${options.heap}`,
      "-XX:+UseSerialGC",
      // Starts sooner; there is no time to get warm.
      "-XX:TieredStopAtLevel=1",
      "-Djava.net.preferIPv4Stack=true",
      `-Dlog4j2.configurationFile=${join(directory, "log4j2.properties")}`,
      "-cp",
      options.classPath,
      main,
      ...args
    ]
    return [command ?? "java", rest]
  }

  yield* Effect.sync(() => {
    mkdirSync(directory, { recursive: true })
    const lines = Object.entries({ ...options.properties, "log.dirs": join(directory, "data") })
    writeFileSync(config, lines.map(([name, value]) => `${name}=${value}\n`).join(""), { mode: 0o600 })
    writeFileSync(join(directory, "log4j2.properties"), logging)
  })
  if (!existsSync(join(directory, "data", "meta.properties"))) {
    const output = join(directory, "format.log")
    const scram = options.scram.flatMap((user) => ["--add-scram", user])
    const code = yield* Effect.promise(async () => {
      const out = openSync(output, "w")
      const child = spawn(
        ...java("kafka.tools.StorageTool", "format", "-t", "bG9jYWxkZXZjbHVzdGVyMQ", "-c", config, ...scram),
        { stdio: ["ignore", out, out] }
      )
      closeSync(out)
      const [code] = await once(child, "exit")
      return code
    })
    if (code !== 0)
      return yield* new BrokerFailed({
        message: `The storage of broker ${id} could not be formatted:\n${lastLines(readFileSync(output, "utf8"))}`
      })
  }

  let child: ChildProcess | undefined
  const ended = Effect.callback<void>((resume) => {
    if (!isRunning(child)) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })
  const signal = (name: NodeJS.Signals) =>
    Effect.sync(() => {
      if (isRunning(child)) child.kill(name)
    })
  const kill9 = Effect.uninterruptible(Effect.andThen(signal("SIGKILL"), ended))
  const stop = Effect.andThen(signal("SIGCONT"), signal("SIGTERM")).pipe(
    Effect.andThen(ended),
    Effect.timeoutOrElse({ duration: stopTimeout, orElse: () => kill9 })
  )
  const failed = (how: string) =>
    new BrokerFailed({
      message: `Broker ${id} of Kafka at ${address} ${how}. The end of ${log}:\n${lastLines(readFileSync(log, "utf8"))}`
    })
  const launch = Effect.sync(() => {
    const out = openSync(log, "w")
    // A process group of its own: Ctrl-C in a terminal is for the tests, which then stop it.
    child = spawn(...java("kafka.Kafka", config), { stdio: ["ignore", out, out], detached: true })
    closeSync(out)
  })
  const ready = Effect.gen(function* () {
    while (!readFileSync(log, "utf8").includes("Kafka Server started")) {
      if (!isRunning(child)) return yield* failed("ended while it started")
      yield* Effect.sleep("50 millis")
    }
  })
  const start = Effect.suspend(() =>
    isRunning(child)
      ? Effect.void
      : Effect.andThen(launch, ready).pipe(
          Effect.timeoutOrElse({
            duration: startTimeout,
            orElse: () => Effect.fail(failed(`was not ready after ${startTimeout}`))
          }),
          Effect.onError(() => kill9)
        )
  )

  // Where the end of this process does not end it.
  const atExit = () => void child?.kill("SIGKILL")
  process.on("exit", atExit)
  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      kill9,
      Effect.sync(() => process.off("exit", atExit))
    )
  )
  return {
    id,
    address,
    log,
    get pid() {
      return isRunning(child) ? child.pid : undefined
    },
    start,
    kill9,
    stop,
    pause: signal("SIGSTOP"),
    resume: signal("SIGCONT")
  }
})
