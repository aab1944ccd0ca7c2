import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Connector, rejectedHeaders } from "@tributary/domain"
import { Log, SqliteLog } from "@tributary/log"
import { layerConfluent, valueDecoder } from "@tributary/schema-registry"
import { findRegistry } from "@tributary/schema-registry/testing"
import { Status } from "@tributary/telemetry"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Logger, Schema } from "effect"
import { afterAll } from "vitest"
import { runTransform } from "../src/service.ts"
import { fixtures, SecretsTest } from "./support.ts"

const found = await findRegistry()
const server = "missing" in found ? undefined : found.server
afterAll(() => server?.stop())

const raw = "raw.shop.orders"
const dead = "dead.shop.orders"
const services = Layer.mergeAll(
  Layer.unwrap(
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "transform-registry-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
      ),
      (directory) => SqliteLog.layer({ directory })
    )
  ),
  layerConfluent({ url: "missing" in found ? "" : found.url }),
  SecretsTest,
  Status.layer,
  Logger.layer([])
)
const test = <A, E>(body: Effect.Effect<A, E, Layer.Success<typeof services>>) =>
  Effect.provide(body, services, { local: true })

const decode = Schema.decodeUnknownSync(Connector)

let made = 0
/** A stream with a topic of its own, whose subject no other run has used. */
const settings = (topic: Record<string, unknown>, schema: Record<string, string> = {}, name = unique()) => ({
  name,
  connector: decode({
    connector: "shop",
    http: { base_url: "https://api.shop.example" },
    streams: { orders: { path: "/", schema, topic: { name, format: "avro", ...topic } } },
    transform: [{ drop: ["secret"] }]
  })
})
const unique = (): string => `orders-${(performance.timeOrigin + performance.now()).toString(36)}-${made++}`

const publish = Effect.fnUntraced(function* (...values: ReadonlyArray<string>) {
  const log = yield* Log
  yield* log.ensureTopic({ name: raw, partitions: 1 })
  yield* log.publish(values.map((value) => ({ topic: raw, key: null, value: Buffer.from(value) })))
})
const valuesOf = Effect.fnUntraced(function* (topic: string) {
  const log = yield* Log
  if (!(yield* log.topics).some(({ name }) => name === topic)) return []
  return (yield* log.read(topic, 0, 0, { maxRecords: 1_000, maxBytes: 10_000_000, wait: Duration.zero })).records
})
/** What the output topic holds, decoded. */
const output = Effect.fnUntraced(function* (topic: string) {
  const records = yield* valuesOf(topic)
  const decoder = yield* valueDecoder
  const { values } = yield* decoder.decode(records.map(({ value }) => value ?? new Uint8Array()))
  for (const { value } of records) assert.strictEqual(value?.[0], 0)
  return values.map((value) => Buffer.from(value).toString())
})
const until = <A, E, R>(what: string, look: Effect.Effect<A, E, R>, check: (found: A) => boolean) =>
  Effect.gen(function* () {
    for (;;) {
      const seen = yield* look
      if (check(seen)) return seen
      yield* Effect.sleep("10 millis")
    }
  }).pipe(
    Effect.timeoutOrElse({ duration: "90 seconds", orElse: () => Effect.die(new Error(`Waited in vain: ${what}`)) })
  )
const stage = Effect.map(
  Effect.flatMap(Status, ({ snapshot }) => snapshot),
  ([entry]) => entry?.stages.transform
)
const count = (topic: string) => Effect.map(valuesOf(topic), (records) => records.length)
const run = (connector: Connector) => Effect.forkChild(runTransform(connector, "orders", fixtures, { once: false }))

