import { get } from "node:http"
import { checkpointsTopic, rejectedHeaders, streamKey } from "@tributary/domain"
import { Log } from "@tributary/log"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import {
  answer,
  around,
  checkpoint,
  connector,
  everything,
  keys,
  keysUpTo,
  run,
  serve,
  type Services,
  stage,
  synthetic,
  text,
  until,
  withServices
} from "./support.ts"

const records = 23
const pageSize = 5
const pages = Math.ceil(records / pageSize)

describe("runSource", () => {
  it.live("commits the records of a page, its rejected records and its checkpoint together", () =>
    withServices(
      Effect.gen(function* () {
        const url = yield* serve((request, response) =>
          answer(
            response,
            (request.url ?? "").includes("cursor")
              ? '{"data":[{"id":4}]}'
              : '{"data":[{"id":1,"n":12345678901234567890},{"name":"without key"},7,{"id":3}],"next":"x"}'
          )
        )
        const log = yield* Log
        const seen: Array<unknown> = []
        const look = Effect.gen(function* () {
          const [raw] = yield* log.offsets("raw.shop.items")
          const [dead] = yield* log.offsets("dead.shop.items")
          const known = yield* checkpoint()
          seen.push([raw?.end, dead?.end, known?.walk?.number ?? (known === undefined ? "none" : "done")])
        }).pipe(Effect.orDie)
        yield* run(connector(url), true).pipe(
          Effect.provide(
            around(
              () => Effect.provideService(look, Log, log),
              () => Effect.provideService(look, Log, log)
            )
          )
        )
        assert.deepStrictEqual(seen, [
          [0, 0, "none"],
          [2, 2, 1],
          [2, 2, 1],
          [3, 2, "done"]
        ])
        const raw = yield* everything("raw.shop.items")
        assert.deepStrictEqual(
          raw.map(({ key, value }) => [text(key), text(value)]),
          [
            ["1", '{"id":1,"n":12345678901234567890}'],
            ["3", '{"id":3}'],
            ["4", '{"id":4}']
          ]
        )
        const dead = yield* everything("dead.shop.items")
        assert.deepStrictEqual(
          dead.map(({ headers, value }) => [
            text(value),
            headers[rejectedHeaders.code],
            headers[rejectedHeaders.stage],
            headers[rejectedHeaders.topic],
            headers[rejectedHeaders.offset]
          ]),
          [
            ['{"name":"without key"}', "missing_key", "source", "page 0", "1"],
            ["7", "not_an_object", "source", "page 0", "2"]
          ]
        )
        assert.isTrue(dead.every(({ headers }) => (headers[rejectedHeaders.reason] ?? "").length > 10))
        const status = yield* stage()
        assert.deepStrictEqual([status?.state, status?.records, status?.rejected, status?.batches], ["done", 3, 2, 2])
      })
    )
  )

  it.live("has one writer for a stream: a worker that was replaced commits nothing any more", () =>
    withServices(
      Effect.gen(function* () {
        const api = yield* synthetic({ records, pageSize })
        const stuck = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        const slow = yield* run(connector(api.url), true).pipe(
          Effect.provide(
            around(
              (n) => (n === 2 ? Effect.andThen(Deferred.succeed(stuck, undefined), Deferred.await(go)) : Effect.void),
              () => Effect.void
            )
          ),
          Effect.forkChild
        )
        yield* Deferred.await(stuck)
        yield* run(connector(api.url), true)
        assert.deepStrictEqual(yield* keys(), keysUpTo(records))
        const before = yield* checkpoint()
        yield* Deferred.succeed(go, undefined)
        const failed = yield* until(stage(), (now) => now?.state === "retrying")
        assert.include(failed?.problem?.message, "shop/items now belongs to another worker")
        assert.deepStrictEqual(yield* Fiber.join(slow), [])
        assert.deepStrictEqual(yield* keys(), keysUpTo(records))
        assert.deepStrictEqual(yield* checkpoint(), before)
      })
    )
  )

  it.live(
    "reads the checkpoint after it has taken the stream over: what its predecessor commits till then counts",
    () =>
      withServices(
        Effect.gen(function* () {
          const api = yield* synthetic({ records, pageSize })
          const log = yield* Log
          const services = yield* Effect.context<Services>()
          const predecessor = Effect.provide(run(connector(api.url), true), services)
          const last = Log.of({
            ...log,
            producer: (id) => Effect.andThen(Effect.orDie(predecessor), log.producer(id))
          })
          yield* Effect.provideService(run(connector(api.url), true), Log, last)
          assert.deepStrictEqual(yield* keys(), keysUpTo(records))
        })
      )
  )

  it.live(
    "once reads what is due: a stream that was just read is not read again, one whose walk was cut is finished",
    () =>
      withServices(
        Effect.gen(function* () {
          const api = yield* synthetic({ records, pageSize })
          const settings = connector(api.url, { items: {}, often: { poll: "every 1 milli", jitter: "0 millis" } })
          assert.deepStrictEqual(yield* run(settings, true), [])
          assert.strictEqual(api.stats.requests, 2 * pages)
          yield* Effect.sleep("5 millis")
          assert.deepStrictEqual(yield* run(settings, true), [])
          assert.strictEqual(api.stats.requests, 3 * pages)
          assert.deepStrictEqual(yield* keys(), keysUpTo(records))
          assert.strictEqual((yield* keys("often")).length, 2 * records)
          assert.strictEqual((yield* stage())?.state, "done")
        })
      )
  )

  it.live("polls on time until it is interrupted, and says when it goes on", () =>
    withServices(
      Effect.gen(function* () {
        const api = yield* synthetic({ records: 3, pageSize })
        const settings = connector(api.url, { items: { poll: "every 80 millis", jitter: "0 millis" } })
        const source = yield* Effect.forkChild(run(settings, false))
        yield* until(
          Effect.sync(() => api.stats.requests),
          (n) => n >= 3
        )
        const waiting = yield* until(stage(), (now) => now?.state === "waiting")
        assert.isNotNull(waiting?.nextAt)
        const known = yield* until(checkpoint(), (now) => now?.startedAt !== undefined)
        assert.isAtMost((waiting?.nextAt ?? 0) - (known?.startedAt ?? 0), 80)
        yield* Fiber.interrupt(source)
        const topic = yield* everything("raw.shop.items")
        assert.strictEqual(topic.length % 3, 0)
      })
    )
  )

  it.live("pauses a stream that is misconfigured and says why; the others go on", () =>
    withServices(
      Effect.gen(function* () {
        const api = yield* synthetic({ records, pageSize })
        const settings = connector(api.url, { items: {}, gone: { path: "/nowhere" } })
        const source = yield* Effect.forkChild(run(settings, false))
        const paused = yield* until(stage("gone"), (now) => now?.state === "paused")
        assert.strictEqual(paused?.problem?.class, "misconfigured")
        assert.include(paused?.problem?.message, "/nowhere answered 404")
        yield* until(stage(), (now) => now?.state === "waiting")
        assert.deepStrictEqual(yield* keys(), keysUpTo(records))
        assert.isUndefined(source.pollUnsafe())
        yield* Fiber.interrupt(source)
      })
    )
  )

  it.live("once reads all it can, and says which stream it gave up", () =>
    withServices(
      Effect.gen(function* () {
        const api = yield* synthetic({ records, pageSize, latency: 5 })
        const settings = connector(api.url, { gone: { path: "/nowhere" }, items: {} })
        const problems = yield* run(settings, true)
        assert.deepStrictEqual(
          problems.map(({ failureClass, message }) => [failureClass, message.includes("/nowhere")]),
          [["misconfigured", true]]
        )
        assert.deepStrictEqual(yield* keys(), keysUpTo(records))
      })
    )
  )

  it.live("pauses all streams when the connector's settings cannot be used", () =>
    withServices(
      Effect.gen(function* () {
        const settings = connector(
          "http://127.0.0.1:1",
          { items: {}, more: {} },
          { http: { base_url: "http://127.0.0.1:1", headers: { "x-key": "${env:SHOP_KEY_NOT_SET}" } } }
        )
        const source = yield* Effect.forkChild(run(settings, false))
        for (const stream of ["items", "more"]) {
          const paused = yield* until(stage(stream), (now) => now?.state === "paused")
          assert.include(paused?.problem?.message, "SHOP_KEY_NOT_SET")
        }
        yield* Fiber.interrupt(source)
        const once = yield* run(settings, true)
        assert.strictEqual(once.length, 1)
        assert.include(once[0]?.message, "SHOP_KEY_NOT_SET")
      })
    )
  )

  it.live("pauses when the client is not known any more, and keeps its position", () =>
    withServices(
      Effect.gen(function* () {
        const api = yield* synthetic({ records, pageSize, auth: true })
        const settings = (secret: string) =>
          connector(
            api.url,
            { items: {} },
            {
              auth: {
                oauth2: "client_credentials",
                token_url: api.tokenUrl,
                client_id: "client",
                client_secret: `\${env:${secret}}`,
                scopes: ["records.read"]
              }
            }
          )
        const [wrong] = yield* run(settings("SHOP_WRONG"), true)
        assert.include(["misconfigured", "needs-consent"], wrong?.failureClass)
        assert.notInclude(wrong?.message, "another")
        assert.isUndefined(yield* checkpoint())
        assert.deepStrictEqual(yield* run(settings("SHOP_SECRET"), true), [])
        assert.deepStrictEqual(yield* keys(), keysUpTo(records))
      })
    )
  )

  it.live("tries again when the API is away for a while, from the page that is missing", () =>
    withServices(
      Effect.gen(function* () {
        const api = yield* synthetic({ records, pageSize })
        let asked = 0
        const url = yield* serve((request, response) => {
          if (++asked === 3 || asked === 4) return answer(response, '{"error":"busy"}', 503)
          fetchThrough(`${api.url}${request.url ?? ""}`, response)
        })
        const source = yield* Effect.forkChild(run(connector(url), true))
        const retrying = yield* until(stage(), (now) => now?.state === "retrying")
        assert.include(retrying?.problem?.message, "503")
        assert.strictEqual(retrying?.records, 2 * pageSize)
        assert.deepStrictEqual(yield* Fiber.join(source), [])
        assert.deepStrictEqual(yield* keys(), keysUpTo(records))
        assert.strictEqual((yield* stage())?.restarts, 2)
      })
    )
  )

  it.live("does not touch a stream whose checkpoint it cannot read", () =>
    withServices(
      Effect.gen(function* () {
        const api = yield* synthetic({ records, pageSize })
        const log = yield* Log
        yield* log.ensureTopic({ name: checkpointsTopic, partitions: 1, compacted: true })
        const key = Buffer.from(streamKey("shop", "items"))
        yield* log.publish([{ topic: checkpointsTopic, key, value: Buffer.from('{"v":2,"at":"later"}') }])
        const [gaveUp] = yield* run(connector(api.url), true)
        assert.strictEqual(gaveUp?.failureClass, "misconfigured")
        assert.include(gaveUp?.message, "checkpoint of shop/items cannot be read")
        assert.strictEqual(api.stats.requests, 0)
        assert.deepStrictEqual(yield* keys(), [])
        assert.include(text(yield* log.latest(checkpointsTopic, key)), "later")
      })
    )
  )
})

/** Answers with what another server answers. */
const fetchThrough = (url: string, response: Parameters<typeof answer>[0]) =>
  get(url, (through) => {
    response.writeHead(through.statusCode ?? 500, { "content-type": "application/json" })
    through.pipe(response)
  })
