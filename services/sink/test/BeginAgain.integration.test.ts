import { ClickHouseServer, Warehouse } from "@tributary/clickhouse"
import { Connector, rawTopic } from "@tributary/domain"
import { Log } from "@tributary/log"
import { valueDecoder } from "@tributary/schema-registry"
import { Status } from "@tributary/telemetry"
import { assert } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Deferred, Duration, Effect, Fiber, Schema } from "effect"
import { kill } from "node:process"
import { beginAgain } from "../src/BeginAgain.ts"
import { belongingOf } from "../src/Plan.ts"
import { runSink, sinkGroup } from "../src/index.ts"
import { Engine, query, until } from "./support.ts"

const decode = Schema.decodeUnknownSync(Connector)

const connector = (stream: string): Connector =>
  decode({
    connector: "shop",
    http: { base_url: "https://api.shop.example" },
    streams: { [stream]: { path: "/", primary_key: "id", schema: { id: "int64" } } },
    sink: { clickhouse: { table: "shop.{stream}", flush_every: "20 millis" } }
  })

const topicOf = (stream: string): string => rawTopic("shop", stream)
const groupOf = (stream: string): string => sinkGroup("shop", stream, `shop.${stream}`)

const publish = Effect.fnUntraced(function* (stream: string, from: number, count: number) {
  const log = yield* Log
  yield* log.ensureTopic({ name: topicOf(stream), partitions: 1, retention: Duration.days(7) })
  yield* log.publish(
    Array.from({ length: count }, (_, k) => ({
      topic: topicOf(stream),
      key: null,
      value: Buffer.from(`{"id":${from + k}}`)
    }))
  )
})

const position = (stream: string) =>
  Effect.map(
    Log.use((log) => log.positions(groupOf(stream))),
    ([found]) => found
  )

const loaded = (stream: string, end: number) => until(position(stream), (found) => found?.offset === end)

const stage = (stream: string) =>
  Effect.map(
    Status.use(({ snapshot }) => snapshot),
    (entries) => entries.find((entry) => entry.stream === stream)?.stages.sink
  )

const counted = Effect.fnUntraced(function* (stream: string, n: number) {
  const found = yield* query(`SELECT count() AS n, uniqExact(id) AS ids FROM shop.${stream}`)
  assert.deepStrictEqual(found, [{ n: String(n), ids: String(n) }])
})

const start = (stream: string) => Effect.forkChild(runSink(connector(stream), stream, { once: false }))

/** Runs the sink until everything is loaded up to `end`. */
const load = Effect.fnUntraced(function* (stream: string, end: number) {
  const sink = yield* start(stream)
  yield* loaded(stream, end)
  yield* Fiber.interrupt(sink)
})

/** The table as another process makes it. */
const makeTable = (stream: string) =>
  Warehouse.use((warehouse) =>
    warehouse.ensureTable(
      { database: "shop", table: stream, mode: "append", orderBy: ["id"], schema: { id: "int64" }, views: {} },
      []
    )
  )

const command = (sql: string) => Warehouse.use((warehouse) => warehouse.command(sql))

