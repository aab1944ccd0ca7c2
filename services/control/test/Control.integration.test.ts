import { Catalog, connectorPartition, sourcesGroup } from "@tributary/catalog"
import { connectorsTopic, ControlApi, statusTopic } from "@tributary/domain"
import { Log } from "@tributary/log"
import { Health, type StageStatus, WorkerStatus, workerStatusKey } from "@tributary/telemetry"
import { assert, describe, it } from "@effect/vitest"
import { Clock, ConfigProvider, Deferred, Effect, Exit, Layer, Schema, type Scope } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { connect } from "node:net"
import { healthServer } from "../src/HealthServer.ts"
import { baseUrl } from "../src/Listen.ts"
import { controlServer } from "../src/RunControl.ts"
import { type Answer, file, putJson, putText, startControl, surroundings } from "./support.ts"

const utf8 = new TextEncoder()
const get = HttpClientRequest.get

/** An error as every one has to be: JSON with code and message. */
const isError = (answer: Answer, status: number, code: string, message: RegExp) => {
  assert.strictEqual(answer.status, status, answer.text)
  assert.strictEqual(answer.json.code, code)
  assert.match(answer.json.message ?? "", message)
}

const on = <E>(
  work: Effect.Effect<void, E, Layer.Success<typeof surroundings> | Scope.Scope>
): Effect.Effect<void, E | Layer.Error<typeof surroundings>> => work.pipe(Effect.scoped, Effect.provide(surroundings))

