import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, readdirSync } from "node:fs"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { arch, env, execPath, platform } from "node:process"
import { fileURLToPath } from "node:url"
import { Clock, Deferred, Duration, Effect, Redacted, type Scope } from "effect"
import { makeClient } from "./Client.ts"
import type { Endpoint } from "./Endpoint.ts"
import { unwritable } from "./EndpointFile.ts"
import type { ServerOptions } from "./ServerOptions.ts"
import { serverConfig, serverUser, usersConfig } from "./ServerConfig.ts"
import { DirectoryInUse, EngineMissing, PortInUse, ServerFailed, WarehouseError } from "./WarehouseError.ts"

const action = "start the embedded ClickHouse"
/** Longest start: a directory with many parts is read before the port opens. */
const startTimeout = Duration.seconds(60)
/** How long to wait for the lock of a directory whose last server has just ended, or is about to. */
const lockTimeout = Duration.seconds(15)
/** How long a server may take to end by itself before it is killed, which harms nothing. */
const stopTimeout = Duration.seconds(3)
const portTries = 5
const stderrBytes = 4_000

/** A server that runs and is ours. */
export interface ServerProcess {
  readonly endpoint: Endpoint
  readonly pid: number
  /** The end of the process, by itself or not: its code or signal, and its last words. */
  readonly exited: Effect.Effect<string>
}

/** Path of the engine's library, which npm installs for this platform only. */
const findLibrary = Effect.fnUntraced(function* () {
  const name = `@chdb/lib-${platform}-${arch}${platform === "linux" ? "-gnu" : ""}`
  return yield* Effect.try({
    try: () => {
      // The package of the library is a dependency of chdb's, so it is looked for from there.
      const chdb = createRequire(import.meta.url).resolve("chdb")
      const directory = dirname(createRequire(chdb).resolve(`${name}/package.json`))
      const file = readdirSync(directory).find((entry) => /^libchdb\.(so|dylib)$/u.test(entry))
      if (file === undefined) throw new Error(`${name} has no library.`)
      return join(directory, file)
    },
    catch: (cause) =>
      missingEngine(
        `the package ${name} is not installed (${cause instanceof Error ? cause.message.split("\n")[0] : String(cause)}).`
      )
  })
})

const missingEngine = (detail: string): WarehouseError =>
  new WarehouseError({ action, reason: new EngineMissing({ platform: `${platform}-${arch}`, detail }) })

/** A port that nobody listens on right now. */
const freePort = Effect.callback<number, WarehouseError>((resume) => {
  const server = createServer()
  server.once("error", (cause) => resume(Effect.fail(unwritable("a port of 127.0.0.1", cause))))
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

interface Running {
  readonly child: ChildProcess
  readonly exited: Deferred.Deferred<string>
  readonly lastLines: () => string
}

const launch = Effect.fnUntraced(function* (
  library: string,
  directory: string,
  config: string,
  port: number,
  ready: string
): Effect.fn.Return<Running> {
  const exited = yield* Deferred.make<string>()
  return yield* Effect.sync(() => {
    const script = fileURLToPath(new URL("./serverChild.mjs", import.meta.url))
    const child = spawn(execPath, [script, library, directory, config, String(port), ready], {
      stdio: ["pipe", "ignore", "pipe"],
      // A process group of its own: Ctrl-C in a terminal goes to the parent only, which then stops the server in order.
      detached: true,
      // Nothing of ours (NODE_OPTIONS, secrets) is for the server.
      env: {
        TZ: "UTC",
        ...(env["PATH"] === undefined ? {} : { PATH: env["PATH"] }),
        ...(env["LD_LIBRARY_PATH"] === undefined ? {} : { LD_LIBRARY_PATH: env["LD_LIBRARY_PATH"] })
      }
    })
    let stderr = ""
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      stderr = (stderr + chunk).slice(-stderrBytes)
    })
    // Writing to a process that has ended is no event of interest; its end is.
    child.stdin?.on("error", () => undefined)
    const end = (how: string) => Deferred.doneUnsafe(exited, Effect.succeed(how))
    child.once("error", (cause) => end(cause.message))
    child.once("close", (code, signal) =>
      end(signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`)
    )
    return { child, exited, lastLines: () => stderr.trim() }
  })
})

const kill = (running: Running): Effect.Effect<void> =>
  Effect.sync(() => running.child.kill("SIGKILL")).pipe(Effect.andThen(Deferred.await(running.exited)), Effect.asVoid)

/** Why a server ended while it started. */
const startFailure = (directory: string, port: number, how: string, lastLines: string): WarehouseError["reason"] => {
  if (/Cannot lock file/u.test(lastLines)) return new DirectoryInUse({ directory })
  if (/Address already in use/u.test(lastLines)) return new PortInUse({ port })
  if (
    /GLIBC|dlopen|cannot open shared object|Cannot find (module|native binding)|ERR_MODULE_NOT_FOUND/iu.test(lastLines)
  )
    return new EngineMissing({
      platform: `${platform}-${arch}`,
      detail: `${lastLines.split("\n").find((line) => line.trim() !== "") ?? how}.`
    })
  return new ServerFailed({ directory, detail: `${how}.`, lastLines })
}

/** One try: starts the process and waits until the port is its own and it answers from the right directory. */
const startOnce = Effect.fn("ServerProcess.startOnce")(function* (
  library: string,
  options: ServerOptions,
  port: number
): Effect.fn.Return<ServerProcess, WarehouseError, Scope.Scope> {
  const directory = resolve(options.directory)
  const data = join(directory, "data")
  const password =
    options.password ?? Redacted.make(randomBytes(24).toString("base64url"), { label: "ClickHouse password" })
  // Beside each other two starts of one directory must not see each other's files, so they are in a place of their own.
  const temporary = yield* Effect.tryPromise({
    try: async () => {
      await mkdir(data, { recursive: true, mode: 0o700 })
      const made = await mkdtemp(join(tmpdir(), "tributary-clickhouse-"))
      const users = join(made, "users.xml")
      await writeFile(users, usersConfig(Redacted.value(password)), { mode: 0o600 })
      await writeFile(join(made, "config.xml"), serverConfig(users, options.memoryBytes ?? 2 ** 30), { mode: 0o600 })
      return made
    },
    catch: (cause) => unwritable(directory, cause)
  })
  const removeTemporary = Effect.promise(() => rm(temporary, { recursive: true, force: true }))
  const ready = join(temporary, "ready")
  const endpoint: Endpoint = {
    url: `http://127.0.0.1:${port}`,
    user: serverUser,
    password
  }
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const running = yield* launch(library, data, join(temporary, "config.xml"), port, ready)
      yield* Effect.addFinalizer(() => stop(running, endpoint))
      yield* restore(awaitReady(running, endpoint, { directory, data, port, ready })).pipe(
        Effect.onError(() => kill(running)),
        Effect.ensuring(removeTemporary)
      )
      return {
        endpoint,
        pid: running.child.pid ?? 0,
        exited: Effect.map(
          Deferred.await(running.exited),
          (how) => `${how}${running.lastLines() === "" ? "" : `; its last words: ${running.lastLines()}`}`
        )
      }
    })
  )
})