if ("missing" in found) {
  describe.skip(`a transform and its registry: ${found.missing}`, () => it("is not there", () => {}))
} else {
  describe("a transform and its registry", { timeout: 240_000 }, () => {
    it.live("write values with a schema, and reject what breaks it as it was sent", () =>
      test(
        Effect.gen(function* () {
          const { connector, name } = settings({}, { id: "int64", total: "decimal(18, 2)?" })
          const wrong = '{"id": "x", "secret":1}'
          yield* publish('{"id":9007199254740993,"total":"12.50","secret":1}', wrong, '{"id":2,"name":"Zoë"}')
          const fiber = yield* run(connector)
          yield* until("two values", count(name), (n) => n === 2)
          yield* Fiber.interrupt(fiber)
          assert.deepStrictEqual(yield* output(name), [
            '{"id":9007199254740993,"total":12.50}',
            '{"id":2,"name":"Zoë"}'
          ])
          const [letter] = yield* valuesOf(dead)
          assert.strictEqual(Buffer.from(letter?.value ?? []).toString(), wrong)
          assert.deepStrictEqual(
            [letter?.headers[rejectedHeaders.code], letter?.headers[rejectedHeaders.stage]],
            ["type_mismatch", "transform"]
          )
        })
      )
    )

    if (server !== undefined) {
      it.live("go on without it while no field is new, wait when one is, and go on by themselves when it is back", () =>
        test(
          Effect.gen(function* () {
            const { connector, name } = settings({})
            yield* publish('{"id":1}', '{"id":2}')
            const fiber = yield* run(connector)
            yield* until("two values", count(name), (n) => n === 2)
            yield* Effect.promise(() => server.kill())
            yield* publish('{"id":3}', '{"id":null}')
            yield* until("values with the known schema", count(name), (n) => n === 4)
            yield* publish('{"id":5,"name":"x"}', '{"id":6}')
            const waiting = yield* until("a stage that waits", stage, (seen) => seen?.state === "retrying")
            assert.strictEqual(waiting?.problem?.class, "transient")
            assert.include(waiting?.problem?.message, found.url)
            assert.strictEqual(yield* count(name), 4)
            yield* Effect.promise(() => server.restart())
            yield* until("all values", count(name), (n) => n === 6)
            yield* publish('{"id":7,"name":"y"}')
            yield* until("a value more", count(name), (n) => n === 7)
            yield* Fiber.interrupt(fiber)
            assert.deepStrictEqual(yield* output(name), [
              '{"id":1}',
              '{"id":2}',
              '{"id":3}',
              '{"id":null}',
              '{"id":5,"name":"x"}',
              '{"id":6}',
              '{"id":7,"name":"y"}'
            ])
            assert.deepStrictEqual(yield* valuesOf(dead), [])
          })
        )
      )
    }

    it.live("pause and say why when it refuses the schema; nothing is lost when the file is mended", () =>
      test(
        Effect.gen(function* () {
          const first = settings({}, { id: "int64", total: "int64" })
          yield* publish('{"id":1,"total":1}')
          const before = yield* run(first.connector)
          yield* until("a value", count(first.name), (n) => n === 1)
          yield* Fiber.interrupt(before)
          const changed = settings({}, { id: "int64", total: "string" }, first.name)
          yield* publish('{"id":2,"total":"two"}')
          const refused = yield* run(changed.connector)
          const paused = yield* until("a stage that pauses", stage, (seen) => seen?.state === "paused")
          yield* Fiber.interrupt(refused)
          assert.strictEqual(paused?.problem?.class, "misconfigured")
          assert.include(paused?.problem?.message, `${first.name}-value was refused: it is not BACKWARD compatible`)
          assert.include(paused?.problem?.message, 'field "total" was')
          assert.strictEqual(yield* count(first.name), 1)
          const mended = settings({ compatibility: "none" }, { id: "int64", total: "string" }, first.name)
          const after = yield* run(mended.connector)
          yield* until("the other value", count(first.name), (n) => n === 2)
          yield* Fiber.interrupt(after)
          assert.deepStrictEqual(yield* output(first.name), ['{"id":1,"total":1}', '{"id":2,"total":"two"}'])
        })
      )
    )
  })
}
