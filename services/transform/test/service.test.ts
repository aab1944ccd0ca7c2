import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Connector, rejectedHeaders } from "@tributary/domain"
import { type Claim, Log, type LogRecord, type Producer, SqliteLog } from "@tributary/log"
import { layerMemory } from "@tributary/schema-registry"
import { Status } from "@tributary/telemetry"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Deferred, Duration, Effect, Fiber, Layer, Logger, Schema } from "effect"
import { runTransform, transformGroup } from "../src/service.ts"
import { fixtures, SecretsTest } from "./support.ts"

const raw = "raw.shop.orders"
const output = "shop.orders"
const dead = "dead.shop.orders"
const group = transformGroup("shop", "orders")

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
const test = <A, E>(body: Effect.Effect<A, E, Layer.Success<typeof services>>) =>
  Effect.provide(body, services, { local: true })

const connector = (transform: ReadonlyArray<unknown>, partitions = 1): Connector =>
  Schema.decodeUnknownSync(Connector)({
    connector: "shop",
    http: { base_url: "https://api.shop.example" },
    streams: { orders: { path: "/", topic: { partitions } } },
    transform
  })

/** Lines become records of their own; an order of which `total` is no decimal is rejected, one of nobody is left out. */
const steps = [
  { filter: 'record.customer != "nobody"' },
  { cast: { total: "decimal(10, 2)" } },
  { typescript: "./orders.ts" }
]

/** What is made of record `n`: none to two outputs, or a rejection. */
const kindOf = (n: number): "rejected" | "filtered" | number =>
  n % 7 === 3 ? "rejected" : n % 5 === 4 ? "filtered" : n % 3