describe("connectors", () => {
  it.live("are registered, shown, changed and deleted", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        assert.deepStrictEqual((yield* send(get("/v1/connectors"))).body, { connectors: [] })

        const tried = yield* send(putText("shop", file("shop"), "?dry_run=true"))
        assert.strictEqual(tried.status, 200, tried.text)
        assert.deepInclude(tried.json, { outcome: "registered", dryRun: true })
        assert.deepStrictEqual((yield* send(get("/v1/connectors"))).body, { connectors: [] })

        const made = yield* send(putText("shop", file("shop")))
        assert.deepInclude(made.json, { connector: "shop", outcome: "registered", dryRun: false })
        assert.strictEqual(made.json.revision, tried.json.revision)
        const again = yield* send(putText("shop", file("shop")))
        assert.strictEqual(again.json.outcome, "unchanged")
        const changed = yield* send(putText("shop", file("shop", "/v2/orders")))
        assert.strictEqual(changed.json.outcome, "changed")
        assert.notStrictEqual(changed.json.revision, made.json.revision)

        const shown = yield* send(get("/v1/connectors/shop"))
        assert.deepInclude(shown.json, {
          connector: "shop",
          text: file("shop", "/v2/orders"),
          revision: changed.json.revision,
          file: "shop.yaml",
          problem: null,
          owner: null,
          redacted: false
        })
        const { connectors } = (yield* send(get("/v1/connectors"))).json
        assert.strictEqual(connectors.length, 1)
        assert.isAtMost(Math.abs((connectors[0]?.registeredAt ?? 0) - (yield* Clock.currentTimeMillis)), 60_000)

        assert.strictEqual((yield* send(HttpClientRequest.delete("/v1/connectors/shop?dry_run"))).json.dryRun, true)
        assert.strictEqual((yield* send(get("/v1/connectors/shop"))).status, 200)
        assert.strictEqual((yield* send(HttpClientRequest.delete("/v1/connectors/shop"))).json.outcome, "deleted")
        isError(yield* send(get("/v1/connectors/shop")), 404, "connector_not_found", /"shop"/)
        isError(yield* send(HttpClientRequest.delete("/v1/connectors/shop")), 404, "connector_not_found", /"shop"/)
      })
    )
  )

  it.live("take the modules that their transforms name, and no others", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const text = `${file("shop")}transform:\n  - typescript: ./orders.ts\n`
        const script = { path: "./orders.ts", text: "export default (record) => record\n" }

        const without = yield* send(putText("shop", text))
        isError(without, 422, "connector_invalid", /1 problem/)
        assert.deepInclude(without.json.problems[0], { line: 6, path: "transform" })
        assert.match(without.json.problems[0]?.found ?? "", /without its text/)
        const extra = yield* send(
          putJson("shop", { text, scripts: [script, { path: "./other.ts", text: "" }, script] })
        )
        assert.deepStrictEqual(
          extra.json.problems.map(({ found }) => found),
          ["the module ./orders.ts, more than once in scripts", "the module ./other.ts, which no transform names"]
        )
        const outside = yield* send(putJson("shop", { text: text.replace("./orders.ts", "../orders.ts"), scripts: [] }))
        assert.match(outside.json.problems[0]?.expected ?? "", /below the folder/)

        assert.strictEqual((yield* send(putJson("shop", { text, scripts: [script] }))).status, 200)
        assert.deepStrictEqual((yield* send(get("/v1/connectors/shop"))).json.scripts, [script])
      })
    )
  )

  it.live("get every problem with its place, and nothing is registered", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const wrong = file("shop").replace("streams:", "stream:").replace("http:", "htpp:")
        const answer = yield* send(putText("shop", wrong))
        isError(answer, 422, "connector_invalid", /shop\.yaml has \d problems/)
        assert.deepInclude(answer.json.problems[0], { file: "shop.yaml", line: 2, path: "htpp" })
        assert.match(answer.json.problems[0]?.advice ?? "", /http/)
        const other = yield* send(putText("shop", file("other")))
        assert.deepInclude(other.json.problems[0], { line: 1, path: "connector", found: "other" })
        const secret = yield* send(putText("shop", `${file("shop")}auth: { bearer: hunter2-in-the-open }\n`))
        assert.strictEqual(secret.status, 422)
        assert.notInclude(secret.text, "hunter2")
        assert.deepStrictEqual((yield* send(get("/v1/connectors"))).body, { connectors: [] })
      })
    )
  )

  it.live("that cannot be read are listed with the reason and can be deleted", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const catalog = yield* Catalog
        const log = yield* Log
        yield* catalog.prepare
        const value = utf8.encode(JSON.stringify({ v: 9, connector: "odd", client_secret: "hunter2" }))
        yield* log.publish([{ topic: connectorsTopic, key: utf8.encode("odd"), value }])
        const { text } = yield* send(get("/v1/connectors"))
        assert.include(text, "cannot be read")
        assert.notInclude(text, "hunter2")
        const one = yield* send(get("/v1/connectors/odd"))
        assert.strictEqual(one.status, 200)
        assert.match(one.json.problem ?? "", /cannot be read/)
        assert.strictEqual((yield* send(HttpClientRequest.delete("/v1/connectors/odd"))).status, 200)
        assert.deepStrictEqual((yield* send(get("/v1/connectors"))).body, { connectors: [] })
      })
    )
  )

  it.live("are shown without the secrets that somebody wrote into the topic", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const catalog = yield* Catalog
        const text = `${file("shop")}auth:\n  oauth2: client_credentials\n  client_id: \${env:ID}\n  client_secret: hunter2\n`
        const scripts = [{ path: "./a.ts", text: "// Authorization: Bearer abcdef123456" }]
        const connector = yield* Schema.decodeEffect(Schema.String.pipe(Schema.brand("ConnectorId")))("shop")
        yield* catalog.write([{ register: { connector, file: "shop.yaml", text, scripts, revision: "1" } }])
        const { json, text: whole } = yield* send(get("/v1/connectors/shop"))
        assert.notInclude(whole, "hunter2")
        assert.notInclude(whole, "abcdef123456")
        assert.include(json.text, "${env:ID}")
        assert.isTrue(json.redacted)
        assert.match(json.problem ?? "", /shop\.yaml:\d+: auth/)
      })
    )
  )

  it.live("of two writers at the same time are whole, and the last one stays", () =>
    on(
      Effect.gen(function* () {
        const first = yield* startControl()
        const second = yield* startControl()
        const texts = Array.from({ length: 20 }, (_, index) => file("shop", `/v${index}`))
        const answers = yield* Effect.forEach(
          texts,
          (text, index) => (index % 2 === 0 ? first : second).send(putText("shop", text)),
          { concurrency: 8 }
        )
        for (const { status } of answers) assert.strictEqual(status, 200)
        const seen = yield* Effect.forEach([first, second], ({ send }) => send(get("/v1/connectors/shop")))
        assert.strictEqual(seen[0]?.text, seen[1]?.text)
        assert.include(texts, seen[0]?.json.text)
        const written = answers.find(({ json }) => json.revision === seen[0]?.json.revision)
        assert.isDefined(written)
        const last = yield* second.send(putText("shop", file("shop", "/last")))
        assert.strictEqual((yield* first.send(get("/v1/connectors/shop"))).json.revision, last.json.revision)
      })
    )
  )
})