const awaitReady = Effect.fnUntraced(function* (
  running: Running,
  endpoint: Endpoint,
  place: { readonly directory: string; readonly data: string; readonly port: number; readonly ready: string }
) {
  const failed = (how: string, lastLines: string) =>
    new WarehouseError({ action, reason: startFailure(place.directory, place.port, how, lastLines) })
  const ended = Deferred.await(running.exited).pipe(
    Effect.flatMap((how) => Effect.fail(failed(how, running.lastLines())))
  )
  const opened = Effect.gen(function* () {
    while (!existsSync(place.ready)) yield* Effect.sleep("10 millis")
    // Only now the password is sent: the file says that the port is ours and not a stranger's.
    const client = yield* makeClient(endpoint)
    const [row] = yield* client.rows(action, "SELECT value FROM system.server_settings WHERE name = 'path'")
    const path = row?.["value"]
    if (typeof path !== "string" || resolve(path) !== place.data)
      return yield* failed(`the server on port ${place.port} answers for ${String(path)}`, running.lastLines())
  }).pipe(Effect.scoped)
  yield* Effect.raceFirst(opened, ended).pipe(
    Effect.timeoutOrElse({
      duration: startTimeout,
      orElse: () => Effect.fail(failed(`it was not ready after ${Duration.format(startTimeout)}`, running.lastLines()))
    })
  )
})

const stop = (running: Running, endpoint: Endpoint): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (Deferred.isDoneUnsafe(running.exited)) return
    const client = yield* makeClient(endpoint)
    // The statement that keeps the server alive belongs to nobody; every other one has a user.
    yield* client.command("stop the embedded ClickHouse", "KILL QUERY WHERE user = '' ASYNC")
    yield* Deferred.await(running.exited)
  }).pipe(
    Effect.scoped,
    Effect.timeout(stopTimeout),
    // Whatever kept it from ending: killing it is safe, and no reason to fail.
    Effect.catchCause(() => kill(running)),
    Effect.uninterruptible
  )

/**
 * Starts the ClickHouse server inside `libchdb` on a directory, and ends it with the scope: in order, or by force if that takes
 * too long. Waits a while for the lock of a server that is ending, and
 * chooses another port when one that was free is taken meanwhile.
 */
export const startServer = Effect.fn("ServerProcess.start")(function* (
  options: ServerOptions
): Effect.fn.Return<ServerProcess, WarehouseError, Scope.Scope> {
  const library = yield* findLibrary()
  const begun = yield* Clock.currentTimeMillis
  for (let tries = 1; ;) {
    const port = options.port ?? (yield* freePort)
    const result = yield* Effect.result(startOnce(library, options, port))
    if (result._tag === "Success") return result.success
    const error = result.failure
    const waited = (yield* Clock.currentTimeMillis) - begun
    if (error.reason._tag === "DirectoryInUse" && waited < Duration.toMillis(lockTimeout)) {
      yield* Effect.sleep("200 millis")
    } else if (error.reason._tag === "PortInUse" && options.port === undefined && tries < portTries) {
      tries++
    } else return yield* error
  }
})
