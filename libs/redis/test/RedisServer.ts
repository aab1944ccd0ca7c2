import { Redis, type RedisOptions } from "@tributary/redis"
import { Redis as Client } from "ioredis"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { randomUUID } from "node:crypto"

interface Program {
  readonly path: string
  /** The name it is called by: some packages hold one program for several names. */
  readonly name: string
  readonly version: readonly [number, number]
}

const look = (path: string, name: string): Program | undefined => {
  const { stdout } = spawnSync(path, ["--version"], { argv0: name, encoding: "utf8" })
  const found = /v=(\d+)\.(\d+)/.exec(stdout ?? "")
  return found === null ? undefined : { path, name, version: [Number(found[1]), Number(found[2])] }
}

/** The package with the program alone, without the service that starts it. */
const install = () => {
  if (process.getuid?.() !== 0 || spawnSync("apt-get", ["--version"]).status !== 0) return
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  const run = (...args: ReadonlyArray<string>) =>
    spawnSync("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=120", ...args], {
      env: environment,
      stdio: "ignore",
      timeout: 180_000
    }).status
  run("update")
  run("install", "-y", "--no-install-recommends", "redis-tools")
}

const find = () =>
  look("redis-server", "redis-server") ??
  look("valkey-server", "valkey-server") ??
  look("redis-check-rdb", "redis-server")

const findOrInstall = () => {
  const found = find()
  if (found !== undefined) return found
  install()
  return find()
}

const program = findOrInstall()

/** Why tests that need a server of their own cannot run; `undefined`: they can. */
export const missing =
  program === undefined
    ? "no redis-server was found and none could be installed; put one on the PATH to run these tests"
    : undefined

export const canWaitForDisk =
  program !== undefined && (program.version[0] > 7 || (program.version[0] === 7 && program.version[1] >= 2))

/** Whether the program was built with TLS: only then it misses the certificate. */
export const hasTls =
  program !== undefined &&
  spawnSync(program.path, ["--port", "0", "--tls-port", "1"], {
    argv0: program.name,
    encoding: "utf8",
    timeout: 5000
  }).stdout.includes("Failed to configure TLS")

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Waits until something accepts connections and Redis has loaded its data. */
const answering = (port: number) =>
  Effect.callback<void, string>((resume) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"))
    socket.setTimeout(1000, () => socket.destroy(new Error("no answer")))
    socket.on("data", (data) => {
      socket.destroy()
      resume(String(data).includes("LOADING") ? Effect.fail("loading") : Effect.void)
    })
    socket.on("error", (error) => resume(Effect.fail(error.message)))
    return Effect.sync(() => socket.destroy())
  })

export interface RedisServer {
  readonly port: number
  readonly url: string
  readonly directory: string
  /** Starts it with its data, at the same port. */
  readonly start: Effect.Effect<void>
  /** Ends it at once, as a crash does. */
  readonly kill: Effect.Effect<void>
  /** Stands still, without closing connections. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Removes its data; to be called while it is stopped. */
  readonly wipe: Effect.Effect<void>
  readonly layer: (options?: Partial<RedisOptions>) => Layer.Layer<Redis>
}

/** A server of the test's own: at a free port, with its files in a temporary directory, ended with the scope. */
export const redisServer = (...settings: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    if (program === undefined) return yield* Effect.die(missing)
    const { name, path } = program
    const port = yield* freePort
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-redis-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    )
    let child: ChildProcess | undefined
    const start = Effect.gen(function* () {
      child = spawn(
        path,
        ["--bind", "127.0.0.1", "--port", String(port), "--dir", directory, "--save", "", ...settings],
        { argv0: name, stdio: "ignore" }
      )
      yield* Effect.orDie(
        Effect.retry(answering(port), {
          schedule: Schedule.spaced("25 millis").pipe(Schedule.upTo({ duration: "15 seconds" })),
          // One that ended at once did not like its settings.
          while: () => child?.exitCode === null
        })
      )
    })
    const ended = Effect.callback<void>((resume) => {
      const running = child
      child = undefined
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) {
        return resume(Effect.void)
      }
      running.once("close", () => resume(Effect.void))
      running.kill("SIGKILL")
    })
    const signal = (name: NodeJS.Signals) => Effect.sync(() => void child?.kill(name))
    yield* Effect.addFinalizer(() => ended)
    yield* start
    const url = `redis://127.0.0.1:${port}`
    const server: RedisServer = {
      port,
      url,
      directory,
      start,
      kill: ended,
      pause: signal("SIGSTOP"),
      resume: signal("SIGCONT"),
      wipe: Effect.sync(() => rmSync(join(directory, "appendonlydir"), { recursive: true, force: true })),
      layer: (options) => Layer.orDie(Redis.layer({ url, ...options }))
    }
    return server
  })

/** A client of the test's own, to look behind the scenes. */
export const client = (server: RedisServer) =>
  Effect.acquireRelease(
    // It connects anew by itself when the server was killed, which is no news here.
    Effect.sync(() => new Client(server.url).on("error", () => undefined)),
    (client) => Effect.sync(() => client.disconnect())
  )
export const call = (client: Client, name: string, ...args: ReadonlyArray<string | number>) =>
  Effect.promise(() => client.call(name, ...args))

/** Settings of a server that keeps what it has acknowledged. */
export const durable = canWaitForDisk
  ? (["--appendonly", "yes", "--appendfsync", "everysec"] as const)
  : (["--appendonly", "yes", "--appendfsync", "always"] as const)

/** A server for tests that only need some data space: the one of TRIBUTARY_REDIS, or one of their own. */
export const anyRedis = Layer.unwrap(
  Effect.gen(function* () {
    const url = process.env["TRIBUTARY_REDIS"]
    const prefix = `tributary-test:${randomUUID()}:`
    if (url === undefined || url === "") {
      return (yield* redisServer("--appendonly", "yes", "--appendfsync", "always")).layer({ prefix })
    }
    const { password, username } = new URL(url)
    return Layer.orDie(
      Redis.layer({
        url: Object.assign(new URL(url), { username: "", password: "" }).href,
        prefix,
        ...(username === "" ? {} : { username: decodeURIComponent(username) }),
        ...(password === "" ? {} : { password: Redacted.make(decodeURIComponent(password)) })
      })
    )
  })
)

export const missingAny = (process.env["TRIBUTARY_REDIS"] ?? "") === "" ? missing : undefined
