import { Catalog, connectorPartition, connectorPartitions, sourcesGroup } from "@tributary/catalog"
import { connectorsTopic, statusTopic } from "@tributary/domain"
import { Log, LogError, LogUnavailable } from "@tributary/log"
import {
  Health,
  initialStatus,
  type StageStatus,
  type WorkerProcess,
  workerProcessKey,
  WorkerStatus,
  workerStatusKey
} from "@tributary/telemetry"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Layer, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { healthServer } from "../src/HealthServer.ts"
import { baseUrl } from "../src/Listen.ts"
import { file, get, isError, on, putText, startControl } from "./support.ts"

const utf8 = new TextEncoder()

describe("while the log is away", () => {
  it.live("requests get 503 with the reason, and the server is alive but not ready", () =>
    on(
      Effect.gen(function* () {
        const log = yield* Log
        const away = Effect.fail(
          new LogError({ reason: new LogUnavailable({ cause: new Error("no broker answers") }) })
        )
        const behind = Log.of({
          ...log,
          topics: away,
          positions: () => away,
          publish: () => away,
          ensureTopic: () => away
        })
        const { send } = yield* startControl().pipe(
          Effect.provide(Layer.fresh(Catalog.layer).pipe(Layer.provideMerge(Layer.succeed(Log, behind))), {
            local: true
          })
        )
        for (const request of [
          get("/v1/connectors"),
          get("/v1/connectors/shop"),
          putText("shop", file("shop")),
          HttpClientRequest.delete("/v1/connectors/shop"),
          get("/v1/status"),
          get("/v1/owners")
        ]) {
          isError(yield* send(request), 503, "log_unavailable", /no broker answers/)
        }
        assert.strictEqual((yield* send(get("/livez"))).status, 200)
        const ready = yield* send(get("/readyz"))
        assert.strictEqual(ready.status, 503)
        assert.include(ready.text, "no broker answers")
      })
    )
  )
})

