import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { execPath, kill } from "node:process"
import { fileURLToPath } from "node:url"
import { unhurried } from "@tributary/testkit"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer, Redacted, Schedule, Scope } from "effect"
import { ClickHouseServer, readEndpoint, type ServerOptions, Warehouse, type WarehouseError } from "../src/index.ts"
import { temporaryDirectory } from "./support.ts"

const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !/^State:\s+Z/mu.test(readFileSync(`/proc/${pid}/status`, "utf8"))

/** A server that the test stops by closing the scope it gets. */
const start = Effect.fnUntraced(function* (options: ServerOptions) {
  const scope = yield* Effect.acquireRelease(Scope.make(), (made) => Scope.close(made, Exit.void))
  const context = yield* Layer.buildWithScope(
    Layer.fresh(Warehouse.layerEmbeddedNoDeps.pipe(Layer.provideMerge(ClickHouseServer.layer(options)))),
    scope
  )
  const use = <A, E>(effect: Effect.Effect<A, E, Warehouse | ClickHouseServer>) =>
    Effect.provideContext(effect, context)
  return { use, stop: Scope.close(scope, Exit.void) }
})

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    const value = yield* effect
    return [value, (yield* Clock.currentTimeMillis) - before] as const
  })

const reasonOf = <A, R>(effect: Effect.Effect<A, WarehouseError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("the embedded server", () => {
  it.live("starts, is found by other processes, keeps its password to itself, and stops within a second", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [server] = yield* timed(start({ directory }))
      const endpoint = yield* server.use(ClickHouseServer.use(({ endpoint }) => endpoint))
      const pid = yield* server.use(ClickHouseServer.use(({ pid }) => pid))
      const password = Redacted.value(endpoint.password)
      assert.isAbove(password.length, 30)
      assert.strictEqual(statSync(join(directory, "endpoint.json")).mode & 0o777, 0o600)
      assert.strictEqual(statSync(join(directory, "data")).mode & 0o777, 0o700)
      assert.notInclude(
        readFileSync(`/proc/${pid}/cmdline`, "utf8") + readFileSync(`/proc/${pid}/environ`, "utf8"),
        password
      )
      const config = readFileSync(`/proc/${pid}/cmdline`, "utf8")
        .split("\0")
        .find((argument) => argument.endsWith("config.xml"))
      assert.isFalse(existsSync(config ?? "/"))
      const found = yield* readEndpoint(directory)
      assert.deepStrictEqual([found.url, Redacted.value(found.password)], [endpoint.url, password])
      const other = Warehouse.use((warehouse) => warehouse.query("SELECT 1 AS one")).pipe(
        Effect.provide(Warehouse.layerDirectory(directory))
      )
      assert.deepStrictEqual(yield* other, [{ one: 1 }])
      // No log of the server's own grows on the disk.
      const logs = yield* server.use(
        Warehouse.use((warehouse) =>
          warehouse.query("SELECT name FROM system.tables WHERE database = 'system' AND name LIKE '%\\_log'")
        )
      )
      assert.deepStrictEqual(logs, [])
      const [, stopped] = yield* timed(server.stop)
      assert.isBelow(stopped, unhurried(1000))
      assert.isFalse(isAlive(pid))
      assert.isFalse(existsSync(join(directory, "endpoint.json")))
      const gone = yield* Effect.flip(readEndpoint(directory))
      assert.strictEqual(gone.failureClass, "misconfigured")
      assert.include(gone.message, directory)
    })
  )

  it.live("is started again when it is killed; until then requests fail as Unavailable, and nothing is lost", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const server = yield* start({ directory })
      yield* server.use(
        Effect.gen(function* () {
          const warehouse = yield* Warehouse
          const engine = yield* ClickHouseServer
          yield* warehouse.command("CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY id")
          yield* warehouse.command("INSERT INTO t SELECT number FROM numbers(1000) SETTINGS async_insert = 0")
          const pid = yield* engine.pid
          kill(pid, "SIGKILL")
          yield* Effect.sync(() => isAlive(pid)).pipe(
            Effect.repeat({ until: (alive) => !alive, schedule: Schedule.spaced("1 millis") })
          )
          const meanwhile = yield* Effect.flip(warehouse.ping)
          assert.deepStrictEqual([meanwhile.reason._tag, meanwhile.failureClass], ["Unavailable", "transient"])
          yield* warehouse.ping.pipe(Effect.retry(Schedule.spaced("10 millis")), Effect.timeout("60 seconds"))
          assert.deepStrictEqual(yield* warehouse.query("SELECT count() AS n FROM t"), [{ n: "1000" }])
          assert.notStrictEqual(yield* engine.pid, pid)
          const { url } = yield* readEndpoint(directory)
          assert.strictEqual(url, (yield* engine.endpoint).url)
        })
      )
    })
  )

  it.live("dies with a parent that is killed, and the directory is free for the next one", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const script = fileURLToPath(new URL("./fixtures/owner.ts", import.meta.url))
      const parent = yield* Effect.acquireRelease(
        Effect.sync((): ChildProcess => spawn(execPath, [script, directory], { stdio: ["ignore", "pipe", "inherit"] })),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const pid = yield* Effect.callback<number>((resume) => {
        parent.stdout?.setEncoding("utf8").once("data", (text: string) => resume(Effect.succeed(Number(text))))
      }).pipe(Effect.timeout("90 seconds"))
      assert.isTrue(isAlive(pid))
      parent.kill("SIGKILL")
      const [server, waited] = yield* timed(start({ directory }))
      assert.isBelow(waited, unhurried(4000))
      assert.isFalse(isAlive(pid))
      yield* server.use(Warehouse.use((warehouse) => warehouse.ping))
    })
  )

  it.live("names a port that is in use", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const stranger = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const made = createServer((socket) => socket.destroy())
          made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (made) => Effect.callback<void>((resume) => void made.close(() => resume(Effect.void)))
      )
      const address = stranger.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const reason = yield* reasonOf(start({ directory, port }))
      assert.strictEqual(reason._tag, "PortInUse")
      assert.include(reason.message, String(port))
    })
  )

  it.live("waits for a server that leaves the directory, and names the directory when it does not", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const first = yield* start({ directory })
      const second = yield* Effect.forkChild(start({ directory }))
      yield* Effect.sleep("700 millis")
      assert.strictEqual(second.pollUnsafe(), undefined)
      yield* first.stop
      const server = yield* Fiber.join(second)
      const { url } = yield* server.use(ClickHouseServer.use(({ endpoint }) => endpoint))
      assert.strictEqual((yield* readEndpoint(directory)).url, url)
      const [reason, waited] = yield* timed(reasonOf(start({ directory })))
      assert.strictEqual(reason._tag, "DirectoryInUse")
      assert.include(reason.message, directory)
      assert.isAtLeast(waited, 15_000)
      // The loser has not taken away what tells others where the winner is.
      assert.strictEqual((yield* readEndpoint(directory)).url, url)
      yield* server.use(Warehouse.use((warehouse) => warehouse.ping))
    })
  )

  it.live("says that a directory cannot be written", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryDirectory, "file")
      writeFileSync(file, "")
      const reason = yield* reasonOf(start({ directory: join(file, "data") }))
      assert.strictEqual(reason._tag, "Misconfigured")
      assert.include(reason.message, file)
    })
  )

  it.live("is gone when its start is interrupted", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      for (const wait of ["30 millis", "120 millis", "250 millis"] as const) {
        const starting = yield* Effect.forkChild(Effect.scoped(start({ directory })))
        yield* Effect.sleep(wait)
        yield* Fiber.interrupt(starting)
      }
      const [server, waited] = yield* timed(start({ directory }))
      assert.isBelow(waited, unhurried(5000))
      yield* server.use(Warehouse.use((warehouse) => warehouse.ping))
    })
  )
})
