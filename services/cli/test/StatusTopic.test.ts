import { readCompacted } from "@tributary/catalog"
import { statusTopic } from "@tributary/domain"
import { Log, SqliteLog } from "@tributary/log"
import {
  readStatusEntries,
  Status,
  WorkerProcess,
  workerProcessKey,
  WorkerStatus,
  workerStatusKey
} from "@tributary/telemetry"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, References, Schema } from "effect"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { publishStatus } from "../src/StatusTopic.ts"

const utf8 = new TextEncoder()
const encodeProcess = Schema.encodeSync(Schema.fromJsonString(WorkerProcess))
const encodeStatus = Schema.encodeSync(Schema.fromJsonString(WorkerStatus))

const engine = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-status-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    ),
    (directory) =>
      Layer.mergeAll(SqliteLog.layer({ directory }), Status.layer, Layer.succeed(References.MinimumLogLevel, "None"))
  )
)

const entries = Effect.map(readCompacted(statusTopic), readStatusEntries)
const keys = Effect.map(readCompacted(statusTopic), (last) => [...last.keys()].toSorted())

/** Turns the clock on until a condition holds: the log answers in its own time. */
const turnUntil = <E, R>(condition: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    for (let turns = 0; turns < 500; turns++) {
      if (yield* condition) return
      yield* TestClock.adjust("100 millis")
      yield* Effect.promise(() => new Promise<void>((done) => setImmediate(done)))
    }
    assert.fail("It did not come to this.")
  })

const process = (worker: string, at: number) => ({
  topic: statusTopic,
  key: utf8.encode(workerProcessKey(worker)),
  value: utf8.encode(
    encodeProcess({ worker, service: "sink", at, startedAt: at, cpuSeconds: 1, residentBytes: 1_000_000 })
  )
})

const stream = (worker: string, at: number) => {
  const status: WorkerStatus = { connector: "shop", stream: "orders", worker, at, stages: {} }
  return { topic: statusTopic, key: utf8.encode(workerStatusKey(status)), value: utf8.encode(encodeStatus(status)) }
}

describe("the status of a worker", () => {
  it.effect("has what its process uses, every 5 seconds, until it ends", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(publishStatus({ worker: "one", service: "sink" }))
      yield* turnUntil(Effect.map(entries, ({ processes }) => processes.length === 1))
      const [first] = (yield* entries).processes
      assert(first !== undefined)
      assert.deepInclude(first, { worker: "one", service: "sink" })
      assert.isAbove(first.cpuSeconds, 0)
      assert.isAbove(first.residentBytes, 10_000_000)
      assert.isAbove(first.startedAt, 1_600_000_000_000)
      yield* turnUntil(Effect.map(entries, ({ processes }) => (processes[0]?.at ?? 0) > first.at))
      const [second] = (yield* entries).processes
      assert(second !== undefined)
      assert.isAtMost(second.at - first.at, 6_000)
      assert.isAtLeast(second.at - first.at, 5_000)
      assert.isAtLeast(second.cpuSeconds, first.cpuSeconds)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* keys, [])
    }).pipe(Effect.provide(engine))
  )

  it.effect("is there for each stream, and taken back when the worker runs it no more", () =>
    Effect.gen(function* () {
      const status = yield* Status
      const fiber = yield* Effect.forkChild(publishStatus({ worker: "one", service: "sink" }))
      yield* status.reporter("shop", "orders", "sink")
      yield* turnUntil(Effect.map(keys, (found) => found.includes("shop/orders@one")))
      yield* status.forget("shop")
      yield* turnUntil(Effect.map(keys, (found) => !found.includes("shop/orders@one")))
      assert.deepStrictEqual(yield* keys, ["@one"])
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(engine))
  )

  it.effect("takes back what workers said that have been gone for a day, and nothing else", () =>
    Effect.gen(function* () {
      const log = yield* Log
      yield* log.ensureTopic({ name: statusTopic, partitions: 1, compacted: true })
      yield* log.publish([
        process("gone", 0),
        stream("gone", 0),
        { topic: statusTopic, key: utf8.encode("shop/odd@newer"), value: utf8.encode('{"v":9}') },
        // The last word of the one process of an engine.
        stream("", 0)
      ])
      yield* TestClock.adjust("23 hours")
      yield* log.publish([process("recent", 0), stream("recent", 0)])
      yield* TestClock.adjust("2 hours")
      const fiber = yield* Effect.forkChild(publishStatus({ worker: "one", service: "sink" }))
      yield* turnUntil(Effect.map(keys, (found) => found.includes("@one")))
      assert.deepStrictEqual(yield* keys, ["@one", "@recent", "shop/orders", "shop/orders@recent"])
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(engine))
  )

  it.effect("of the one process of an engine stays when it ends", () =>
    Effect.gen(function* () {
      const status = yield* Status
      const fiber = yield* Effect.forkChild(publishStatus(undefined))
      yield* status.reporter("shop", "orders", "sink")
      yield* turnUntil(Effect.map(keys, (found) => found.includes("shop/orders")))
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* keys, ["shop/orders"])
    }).pipe(Effect.provide(engine))
  )
})
