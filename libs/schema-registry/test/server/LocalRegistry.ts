import { freePort } from "@tributary/testkit"
import { Data, Effect, type Scope } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs"
import { get } from "node:http"
import { join } from "node:path"
import process from "node:process"
import { registryProgram } from "./Program.ts"

/** A registry could not be started; the message holds the last lines of what it said. */
export class RegistryFailed extends Data.TaggedError("RegistryFailed")<{ readonly message: string }> {}

export interface LocalRegistryOptions {
  /** Where it keeps its schemas. They are there when `register` has answered, also after `kill9`. */
  readonly directory: string
  /** Port on 127.0.0.1, the same for all its starts. Default: a free one. */
  readonly port?: number
  /** Longest heap of the Java process. */
  readonly heap?: string
}

/** A registry as a process that can be ended and started again on its data. */
export interface LocalRegistry {
  /** Address of its Confluent-compatible API. */
  readonly url: string
  /** Process id while it runs. */
  readonly pid: () => number | undefined
  /** Starts it on its data and waits until it serves; does nothing while it runs. */
  readonly start: Effect.Effect<void, RegistryFailed>
  /** Ends it at once, as a crash does. */
  readonly kill9: Effect.Effect<void>
}

/** How long it may take to start, milliseconds; usually 6 seconds, but much may start at once. */
const startTimeout = 120_000

/** Ends the process with its parent, however that ends; only Linux can do that. */
const withParent: ReadonlyArray<string> =
  spawnSync("setpriv", ["--pdeathsig", "KILL", "true"], { stdio: "ignore" }).status === 0
    ? ["setpriv", "--pdeathsig", "KILL"]
    : []

/** Settings of a registry whose schemas survive its crash, by name. `file` is where the database stands. */
export const settings = (file: string): Readonly<Record<string, string>> => ({
  "apicurio.storage.kind": "sql",
  "apicurio.storage.sql.kind": "h2",
  // Without it H2 writes half a second late: a crash would lose schemas, and their ids would be given to others.
  "apicurio.datasource.url": `jdbc:h2:file:${file};WRITE_DELAY=0`,
  "apicurio.rest.deletion.artifact.enabled": "true",
  "apicurio.rest.deletion.artifact-version.enabled": "true",
  "quarkus.log.level": "WARN"
})

const isRunning = (child: ChildProcess | undefined): child is ChildProcess =>
  child !== undefined && child.exitCode === null && child.signalCode === null

const answers = (url: string): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const request = get(`${url}/subjects`, { timeout: 2_000 }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode === 200))
    })
    request.on("timeout", () => request.destroy())
    request.on("error", () => resume(Effect.succeed(false)))
  })

/** A registry in a directory of its own, started. It ends with the scope at the latest. */
export const startRegistry = Effect.fn("LocalRegistry.start")(function* (
  options: LocalRegistryOptions
): Effect.fn.Return<LocalRegistry, RegistryFailed, Scope.Scope> {
  const program = registryProgram()
  if ("missing" in program) return yield* new RegistryFailed({ message: `No registry: ${program.missing}.` })
  const port = options.port ?? (yield* Effect.promise(freePort))
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  const log = join(options.directory, "registry.log")
  const [command = "java", ...args] = [
    ...withParent,
    "java",
    `-Xmx${options.heap ?? "256m"}`,
    "-XX:+UseSerialGC",
    // Starts sooner; there is no time to get warm.
    "-XX:TieredStopAtLevel=1",
    "-Djava.net.preferIPv4Stack=true",
    "-Dquarkus.http.host=127.0.0.1",
    `-Dquarkus.http.port=${port}`,
    "-Dquarkus.management.enabled=false",
    ...Object.entries(settings(join(options.directory, "registry"))).map(([name, value]) => `-D${name}=${value}`),
    "-jar",
    program.jar
  ]
  let child: ChildProcess | undefined

  const kill9 = Effect.promise(async () => {
    if (!isRunning(child)) return
    const exit = once(child, "exit")
    child.kill("SIGKILL")
    await exit
  })
  const atExit = (): void => {
    child?.kill("SIGKILL")
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      mkdirSync(options.directory, { recursive: true })
      process.on("exit", atExit)
    }),
    () =>
      Effect.andThen(
        kill9,
        Effect.sync(() => process.off("exit", atExit))
      )
  )

  const start = Effect.gen(function* () {
    if (isRunning(child)) return
    const out = openSync(log, "w")
    const started = spawn(command, args, { stdio: ["ignore", out, out] })
    closeSync(out)
    child = started
    const end = performance.now() + startTimeout
    while (performance.now() < end && isRunning(started)) {
      if (yield* answers(url)) return
      yield* Effect.sleep("50 millis")
    }
    yield* kill9
    const said = readFileSync(log, "utf8").trimEnd().split("\n").slice(-25).join("\n")
    return yield* new RegistryFailed({ message: `The registry did not start:\n${said}` })
  })
  yield* start
  return { url, pid: () => (isRunning(child) ? child.pid : undefined), start, kill9 }
})