const order = (n: number): string => {
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

const text = (bytes: Uint8Array | null): string => (bytes === null ? "" : Buffer.from(bytes).toString())

const everything = Effect.fnUntraced(function* (topic: string) {
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
const positionOf = Effect.map(
  Effect.flatMap(Log, (log) => log.positions(group)),
  ([position]) => position?.offset ?? 0
)
const stage = Effect.map(
  Effect.flatMap(Status, ({ snapshot }) => snapshot),
  ([entry]) => entry?.stages.transform
)

const until = <A, E, R>(look: Effect.Effect<A, E, R>, check: (found: A) => boolean) =>
  Effect.gen(function* () {
    for (;;) {
      const found = yield* look
      if (check(found)) return found
      yield* Effect.sleep("2 millis")
    }
  }).pipe(Effect.timeout("10 seconds"))

const publish = Effect.fnUntraced(function* (values: ReadonlyArray<string | null>, partitions = 1) {
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

const run = (settings: Connector, hooks: Hooks = {}) =>
  Effect.provide(runTransform(settings, "orders", fixtures, { once: false }), hooked(hooks))

/** Runs the transform until all of the raw topic is done with. */
const finish = Effect.fnUntraced(function* (settings: Connector, hooks: Hooks = {}) {
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
const consistent = Effect.gen(function* () {
  const position = yield* positionOf
  assert.deepStrictEqual(yield* lines, expectedLines(position))
  assert.deepStrictEqual(yield* letters, expectedRejected(position))
})

interface Crash {
  readonly transaction: number
  readonly when: "before" | "after"
}
const count = 30

const live = Effect.fnUntraced(function* ({ transaction, when }: Crash) {
  const reached = yield* Deferred.make<void>()
  let n = 0
  const stop = Effect.suspend(() =>
    n++ === transaction ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
  )
  const fiber = yield* Effect.forkChild(run(connector(steps), { [when]: stop }))
  yield* Effect.raceFirst(
    Deferred.await(reached),
    until(positionOf, (position) => position === count)
  )
  yield* Fiber.interrupt(fiber)
})

const crashed = (crashes: ReadonlyArray<Crash>) =>
  test(
    Effect.gen(function* () {
      yield* publish(Array.from({ length: count }, (_, n) => order(n)))
      for (const crash of crashes) {
        yield* live(crash)
        yield* consistent
      }
      yield* finish(connector(steps))
      yield* consistent
      assert.strictEqual(yield* positionOf, count)
    })
  )

describe("a transform that is killed", () => {
  for (const when of ["before", "after"] as const) {
    it.live(`${when} any of its transactions has its effect once`, () =>
      Effect.forEach(
        Array.from({ length: Math.ceil(count / 4) }, (_, transaction) => transaction),
        (transaction) => crashed([{ transaction, when }]),
        { discard: true }
      )
    )
  }

  const Crashes = Schema.Array(
    Schema.Struct({
      transaction: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
      when: Schema.Literals(["before", "after"])
    })
  ).check(Schema.isMaxLength(8))
  it.live.prop("again and again has its effect once", [Arbitrary.schema(Crashes)], ([crashes]) => crashed(crashes), {
    arbitrary: { runs: 25 }
  })
})

describe("runTransform", () => {
  it.live("lets a predecessor write nothing any more, neither records nor its position", () =>
    test(
      Effect.gen(function* () {
        yield* publish(Array.from({ length: count }, (_, n) => order(n)))
        const claims: Array<Claim> = []
        const producers: Array<Producer> = []
        const stuck = yield* Deferred.make<void>()
        const seen = {
          claim: (claim: Claim) => void claims.push(claim),
          producer: (producer: Producer) => void producers.push(producer)
        }
        const zombie = yield* Effect.forkChild(
          run(connector(steps), { ...seen, before: Effect.andThen(Deferred.succeed(stuck, undefined), Effect.never) })
        )
        yield* Deferred.await(stuck)
        yield* Fiber.interrupt(zombie)
        yield* finish(connector(steps), seen)
        yield* consistent
        const log = yield* Log
        const late = [{ topic: output, key: null, value: Buffer.from('{"line":"late"}') }]
        const tries = [
          // Its transactional id was taken over, its scope is closed, and its claim is over.
          producers[0]!.transact({ records: late }),
          producers[0]!.transact({ records: late, consumed: { claim: claims[0]!, offset: 4 } }),
          Effect.scoped(
            Effect.flatMap(log.producer("another"), (own) =>
              own.transact({ records: late, consumed: { claim: claims[0]!, offset: 4 } })
            )
          ),
          claims[0]!.commit(4, "")
        ]
        for (const one of tries) assert.strictEqual((yield* Effect.result(one))._tag, "Failure")
        yield* consistent
        assert.strictEqual(yield* positionOf, count)
      })
    )
  )

  it.live("begins again from the position when another producer has taken its id, with its effect once", () =>
    test(
      Effect.gen(function* () {
        yield* publish(Array.from({ length: count }, (_, n) => order(n)))
        const log = yield* Log
        let transactions = 0
        const steal = Effect.suspend(() =>
          ++transactions === 3 ? Effect.scoped(Effect.asVoid(log.producer(`${group}/${raw}/0`))) : Effect.void
        ).pipe(Effect.orDie)
        const fiber = yield* Effect.forkChild(run(connector(steps), { before: steal }))
        const retrying = yield* until(stage, (now) => now?.state === "retrying")
        assert.include(retrying?.problem?.message, "now belongs to another worker")
        assert.strictEqual(yield* positionOf, 8)
        yield* consistent
        yield* until(positionOf, (position) => position === count)
        yield* consistent
        yield* Fiber.interrupt(fiber)
      })
    )
  )

  it.live("sends what it cannot transform to the dead-letter topic, as it was, with reason and place", () =>
    test(
      Effect.gen(function* () {
        const values = [order(0), "no json", null, order(3), '{"n":4,"total":"1"}', "[]"]
        yield* publish(values)
        yield* finish(connector(steps))
        const rejected = yield* everything(dead)
        assert.deepStrictEqual(
          rejected.map(({ headers, key, value }) => [
            text(key),
            value === null ? null : text(value),
            headers[rejectedHeaders.code],
            headers[rejectedHeaders.stage],
            headers[rejectedHeaders.topic],
            headers[rejectedHeaders.partition],
            headers[rejectedHeaders.offset]
          ]),
          [
            ["k1", "no json", "not-json", "transform", raw, "0", "1"],
            ["k2", null, "not-json", "transform", raw, "0", "2"],
            ["k3", order(3), "cast", "transform", raw, "0", "3"],
            ["k4", '{"n":4,"total":"1"}', "filter", "transform", raw, "0", "4"],
            ["k5", "[]", "not-an-object", "transform", raw, "0", "5"]
          ]
        )
        assert.isTrue(rejected.every(({ headers }) => (headers[rejectedHeaders.reason] ?? "").length > 10))
        const status = yield* stage
        assert.deepStrictEqual([status?.records, status?.rejected, status?.batches], [6, 5, 2])
      })
    )
  )

  it.live("survives a reason that is no text", () =>
    test(
      Effect.gen(function* () {
        yield* publish(['{"a":1}', '{"b":2}'])
        yield* finish(connector([{ typescript: "./broken-text.ts" }]))
        const rejected = yield* everything(dead)
        assert.deepStrictEqual(
          rejected.map(({ headers }) => headers[rejectedHeaders.reason]?.includes("half a character: \ufffd")),
          [true, true]
        )
      })
    )
  )

  it.live("moves on when nothing comes out", () =>
    test(
      Effect.gen(function* () {
        yield* publish(Array.from({ length: 10 }, () => '{"n":1}'))
        yield* finish(connector([{ filter: "record.n > 1" }]))
        assert.strictEqual(yield* positionOf, 10)
        assert.deepStrictEqual(yield* everything(output), [])
        assert.deepStrictEqual(yield* everything(dead), [])
        const log = yield* Log
        assert.deepStrictEqual(
          (yield* log.positions(group)).map(({ metadata }) => metadata),
          [""]
        )
      })
    )
  )

  it.live("pauses when records that it has not read were deleted, and skips nothing", () =>
    test(
      Effect.gen(function* () {
        yield* publish([order(1), order(2)])
        const log = yield* Log
        const committed = yield* Deferred.make<void>()
        const other = yield* Effect.forkChild(
          log.consume({ group, topics: [raw] }, (claim) =>
            claim
              .commit(7, "")
              .pipe(Effect.andThen(Deferred.succeed(committed, undefined)), Effect.andThen(Effect.never))
          )
        )
        yield* Deferred.await(committed)
        yield* Fiber.interrupt(other)
        const fiber = yield* Effect.forkChild(run(connector(steps)))
        const paused = yield* until(stage, (now) => now?.state === "paused")
        assert.strictEqual(paused?.problem?.class, "misconfigured")
        assert.include(paused?.problem?.message, `Offset 7 of ${raw}/0 is not there`)
        assert.strictEqual(yield* positionOf, 7)
        assert.deepStrictEqual(yield* everything(output), [])
        yield* Fiber.interrupt(fiber)
      })
    )
  )

  it.live("pauses when a step is wrong, and names it", () =>
    test(
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(run(connector([{ typescript: "./nowhere.ts" }])))
        const paused = yield* until(stage, (now) => now?.state === "paused")
        assert.include(paused?.problem?.message, "step 1 (typescript)")
        yield* Fiber.interrupt(fiber)
        const once = yield* Effect.flip(
          runTransform(connector([{ typescript: "./nowhere.ts" }]), "orders", fixtures, { once: true })
        )
        assert.strictEqual(once.failureClass, "misconfigured")
      })
    )
  )

  it.live("loads its modules once, however often it begins again", () =>
    test(
      Effect.gen(function* () {
        const before = globalThis.loadsOfCounted ?? 0
        let tries = 0
        yield* publish([order(0)])
        yield* finish(connector([{ typescript: "./counted.ts" }]), {
          before: Effect.suspend(() => (++tries < 3 ? Effect.die(new Error("again")) : Effect.void))
        })
        assert.strictEqual(tries, 3)
        assert.strictEqual((globalThis.loadsOfCounted ?? 0) - before, 1)
        // One that cannot be made for want of a secret is tried again too.
        const wrong = connector([
          { typescript: "./counted.ts" },
          { mask: { customer: "sha256" }, salt: "${env:MISSING}" }
        ])
        const { problem } = yield* Effect.flip(runTransform(wrong, "orders", fixtures, { once: true }))
        assert.include(problem, "step 2 (mask)")
        assert.strictEqual((globalThis.loadsOfCounted ?? 0) - before, 1)
      })
    )
  )

  it.live("keeps each key's order over partitions, and goes on with what comes later", () =>
    test(
      Effect.gen(function* () {
        const settings = connector([{ keep: ["n"] }], 3)
        const fiber = yield* Effect.forkChild(run(settings))
        for (let round = 0; round < 3; round++) {
          yield* publish(
            Array.from({ length: 20 }, () => `{"n":${round},"other":1}`),
            3
          )
          yield* until(everything(output), (records) => records.length === 20 * (round + 1))
        }
        yield* Fiber.interrupt(fiber)
        const records = yield* everything(output)
        const byKey = new Map<string, string>()
        for (const { key, value } of records) byKey.set(text(key), (byKey.get(text(key)) ?? "") + text(value))
        assert.strictEqual(byKey.size, 20)
        for (const values of byKey.values()) assert.strictEqual(values, '{"n":0}{"n":1}{"n":2}')
      })
    )
  )

  it.live("returns at once when the stream has no steps", () => test(run(connector([]))))
})