describe("bad requests", () => {
  it.live("get an answer in JSON that says what is wrong", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        isError(yield* send(get("/nowhere?x=1")), 404, "not_found", /There is no GET \/nowhere\./)
        isError(yield* send(HttpClientRequest.post("/v1/connectors")), 404, "not_found", /POST/)
        isError(yield* send(putText("shop", "")), 422, "connector_invalid", /1 problem/)
        isError(yield* send(putJson("shop", { scripts: [] })), 400, "bad_request", /body.* at text\./)
        const broken = HttpClientRequest.put("/v1/connectors/shop")
        isError(
          yield* send(HttpClientRequest.bodyText(broken, '{"text": hunter2', "application/json")),
          400,
          "bad_request",
          /body of the request is not as it should be\./
        )
        isError(
          yield* send(HttpClientRequest.bodyText(broken, file("shop"), "application/x-www-form-urlencoded")),
          415,
          "unsupported_media_type",
          /application\/yaml/
        )
        isError(yield* send(putText("shop", file("shop"), "?dry_run=perhaps")), 400, "bad_request", /query.*dry_run/)
        isError(yield* send(putText("a%20b%2Fc", file("shop"))), 422, "connector_invalid", /1 problem/)
        isError(yield* send(putText("%E0%A4%A", file("shop"))), 404, "not_found", /./)
      })
    )
  )

  it.live("larger than 1 MiB are refused, whether they say their length or not", () =>
    on(
      Effect.gen(function* () {
        const { send, url } = yield* startControl()
        const large = "#".repeat(1024 * 1024 + 1)
        isError(yield* send(putText("shop", large)), 413, "too_large", /1048576/)
        const port = Number(new URL(url).port)
        // Without a length: chunks that do not end, until there is an answer.
        const answer = yield* Effect.callback<string>((resume) => {
          const socket = connect(port, "127.0.0.1")
          let text = ""
          socket.on("data", (data) => {
            text += String(data)
            socket.destroy()
          })
          socket.on("close", () => resume(Effect.succeed(text)))
          socket.on("error", () => undefined)
          socket.write("PUT /v1/connectors/shop HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\n")
          socket.write("transfer-encoding: chunked\r\n\r\n")
          const chunk = `10000\r\n${"#".repeat(0x10000)}\r\n`
          const more = () => {
            while (!socket.destroyed && socket.write(chunk)) {}
          }
          socket.on("drain", more)
          more()
          return Effect.sync(() => socket.destroy())
        }).pipe(Effect.timeout("10 seconds"))
        assert.match(answer, /^HTTP\/1\.1 413 /)
        assert.include(answer, '"too_large"')
        assert.strictEqual((yield* send(get("/livez"))).status, 200)
      })
    )
  )

  it.live("that never end do not hold up the end of the server", () =>
    Effect.gen(function* () {
      const took = yield* Effect.gen(function* () {
        const { url } = yield* startControl()
        const socket = connect(Number(new URL(url).port), "127.0.0.1")
        socket.on("error", () => undefined)
        yield* Effect.callback<void>((resume) => void socket.on("connect", () => resume(Effect.void)))
        socket.write("PUT /v1/connectors/shop HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nconn")
        yield* Effect.sleep("50 millis")
        return yield* Clock.currentTimeMillis
      }).pipe(
        Effect.scoped,
        Effect.provide(surroundings),
        Effect.flatMap((end) => Effect.map(Clock.currentTimeMillis, (now) => now - end))
      )
      assert.isBelow(took, 4_000)
    })
  )
})

