import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { execPath } from "node:process"
import { DatabaseSync } from "node:sqlite"
import { Checkpointer } from "../src/Checkpointer.ts"
import { Log, LogLocked, SqliteLog } from "../src/index.ts"
import { SqliteFile } from "../src/SqliteFile.ts"
import { bytes, eventually, makeTopic, numbers, readAll, record, textOf, values } from "./conformance/support.ts"
import { temporaryDirectory } from "./temporaryDirectory.ts"

interface Writer {
  readonly process: ChildProcess
  readonly kill: Effect.Effect<void>
  /** Ends with the next transaction that succeeds. */
  readonly working: Effect.Effect<void>
}

/** The last transaction of which a writer said that it has succeeded; -1 for none. */
const acknowledged = (directory: string): number => {
  const file = join(directory, "acks")
  // What follows the last line end was cut off by a kill.
  return existsSync(file) ? Number(readFileSync(file, "utf8").split("\n").at(-2) ?? -1) : -1
}

const startWriter = (directory: string): Effect.Effect<Writer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync((): Writer => {
      const before = acknowledged(directory)
      const child = spawn(execPath, [join(import.meta.dirname, "fixtures", "writer.ts"), directory], {
        stdio: ["ignore", "ignore", "pipe"]
      })
      let complaint = ""
      child.stderr.setEncoding("utf8")
      child.stderr.on("data", (chunk: string) => (complaint += chunk))
      const ended = new Promise<string | null>((resolve) => child.on("close", (_code, signal) => resolve(signal)))
      return {
        process: child,
        kill: Effect.suspend(() => {
          child.kill("SIGKILL")
          return Effect.map(
            Effect.promise(() => ended),
            (signal) => assert.strictEqual(signal, "SIGKILL", `the writer ended by itself: ${complaint}`)
          )
        }),
        working: eventually(
          Effect.sync(() => acknowledged(directory)),
          (last) => last > before
        ).pipe(Effect.asVoid, Effect.orDie)
      }
    }),
    (writer) => writer.kill
  )

/** Checks that what is there are the transactions from 0 to the checkpoint, each once and whole; gives the checkpoint. */
const verify = Effect.gen(function* () {
  const log = yield* Log
  const checkpoint = Number(textOf(yield* log.latest("checkpoints", bytes("writer"))) ?? -1)
  const written = [...(yield* readAll("a", 0)), ...(yield* readAll("a", 1))].map(({ key }) => textOf(key))
  const expected = numbers(0, checkpoint + 1).flatMap((n) => numbers(0, (Number(n) % 5) + 1).map((i) => `${n} ${i}`))
  assert.strictEqual(written.length, expected.length)
  assert.deepStrictEqual(new Set(written), new Set(expected))
  assert.deepStrictEqual(values(yield* readAll("b")), numbers(0, checkpoint + 1))
  return checkpoint
})