describe("what the workers do", () => {
  const stage = (fields: Partial<StageStatus>): StageStatus => ({ ...initialStatus, state: "running", ...fields })
  const encode = Schema.encodeSync(Schema.fromJsonString(WorkerStatus))

  it.live("is merged from the status of all of them", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const log = yield* Log
        assert.deepStrictEqual((yield* send(get("/v1/status"))).json.streams, [])
        yield* send(putText("shop", file("shop")))
        yield* log.ensureTopic({ name: statusTopic, partitions: 1, compacted: true })
        const now = yield* Clock.currentTimeMillis
        const report = (worker: string, at: number, stages: WorkerStatus["stages"]) => {
          const status: WorkerStatus = { connector: "shop", stream: "orders", worker, at, stages }
          return { topic: statusTopic, key: utf8.encode(workerStatusKey(status)), value: utf8.encode(encode(status)) }
        }
        yield* log.publish([
          report("a", now, { sink: stage({ records: 5 }) }),
          report("b", now - 1_000, { sink: stage({ records: 7 }) }),
          report("c", now - 120_000, { sink: stage({ records: 100 }) })
        ])
        const first = (yield* send(get("/v1/status"))).json
        assert.strictEqual(first.streams[0]?.stages.sink?.records, 12)
        assert.deepStrictEqual(
          first.streams[0]?.workers.map(({ isLive, worker }) => [worker, isLive]),
          [
            ["a", true],
            ["b", true],
            ["c", false]
          ]
        )
        // Read on from there: a change, a worker that is gone, and a value of another version.
        yield* log.publish([
          report("a", now, { sink: stage({ records: 6 }) }),
          { topic: statusTopic, key: utf8.encode("shop/orders@b"), value: null },
          { topic: statusTopic, key: utf8.encode("shop/odd@x"), value: utf8.encode('{"v":9}') }
        ])
        const second = (yield* send(get("/v1/status"))).json
        assert.strictEqual(second.streams[0]?.stages.sink?.records, 6)
        assert.deepStrictEqual(second.unreadable, ["shop/odd@x"])
        // A topic made anew has nothing of the old one.
        yield* log.deleteTopic(statusTopic)
        assert.deepStrictEqual((yield* send(get("/v1/status"))).json.streams, [])
        yield* log.ensureTopic({ name: statusTopic, partitions: 1, compacted: true })
        yield* log.publish([report("z", now, { source: stage({ records: 1 }) })])
        const third = (yield* send(get("/v1/status"))).json
        assert.deepStrictEqual(Object.keys(third.streams[0]?.stages ?? {}), ["source"])
      })
    )
  )

  it.live("is that of registered connectors, and of the one process of an engine", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const log = yield* Log
        yield* send(putText("shop", file("shop")))
        yield* log.ensureTopic({ name: statusTopic, partitions: 1, compacted: true })
        const now = yield* Clock.currentTimeMillis
        const report = (connector: string, worker: string) => {
          const status: WorkerStatus = { connector, stream: "orders", worker, at: now, stages: {} }
          return { topic: statusTopic, key: utf8.encode(workerStatusKey(status)), value: utf8.encode(encode(status)) }
        }
        yield* log.publish([report("shop", "a"), report("deleted", "a"), report("of-files", "")])
        const connectors = Effect.map(send(get("/v1/status")), ({ json }) =>
          json.streams.map(({ connector }) => connector)
        )
        assert.deepStrictEqual(yield* connectors, ["of-files", "shop"])
        yield* send(HttpClientRequest.delete("/v1/connectors/shop"))
        assert.deepStrictEqual(yield* connectors, ["of-files"])
      })
    )
  )

  it.live("has what the processes use", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const log = yield* Log
        yield* log.ensureTopic({ name: statusTopic, partitions: 1, compacted: true })
        const now = yield* Clock.currentTimeMillis
        const use = (worker: string, at: number): WorkerProcess => ({
          worker,
          service: "sink",
          at,
          startedAt: 5,
          cpuSeconds: 1.5,
          residentBytes: 1e8
        })
        const gone = use("a", now - 120_000)
        const live = use("b", now)
        yield* log.publish(
          [live, gone].map((value) => ({
            topic: statusTopic,
            key: utf8.encode(workerProcessKey(value.worker)),
            value: utf8.encode(JSON.stringify(value))
          }))
        )
        const { json } = yield* send(get("/v1/status"))
        assert.deepStrictEqual(json.processes, [
          { ...gone, isLive: false },
          { ...live, isLive: true }
        ])
        assert.deepStrictEqual([json.streams, json.unreadable], [[], []])
      })
    )
  )

  it.live.each([connectorPartitions, 5])(
    "says who owns which of %i partitions, by the commits of the group",
    (partitions) =>
      on(
        Effect.gen(function* () {
          const { send } = yield* startControl()
          const log = yield* Log
          yield* log.ensureTopic({ name: connectorsTopic, partitions, compacted: true })
          for (const id of ["shop", "bank"]) yield* send(putText(id, file(id)))
          assert.deepStrictEqual((yield* send(get("/v1/owners"))).body, { workers: [], unowned: ["bank", "shop"] })
          const owned = connectorPartition("shop", partitions)
          const committed = yield* Deferred.make<void>()
          yield* Effect.forkScoped(
            log.consume({ group: sourcesGroup, topics: [connectorsTopic] }, ({ commit, partition }) =>
              (partition === owned
                ? Effect.andThen(commit(0, '{"v":1,"worker":"one"}'), Deferred.succeed(committed, undefined))
                : partition === connectorPartition("bank", partitions)
                  ? commit(0, "not of ours")
                  : Effect.void
              ).pipe(Effect.andThen(Effect.never))
            )
          )
          yield* Deferred.await(committed)
          assert.deepStrictEqual((yield* send(get("/v1/owners"))).body, {
            workers: [{ worker: "one", partitions: [owned], connectors: ["shop"] }],
            unowned: ["bank"]
          })
          assert.strictEqual((yield* send(get("/v1/connectors/shop"))).json.owner, "one")
          const { connectors } = (yield* send(get("/v1/connectors"))).json
          assert.deepStrictEqual(
            connectors.map(({ connector, owner }) => [connector, owner]),
            [
              ["bank", null],
              ["shop", "one"]
            ]
          )
        })
      )
  )
})

describe("a health server", () => {
  it.live("answers for its process", () =>
    on(
      Effect.gen(function* () {
        const health = yield* Health
        const client = yield* HttpClient.HttpClient
        const context = yield* Layer.build(healthServer({ host: "127.0.0.1", port: 0, worker: "one" }))
        const url = yield* Effect.provideContext(baseUrl, context)
        const ask = (path: string) =>
          Effect.flatMap(client.get(`${url}${path}`), (response) =>
            Effect.map(response.json, (body) => [response.status, body])
          )
        assert.deepStrictEqual(yield* ask("/livez"), [200, { status: "ok" }])
        assert.deepStrictEqual(yield* ask("/readyz"), [200, { status: "ok", checks: {} }])
        yield* health.register("log", Effect.succeed({ status: "failing", detail: "no broker answers" }))
        const checks = { log: { status: "failing", detail: "no broker answers" } }
        assert.deepStrictEqual(yield* ask("/readyz"), [503, { status: "failing", checks }])
        assert.deepStrictEqual(yield* ask("/v1/owned"), [200, { worker: "one", connectors: [] }])
        yield* health.fail("the stall watchdog gave up")
        assert.deepStrictEqual(yield* ask("/livez"), [503, { status: "failing", detail: "the stall watchdog gave up" }])
      })
    )
  )
})