describe("access", () => {
  const token = "correct horse battery staple"

  it.live("needs the token for everything but health", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl({ TRIBUTARY_CONTROL_TOKEN: `${token}\n` })
        for (const request of [
          get("/v1/connectors"),
          get("/v1/connectors/shop"),
          putText("shop", file("shop")),
          putText("shop", "#".repeat(100_000)),
          HttpClientRequest.delete("/v1/connectors/shop"),
          get("/v1/status"),
          get("/v1/owners"),
          get("/openapi.json")
        ]) {
          for (const wrong of ["", "wrong", `${token}x`, token.slice(1)]) {
            const answer = yield* send(request, wrong)
            isError(answer, 401, "unauthorized", /Authorization: Bearer/)
            assert.strictEqual(answer.headers["www-authenticate"], "Bearer")
            assert.notInclude(answer.text, token)
          }
        }
        assert.strictEqual((yield* send(get("/livez"), "")).status, 200)
        assert.strictEqual((yield* send(get("/readyz"), "")).status, 200)
        assert.strictEqual((yield* send(putText("shop", file("shop")), token)).status, 200)
        assert.strictEqual((yield* send(get("/openapi.json"), token)).json.openapi, "3.1.0")
      })
    )
  )

  it.live("without a token is for requests to loopback names only", () =>
    on(
      Effect.gen(function* () {
        const { send, url } = yield* startControl()
        const port = new URL(url).port
        const as = (host: string) => get("/v1/connectors").pipe(HttpClientRequest.setHeader("host", host))
        for (const host of [`localhost:${port}`, `[::1]:${port}`, "127.0.0.1"])
          assert.strictEqual((yield* send(as(host))).status, 200, host)
        for (const host of [`rebound.example:${port}`, "127.0.0.1.example", "localhost.example"])
          isError(yield* send(as(host)), 403, "forbidden", /TRIBUTARY_CONTROL_TOKEN/)
      })
    )
  )

  it.live("from other machines is refused at the start without a token", () =>
    on(
      Effect.gen(function* () {
        const start = (host: string, environment: Record<string, string>) =>
          Layer.build(controlServer({ host, port: 0 })).pipe(
            Effect.scoped,
            Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment))),
            Effect.exit
          )
        for (const host of ["0.0.0.0", "::", "192.0.2.1", "control.example"]) {
          for (const environment of [{}, { TRIBUTARY_CONTROL_TOKEN: " \n" }]) {
            const exit = yield* start(host, environment)
            assert.include(String(exit), "NeedsToken")
            assert.include(String(exit), "TRIBUTARY_CONTROL_TOKEN")
          }
        }
        assert.isTrue(Exit.isSuccess(yield* start("0.0.0.0", { TRIBUTARY_CONTROL_TOKEN: token })))
        assert.isTrue(Exit.isSuccess(yield* start("127.0.0.1", {})))
        assert.include(String(yield* start("192.0.2.1", { TRIBUTARY_CONTROL_TOKEN: token })), "no such address")
      })
    )
  )

  it.live("is refused on a port in use, with what to do", () =>
    on(
      Effect.gen(function* () {
        const { url } = yield* startControl()
        const port = Number(new URL(url).port)
        const exit = yield* Layer.build(controlServer({ host: "127.0.0.1", port })).pipe(Effect.scoped, Effect.exit)
        assert.match(String(exit), /Cannot listen on 127\.0\.0\.1:\d+: the port is in use/)
      })
    )
  )
})

describe("what the workers do", () => {
  const stage = (fields: Partial<StageStatus>): StageStatus => ({
    state: "running",
    problem: null,
    records: 0,
    bytes: 0,
    rejected: 0,
    batches: 0,
    skipped: 0,
    restarts: 0,
    lastAt: null,
    nextAt: null,
    freshness: null,
    ...fields
  })
  const encode = Schema.encodeSync(Schema.fromJsonString(WorkerStatus))

  it.live("is merged from the status of all of them", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const log = yield* Log
        assert.deepStrictEqual((yield* send(get("/v1/status"))).json.streams, [])
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

  it.live("says who owns which connectors, by the commits of the group", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const log = yield* Log
        for (const id of ["shop", "bank"]) yield* send(putText(id, file(id)))
        assert.deepStrictEqual((yield* send(get("/v1/owners"))).body, { workers: [], unowned: ["bank", "shop"] })
        const owned = connectorPartition("shop")
        const committed = yield* Deferred.make<void>()
        yield* Effect.forkScoped(
          log.consume({ group: sourcesGroup, topics: [connectorsTopic] }, ({ commit, partition }) =>
            (partition === owned
              ? Effect.andThen(commit(0, '{"v":1,"worker":"one"}'), Deferred.succeed(committed, undefined))
              : partition === connectorPartition("bank")
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

describe("the client that is derived from the definition", () => {
  it.live("registers, reads and gets typed errors", () =>
    on(
      Effect.gen(function* () {
        const { url } = yield* startControl({ TRIBUTARY_CONTROL_TOKEN: "t" })
        const client = yield* HttpApiClient.make(ControlApi, {
          baseUrl: url,
          transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken("t"))
        })
        const params = { id: "shop" }
        const made = yield* client.connectors.put({ params, query: {}, payload: { text: file("shop") } })
        assert.strictEqual(made.outcome, "registered")
        assert.strictEqual((yield* client.connectors.get({ params })).text, file("shop"))
        const wrong = yield* Effect.flip(
          client.connectors.put({ params, query: {}, payload: { text: "connector: 1" } })
        )
        assert.strictEqual("code" in wrong ? wrong.code : wrong._tag, "connector_invalid")
        const missing = yield* Effect.flip(client.connectors.get({ params: { id: "none" } }))
        assert.strictEqual("code" in missing ? missing.code : missing._tag, "connector_not_found")
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
