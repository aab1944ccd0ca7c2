import { Redis, type RedisOptions } from "@tributary/redis"
import { findServer, freePort } from "@tributary/testkit"
import { Redis as Client } from "ioredis"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { randomUUID } from "node:crypto"
import { localProgram, type RedisProcess, type RedisProgram } from "./RedisProgram.ts"

/** What runs a server of the tests' own: a container where Docker answers, else the program of this machine. */
const program = await findServer<RedisProgram>({
  name: "Redis",
  // Loaded only when they are needed, for they are large.
  docker: {
    probe: async () => (await import("testcontainers")).getContainerRuntimeClient(),
    start: async () => (await import("./RedisContainer.ts")).containerProgram()
  },
  local: async () => localProgram()
})

/** Why tests that need a server of their own cannot run; `undefined`: they can. */
export const missing = "missing" in program ? program.missing : undefined

export const canWaitForDisk =
  !("missing" in program) && (program.version[0] > 7 || (program.version[0] === 7 && program.version[1] >= 2))

export const hasTls = !("missing" in program) && program.tls

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
  /** Process id while it runs; none of a container. */
  readonly pid: number | undefined
  /** Starts it with its data, at the same port; does nothing while it runs. */
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

/** Where a server of the test's own is. */
export interface RedisPlace {
  /** Directory of its data, which stays; a temporary one when it is left out. */
  readonly directory?: string
  /** A free one when it is left out. */
  readonly port?: number
}

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-redis-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** A server of the test's own, with settings of its command line; ended with the scope. */
export const startRedis = Effect.fnUntraced(function* (place: RedisPlace, ...settings: ReadonlyArray<string>) {
  if ("missing" in program) return yield* Effect.die(missing)
  const port = place.port ?? (yield* Effect.promise(freePort))
  const directory = place.directory ?? (yield* temporaryDirectory)
  mkdirSync(directory, { recursive: true })
  let current: RedisProcess | undefined
  const kill = Effect.suspend(() => {
    const running = current
    current = undefined
    return running?.kill ?? Effect.void
  }).pipe(Effect.uninterruptible)
  const start = Effect.gen(function* () {
    if (current?.running() === true) return
    const started = yield* program.run([
      "--bind",
      "127.0.0.1",
      "--port",
      String(port),
      "--dir",
      directory,
      "--save",
      "",
      ...settings
    ])
    current = started
    yield* Effect.orDie(
      Effect.retry(answering(port), {
        schedule: Schedule.spaced("25 millis").pipe(Schedule.upTo({ duration: "90 seconds" })),
        // One that ended at once did not like its settings.
        while: started.running
      })
    )
  })
  yield* Effect.addFinalizer(() => kill)
  yield* start
  const url = `redis://127.0.0.1:${port}`
  const server: RedisServer = {
    port,
    url,
    directory,
    get pid() {
      return current?.pid
    },
    start,
    kill,
    pause: Effect.suspend(() => current?.pause ?? Effect.void),
    resume: Effect.suspend(() => current?.resume ?? Effect.void),
    wipe: Effect.sync(() => rmSync(join(directory, "appendonlydir"), { recursive: true, force: true })),
    layer: (options) => Layer.orDie(Redis.layer({ url, ...options }))
  }
  return server
})

/** A server of the test's own: at a free port, with its files in a temporary directory, ended with the scope. */
export const redisServer = (...settings: ReadonlyArray<string>) => startRedis({}, ...settings)

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