describe("SqliteLog and the processes around it", () => {
  it.live(
    "keeps each acknowledged transaction once and whole, and no part of another, over 24 kills",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        for (let kill = 0; kill < 24; kill++) {
          const writer = yield* startWriter(directory)
          // Some are killed while they start, most while they write.
          if (kill % 6 === 5) yield* Effect.sleep(Duration.millis(Math.random() * 600))
          else {
            yield* writer.working
            yield* Effect.sleep(Duration.millis(Math.random() * 60))
          }
          yield* writer.kill
          if (kill % 6 !== 4) continue
          // Another process that only reads sees the same, with the WAL as the kill left it.
          const seen = yield* verify.pipe(Effect.provide(SqliteLog.layerReadOnly({ directory })))
          assert.isAtLeast(seen, acknowledged(directory))
        }
        const checkpoint = yield* verify.pipe(Effect.provide(SqliteLog.layer({ directory })))
        assert.isAtLeast(checkpoint, acknowledged(directory))
        assert.isAbove(acknowledged(directory), 100)
        const database = new DatabaseSync(join(directory, "log.db"))
        assert.deepEqual({ ...database.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" })
        database.close()
      }),
    240_000
  )

  it.live("is locked while another process has it, at once and by name, until that is killed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const writer = yield* startWriter(directory)
      yield* writer.working
      const open = Effect.void.pipe(Effect.provide(SqliteLog.layer({ directory })))
      const [elapsed, { reason }] = yield* Effect.timed(Effect.flip(open))
      assert.instanceOf(reason, LogLocked)
      assert.strictEqual(reason.path, directory)
      assert.strictEqual(reason.pid, writer.process.pid)
      assert.isBelow(Duration.toMillis(elapsed), 20_000)
      yield* writer.kill
      yield* Effect.void.pipe(Effect.provide(SqliteLog.layer({ directory })))
    })
  )

  it.live("is read while another process writes it, page after page, with nothing left out", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const writer = yield* startWriter(directory)
      yield* writer.working
      yield* Effect.gen(function* () {
        const log = yield* Log
        let from = 0
        let reads = 0
        while (from < 20_000 || reads < 200) {
          const batch = yield* log.read("b", 0, from, { maxRecords: 500, maxBytes: 1e6, wait: Duration.seconds(10) })
          assert.isAbove(batch.records.length, 0, "the writer goes on, so the wait ends with records")
          assert.deepStrictEqual(values(batch.records), numbers(from, batch.next))
          from = batch.next
          reads++
        }
      }).pipe(Effect.provide(SqliteLog.layerReadOnly({ directory })))
    })
  )

  it.live("makes checkpoints beside the thread that writes", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* Effect.gen(function* () {
        const log = yield* Log
        const { name } = yield* makeTopic()
        for (let i = 0; i < 8; i++) yield* log.publish(numbers(0, 100).map((n) => record(name, n, "x".repeat(10_000))))
        // The writer makes none before its WAL has 24 MB.
        assert.isBelow(statSync(join(directory, "log.db-wal")).size, 16 * 1024 * 1024)
        const size = Effect.sync(() => statSync(join(directory, "log.db")).size)
        yield* eventually(size, (bytes) => bytes > 4 * 1024 * 1024)
      }).pipe(Effect.scoped, Effect.provide(SqliteLog.layer({ directory })))
      assert.isFalse(existsSync(join(directory, "log.db-wal")))
    })
  )

  it.live("makes its checkpoints itself when the thread beside it has ended", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const ended = yield* Effect.callback<string>((resume) => {
        new Checkpointer(join(directory, "missing", "log.db"), () => resume(Effect.succeed("ended"))).ask()
      })
      assert.strictEqual(ended, "ended")
      const file = new SqliteFile({ path: join(directory, "log.db"), readOnly: false, synchronous: "NORMAL" })
      file.checkpointBeside(() => file.checkpointBeside(undefined))
      file.exec("CREATE TABLE t (bytes BLOB)")
      const bytes = new Uint8Array(1024 * 1024)
      for (let i = 0; i < 16; i++) file.transaction(bytes.length, () => file.run("INSERT INTO t VALUES (?)", bytes))
      assert.isBelow(file.walBytes(), 8 * 1024 * 1024)
      file.close()
    })
  )

  it.live("keeps its WAL small while it is written and read without pause", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* Effect.gen(function* () {
        const log = yield* Log
        const { name } = yield* makeTopic()
        const page = numbers(0, 100).map((value) => record(name, value, "x".repeat(10_000)))
        let largest = 0
        let read = 0
        const readers = yield* Effect.gen(function* () {
          const reader = yield* Log
          for (let from = 0; ;) {
            const wait = Duration.seconds(10)
            const batch = yield* reader.read(name, 0, from, { maxRecords: 1000, maxBytes: 1e6, wait })
            read += batch.records.length
            from = batch.next
            yield* Effect.yieldNow
          }
        }).pipe(Effect.provide(SqliteLog.layerReadOnly({ directory })), Effect.forkScoped)
        for (let i = 0; i < 250; i++) {
          yield* log.publish(page)
          yield* Effect.yieldNow
          largest = Math.max(largest, statSync(join(directory, "log.db-wal")).size)
        }
        yield* Fiber.interrupt(readers)
        assert.isAbove(read, 1000)
        // Of 250 MB that are written. A busy machine makes checkpoints late.
        assert.isBelow(largest, 96 * 1024 * 1024)
      }).pipe(Effect.scoped, Effect.provide(SqliteLog.layer({ directory })))
    })
  )
})
