// A transform on a real log, with hooks around its transactions.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Connector, rejectedHeaders } from "@tributary/domain"
import { type Claim, Log, type LogRecord, type Producer, SqliteLog } from "@tributary/log"
import { layerMemory } from "@tributary/schema-registry"
import { Status } from "@tributary/telemetry"
import { assert } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Logger, Schema } from "effect"
import { runTransform, transformGroup } from "../src/service.ts"
import { fixtures, SecretsTest } from "./support.ts"

export const raw = "raw.shop.orders"
export const output = "shop.orders"
export const dead = "dead.shop.orders"
export const group = transformGroup("shop", "orders")

const services = Layer.mergeAll(
  Layer.unwrap(
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "transform-test-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
      ),
      (directory) => SqliteLog.layer({ directory })
    )
  ),
  SecretsTest,
  layerMemory,
  Status.layer,
  Logger.layer([])
)
export const test = <A, E>(body: Effect.Effect<A, E, Layer.Success<typeof services>>) =>
  Effect.provide(body, services, { local: true })

export const connector = (transform: ReadonlyArray<unknown>, partitions = 1): Connector =>
  Schema.decodeUnknownSync(Connector)({
    connector: "shop",
    http: { base_url: "https://api.shop.example" },
    streams: { orders: { path: "/", topic: { partitions } } },
    transform
  })

/** Lines become records of their own; an order of which `total` is no decimal is rejected, one of nobody is left out. */
export const steps = [
  { filter: 'record.customer != "nobody"' },
  { cast: { total: "decimal(10, 2)" } },
  { typescript: "./orders.ts" }
]

/** What is made of record `n`: none to two outputs, or a rejection. */
const kindOf = (n: number): "rejected" | "filtered" | number =>
  n % 7 === 3 ? "rejected" : n % 5 === 4 ? "filtered" : n % 3
export const order = (n: number): string => {
  const kind = kindOf(n)
  const lines = typeof kind === "number" ? Array.from({ length: kind }, (_, k) => `${n}.${k}`) : ["x"]
  return JSON.stringify({
    n,
    customer: kind === "filtered" ? "nobody" : "Zoë",
    total: kind === "rejected" ? "much" : "1.5",
    lines
  })
}
const expectedLines = (count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, n) => n).flatMap((n) => {
    const kind = kindOf(n)
    return typeof kind === "number" ? Array.from({ length: kind }, (_, k) => `${n}.${k}`) : []
  })
const expectedRejected = (count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, n) => n).filter((n) => kindOf(n) === "rejected")

export const text = (bytes: Uint8Array | null): string => (bytes === null ? "" : Buffer.from(bytes).toString())

export const everything = Effect.fnUntraced(function* (topic: string) {
  const log = yield* Log
  if (!(yield* log.topics).some(({ name }) => name === topic)) return []
  const records: Array<LogRecord> = []
  for (const { earliest, end, partition } of yield* log.offsets(topic)) {
    for (let next = earliest; next < end;) {
      const batch = yield* log.read(topic, partition, next, {
        maxRecords: 100_000,
        maxBytes: 100_000_000,
        wait: Duration.zero
      })
      records.push(...batch.records)
      next = batch.next
    }
  }
  return records
})

const Line = Schema.fromJsonString(Schema.Struct({ line: Schema.String }))
const lines = Effect.map(everything(output), (records) =>
  records.map(({ value }) => Schema.decodeSync(Line)(text(value)).line)
)
const letters = Effect.map(everything(dead), (records) =>
  records.map(({ headers }) => Number(headers[rejectedHeaders.offset]))
)
export const positionOf = Effect.map(
  Effect.flatMap(Log, (log) => log.positions(group)),
  ([position]) => position?.offset ?? 0
)
export const stage = Effect.map(
  Effect.flatMap(Status, ({ snapshot }) => snapshot),
  ([entry]) => entry?.stages.transform
)

export const until = <A, E, R>(look: Effect.Effect<A, E, R>, check: (found: A) => boolean) =>
  Effect.gen(function* () {
    for (;;) {
      const found = yield* look
      if (check(found)) return found
      yield* Effect.sleep("2 millis")
    }
  }).pipe(Effect.timeout("10 seconds"))

export const publish = Effect.fnUntraced(function* (values: ReadonlyArray<string | null>, partitions = 1) {
  const log = yield* Log
  yield* log.ensureTopic({ name: raw, partitions, retention: Duration.days(7) })
  yield* log.publish(
    values.map((value, n) => ({
      topic: raw,
      key: Buffer.from(`k${n}`),
      value: value === null ? null : Buffer.from(value)
    }))
  )
})

interface Hooks {
  readonly before?: Effect.Effect<void>
  readonly after?: Effect.Effect<void>
  readonly claim?: (claim: Claim) => void
  readonly producer?: (producer: Producer) => void
}

/** The log with hooks around transactions. Reads give four records at a time, so that there are several transactions. */
const hooked = ({ after = Effect.void, before = Effect.void, claim, producer }: Hooks) =>
  Layer.effect(
    Log,
    Effect.map(Log, (log) =>
      Log.of({
        ...log,
        producer: (id) =>
          Effect.map(log.producer(id), (real) => {
            producer?.(real)
            return {
              transact: (transaction) => before.pipe(Effect.andThen(real.transact(transaction)), Effect.tap(after))
            }
          }),
        consume: (options, work) =>
          log.consume(options, (real) => {
            claim?.(real)
            return work({ ...real, read: (from, limits) => real.read(from, { ...limits, maxRecords: 4 }) })
          })
      })
    )
  )

export const run = (settings: Connector, hooks: Hooks = {}) =>
  Effect.provide(runTransform(settings, "orders", fixtures, { once: false }), hooked(hooks))

/** Runs the transform until all of the raw topic is done with. */
export const finish = Effect.fnUntraced(function* (settings: Connector, hooks: Hooks = {}) {
  const log = yield* Log
  const fiber = yield* Effect.forkChild(run(settings, hooks))
  yield* until(Effect.all([log.offsets(raw), log.positions(group)]), ([offsets, positions]) =>
    offsets.every(
      ({ end, partition }) => end === 0 || positions.some((one) => one.partition === partition && one.offset === end)
    )
  )
  yield* Fiber.interrupt(fiber)
})

/** What is committed fits together, at any moment. */
export const consistent = Effect.gen(function* () {
  const position = yield* positionOf
  assert.deepStrictEqual(yield* lines, expectedLines(position))
  assert.deepStrictEqual(yield* letters, expectedRejected(position))
})

/** Records of a test. */
export const count = 30