layerPerAttempt(Engine)("a position", (it) => {
  for (const how of ["SYNC", "PERMANENTLY SYNC"])
    it.effect(`stays while its table is detached (${how}), and nothing is doubled when it is attached again`, () =>
      Effect.gen(function* () {
        const stream = how === "SYNC" ? "detached" : "detached_for_long"
        yield* publish(stream, 0, 20)
        yield* load(stream, 20)
        const before = yield* position(stream)
        yield* command(`DETACH TABLE shop.${stream} ${how}`)
        yield* publish(stream, 20, 5)
        const sink = yield* start(stream)
        const state = yield* until(stage(stream), (now) => now?.state === "paused")
        assert.strictEqual(state?.problem?.class, "misconfigured")
        assert.include(state?.problem?.message, "is detached")
        yield* Fiber.interrupt(sink)
        assert.deepStrictEqual(yield* position(stream), before)
        yield* command(`ATTACH TABLE shop.${stream}`)
        yield* load(stream, 25)
        yield* counted(stream, 25)
      })
    )

  it.effect("stays when the table is not found for a moment", () =>
    Effect.gen(function* () {
      const stream = "unseen"
      yield* publish(stream, 0, 20)
      yield* load(stream, 20)
      const warehouse = yield* Warehouse
      let asked = 0
      const half = Warehouse.of({
        ...warehouse,
        findTable: () => Effect.sync(() => void asked++).pipe(Effect.andThen(Effect.undefined))
      })
      yield* publish(stream, 20, 5)
      yield* load(stream, 25).pipe(Effect.provideService(Warehouse, half))
      assert.strictEqual(asked, 1)
      yield* counted(stream, 25)
    })
  )

  it.effect("begins again with the generation that it was committed for, when its table is gone", () =>
    Effect.gen(function* () {
      const stream = "gone"
      yield* publish(stream, 0, 20)
      yield* load(stream, 20)
      const warehouse = yield* Warehouse
      const before = yield* warehouse.findTable("shop", stream)
      assert.isDefined(before?.generation)
      yield* command(`DROP TABLE shop.${stream} SYNC`)
      const log = yield* Log
      const decoder = yield* valueDecoder
      const done = yield* Deferred.make<string | undefined>()
      const member = yield* Effect.forkChild(
        log.consume({ group: groupOf(stream), topics: [topicOf(stream)] }, (claim) => {
          const find = warehouse.findTable("shop", stream)
          const ensure = () => Effect.provideService(makeTable(stream), Warehouse, warehouse)
          return beginAgain(claim, { earliest: 0, end: 20 }, { name: stream, find, ensure }, decoder).pipe(
            Effect.flatMap((generation) => Deferred.succeed(done, generation)),
            Effect.andThen(Effect.never)
          )
        })
      )
      const generation = yield* Deferred.await(done)
      yield* Fiber.interrupt(member)
      assert.strictEqual(generation, (yield* warehouse.findTable("shop", stream))?.generation)
      assert.notStrictEqual(generation, before?.generation)
      const after = yield* position(stream)
      assert(after !== undefined)
      assert.strictEqual(after.offset, 0)
      assert.strictEqual(belongingOf(after).generation, before?.generation)
      yield* load(stream, 20)
      yield* counted(stream, 20)
    })
  )

  it.effect("begins again when the table is made anew while a sink waits for its first record", () =>
    Effect.gen(function* () {
      const stream = "quiet"
      yield* publish(stream, 0, 20)
      yield* load(stream, 20)
      const warehouse = yield* Warehouse
      const looked = yield* Deferred.make<void>()
      const watched = Warehouse.of({
        ...warehouse,
        findTable: (database, table) =>
          Effect.tap(warehouse.findTable(database, table), () => Deferred.succeed(looked, undefined))
      })
      const sink = yield* start(stream).pipe(Effect.provideService(Warehouse, watched))
      yield* Deferred.await(looked)
      yield* command(`DROP TABLE shop.${stream} SYNC`)
      yield* makeTable(stream)
      yield* publish(stream, 20, 1)
      yield* loaded(stream, 21)
      yield* Fiber.interrupt(sink)
      yield* counted(stream, 21)
    })
  )

  it.effect("is asked about until ClickHouse answers: the member does not end", () =>
    Effect.gen(function* () {
      const stream = "down"
      yield* publish(stream, 0, 20)
      yield* load(stream, 20)
      yield* publish(stream, 20, 5)
      const warehouse = yield* Warehouse
      const server = yield* ClickHouseServer
      const pid = yield* server.pid
      let failures = 0
      const watched = Warehouse.of({
        ...warehouse,
        findTable: (database, table) =>
          Effect.tapError(warehouse.findTable(database, table), () => Effect.sync(() => failures++))
      })
      yield* Effect.sync(() => kill(pid, "SIGKILL"))
      const sink = yield* start(stream).pipe(Effect.provideService(Warehouse, watched))
      const state = yield* until(stage(stream), (now) => now?.state === "retrying")
      assert.strictEqual(state?.problem?.class, "transient")
      yield* loaded(stream, 25)
      yield* Fiber.interrupt(sink)
      assert.isAbove(failures, 0)
      assert.strictEqual((yield* stage(stream))?.restarts, 0)
      yield* counted(stream, 25)
    })
  )
})
