import { createHmac } from "node:crypto"
import { request } from "node:http"
import { connect } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Connector } from "@tributary/domain"
import { Log, LogError, LogUnavailable } from "@tributary/log"
import { Deferred, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { WebhookReceiver } from "../src/index.ts"
import { around, checkpoint, everything, keys, logWith, run, stage, text, until, withServices } from "./support.ts"

const secret = "client-secret"

const decode: (file: unknown) => Connector = Schema.decodeUnknownSync(Connector)

/** A connector `shop` with a stream `items` that is sent, signed as GitHub does. */
const hooked = (webhook: Record<string, unknown> = {}, stream: Record<string, unknown> = {}): Connector =>
  decode({
    connector: "shop",
    streams: {
      items: {
        primary_key: "id",
        webhook: { signature: "github", secret: "${env:SHOP_SECRET}", ...webhook },
        ...stream
      }
    }
  })

interface Sent {
  readonly id?: string
  readonly body?: string
  readonly key?: string
  readonly headers?: Record<string, string>
}

const headersOf = ({ body = "{}", headers, id, key = secret }: Sent): Record<string, string> => ({
  "content-type": "application/json",
  "x-hub-signature-256": `sha256=${createHmac("sha256", key).update(body).digest("hex")}`,
  ...(id === undefined ? {} : { "x-github-delivery": id }),
  ...headers
})

interface Answered {
  readonly status: number
  readonly text: string
  readonly wait: string | undefined
}

/** Asks by HTTP; status 0: nobody is there. */
const ask = (url: string, method: string, headers: Record<string, string>, body: string) =>
  Effect.callback<Answered>((resume) => {
    const gone = () => resume(Effect.succeed({ status: 0, text: "", wait: undefined }))
    const asked = request(url, { method, headers: { connection: "close", ...headers } }, (answer) => {
      let found = ""
      answer.on("data", (chunk: Buffer) => (found += chunk.toString()))
      answer.on("error", gone)
      answer.on("end", () =>
        resume(
          Effect.succeed({
            status: answer.statusCode ?? 0,
            text: found.trim(),
            wait: answer.headers["retry-after"]
          })
        )
      )
    })
    asked.on("error", gone)
    asked.end(body)
  })

const send = (url: string, sent: Sent = {}, path = "/webhooks/shop/items") =>
  ask(`${url}${path}`, "POST", headersOf(sent), sent.body ?? "{}")
const status = (url: string, sent: Sent = {}) => Effect.map(send(url, sent), (answer) => answer.status)
/** A delivery of one record. */
const item = (name: string): Sent => ({ id: `d-${name}`, body: `{"id":"${name}"}` })

/** A process that receives, until its scope closes; succeeds with its address. */
const receiving = (connector: Connector) =>
  Effect.gen(function* () {
    const receiver = yield* WebhookReceiver
    yield* Effect.forkScoped(receiver.receive(connector, import.meta.dirname))
    const url = yield* until(receiver.address, (address) => address !== undefined)
    yield* until(send(url ?? "", { key: "a probe" }, webhookPathOf(connector)), (answer) => answer.status !== 404)
    return url ?? ""
  })
const webhookPathOf = (connector: Connector) =>
  Object.values(connector.streams)[0]?.webhook?.path ?? "/webhooks/shop/items"
const receiver = WebhookReceiver.layer({ host: "127.0.0.1", port: 0 })
const withReceiver = <A, E, R>(body: Effect.Effect<A, E, R>) =>
  withServices(Effect.scoped(Effect.provide(body, receiver, { local: true })))

const inbox = Effect.map(everything("inbox.shop.items"), (records) => records.map(({ key }) => text(key)))

describe("webhooks", () => {
  it.live("are in the log when they are answered, and published once, however often they come", () =>
    withReceiver(
      Effect.gen(function* () {
        const connector = hooked(
          { headers: ["X-GitHub-Event"] },
          { add: { event: "{x-github-event}", by: "{delivery}" } }
        )
        const url = yield* receiving(connector)
        const answer = yield* send(url, { ...item("a"), headers: { "x-github-event": "push" } })
        assert.deepStrictEqual([answer.status, answer.text], [200, "ok"])
        assert.deepStrictEqual(yield* inbox, ["id:d-a"])
        for (const name of ["a", "b", "a"]) assert.strictEqual(yield* status(url, item(name)), 200)
        yield* run(connector, true)
        yield* run(connector, true)
        assert.deepStrictEqual(yield* keys(), ["a", "b"])
        const [first] = yield* everything("raw.shop.items")
        assert.deepStrictEqual(JSON.parse(text(first?.value ?? null)), { id: "a", event: "push", by: "id:d-a" })
        assert.strictEqual((yield* checkpoint())?.inbox?.offset, 4)
        // Again after the worker was restarted: it knows what is in the inbox.
        yield* status(url, item("b"))
        yield* status(url, item("c"))
        yield* run(connector, true)
        assert.deepStrictEqual(yield* keys(), ["a", "b", "c"])
        assert.strictEqual((yield* stage())?.skipped, 1)
      })
    )
  )

  it.live("are known to the next worker by their ids, and by the inbox where the topic of the ids was lost", () =>
    withReceiver(
      Effect.gen(function* () {
        const log = yield* Log
        const connector = hooked()
        const url = yield* receiving(connector)
        const sendAll = (...names: ReadonlyArray<string>) =>
          Effect.forEach(names, (name) => status(url, item(name)), { discard: true })
        const marks = Effect.map(everything("_tributary.seen.shop.items"), (records) =>
          records.reduce((sum, { value }) => sum + (value?.length ?? 0) / 16, 0)
        )
        yield* sendAll("a", "b")
        yield* run(connector, true)
        assert.strictEqual(yield* marks, 2)
        yield* sendAll("a", "c", "b", "c")
        yield* run(connector, true)
        assert.deepStrictEqual([yield* keys(), yield* marks], [["a", "b", "c"], 3])
        yield* log.deleteTopic("_tributary.seen.shop.items")
        yield* sendAll("b", "d")
        yield* run(connector, true)
        assert.deepStrictEqual([yield* keys(), yield* marks], [["a", "b", "c", "d"], 4])
        yield* sendAll("a", "b", "c", "d")
        yield* run(connector, true)
        assert.deepStrictEqual([yield* keys(), yield* marks], [["a", "b", "c", "d"], 4])
      })
    )
  )

  it.live("goes on while it runs, with deliveries of several records, and with such that cannot be read", () =>
    withReceiver(
      Effect.gen(function* () {
        const connector = hooked({}, { records: "$.items[*]" })
        const url = yield* receiving(connector)
        yield* Effect.forkScoped(run(connector, false))
        yield* status(url, { id: "1", body: '{"items":[{"id":"a"},{"id":"b"}]}' })
        yield* until(keys(), (found) => found.length === 2)
        for (const [id, body] of [
          ["2", "no json"],
          ["3", '{"other":1}'],
          ["4", '{"items":[7,{"id":"c"}]}'],
          ["5", ""]
        ] as const) {
          assert.strictEqual(yield* status(url, { id, body }), 200)
        }
        yield* until(keys(), (found) => found.length === 3)
        const dead = yield* until(everything("dead.shop.items"), (found) => found.length === 4)
        assert.deepStrictEqual(
          dead.map(({ headers, value }) => [headers["tributary-code"], text(value)]),
          [
            ["bad_delivery", "no json"],
            ["bad_delivery", '{"other":1}'],
            ["not_an_object", "7"],
            ["bad_delivery", ""]
          ]
        )
        assert.include(dead[0]?.headers["tributary-reason"], "the delivery id:2")
      })
    )
  )

  it.live("that are not what they should be are refused, and not in the log", () =>
    withReceiver(
      Effect.gen(function* () {
        const connector = hooked({ max_bytes: 1000, other_secrets: ["${env:SHOP_WRONG}"] })
        const url = yield* receiving(connector)
        const big = `{"id":"${"x".repeat(1000)}"}`
        const cases = [
          [send(url, { ...item("a"), key: "guessed" }), 401, /fits none of the stream's secrets/u],
          [send(url, { body: "{}", headers: { "x-hub-signature-256": "" } }), 401, /missing/u],
          [send(url, { body: big }), 413, /at most 1000 bytes/u],
          [send(url, {}, "/webhooks/shop/other"), 404, /No stream/u],
          [send(url, {}, "/webhooks/shop/items/"), 404, /No stream/u],
          [ask(`${url}/webhooks/shop/items`, "GET", {}, ""), 405, /POST/u]
        ] as const
        for (const [answer, expected, said] of cases) {
          const found = yield* answer
          assert.strictEqual(found.status, expected)
          assert.match(found.text, said)
        }
        // A body that grows without an announced length, and one that never comes to its end.
        const { hostname, port } = new URL(url)
        const raw = yield* Effect.callback<string>((resume) => {
          const socket = connect(Number(port), hostname, () => {
            socket.write("POST /webhooks/shop/items HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
            for (let n = 0; n < 20; n++) socket.write(`64\r\n${"y".repeat(100)}\r\n`)
          })
          socket.once("data", (chunk) => {
            socket.destroy()
            resume(Effect.succeed(chunk.toString()))
          })
        })
        assert.match(raw, /^HTTP\/1\.1 413 /u)
        assert.deepStrictEqual(yield* inbox, [])
        // Both secrets are good.
        assert.strictEqual(yield* status(url, { ...item("a"), key: "another" }), 200)
        assert.strictEqual(yield* status(url, item("b")), 200)
        assert.deepStrictEqual(yield* inbox, ["id:d-a", "id:d-b"])
      })
    )
  )

  it.live("handshakes are answered", () =>
    withReceiver(
      Effect.gen(function* () {
        const slack = hooked({ signature: "slack", path: "/slack", verify_token: "${env:SHOP_WRONG}" })
        const url = yield* receiving(slack)
        const body = '{"type":"url_verification","challenge":"c-1","token":"t"}'
        const now = Math.floor((yield* Effect.clockWith((clock) => clock.currentTimeMillis)) / 1000)
        const sign = (at: number) => `v0=${createHmac("sha256", secret).update(`v0:${at}:${body}`).digest("hex")}`
        const shake = (at: number) =>
          send(
            url,
            { body, headers: { "x-slack-signature": sign(at), "x-slack-request-timestamp": String(at) } },
            "/slack"
          )
        assert.deepStrictEqual((yield* shake(now)).text, "c-1")
        assert.strictEqual((yield* shake(now - 3600)).status, 401)
        const hub = (token: string) => {
          const query = new URLSearchParams({
            "hub.mode": "subscribe",
            "hub.challenge": "7",
            "hub.verify_token": token
          })
          return ask(`${url}/slack?${query.toString()}`, "GET", {}, "")
        }
        const shaken = yield* hub("another")
        assert.deepStrictEqual([shaken.status, shaken.text], [200, "7"])
        assert.strictEqual((yield* hub("guess")).status, 403)
        assert.deepStrictEqual(yield* inbox, [])
      })
    )
  )

  it.live("get 503 while the log is away, and 200 when it is back", () =>
    withServices(
      Effect.gen(function* () {
        let isAway = false
        const flaky = logWith((log) => ({
          publish: (records) => (isAway ? Effect.fail(unreachable) : log.publish(records))
        }))
        yield* Effect.gen(function* () {
          const connector = hooked()
          const url = yield* receiving(connector)
          assert.strictEqual(yield* status(url, item("a")), 200)
          isAway = true
          const refused = yield* send(url, item("b"))
          assert.deepStrictEqual([refused.status, refused.wait], [503, "5"])
          isAway = false
          assert.strictEqual(yield* status(url, item("b")), 200)
          yield* run(connector, true)
          assert.deepStrictEqual(yield* keys(), ["a", "b"])
        }).pipe(Effect.provide(Layer.provideMerge(receiver, flaky), { local: true }))
      }).pipe(Effect.scoped)
    )
  )

  it.live("that come together are written together", () =>
    withServices(
      Effect.gen(function* () {
        let writes = 0
        const slow = logWith((log) => ({
          publish: (records) => {
            writes++
            return Effect.andThen(Effect.sleep("20 millis"), log.publish(records))
          }
        }))
        yield* Effect.gen(function* () {
          const url = yield* receiving(hooked())
          writes = 0
          const names = Array.from({ length: 200 }, (_, index) => `n${index}`)
          const answers = yield* Effect.forEach(names, (name) => status(url, item(name)), { concurrency: 100 })
          assert.isTrue(answers.every((answer) => answer === 200))
          assert.strictEqual(new Set(yield* inbox).size, 200)
          assert.isBelow(writes, 40)
        }).pipe(Effect.provide(Layer.provideMerge(receiver, slow), { local: true }))
      }).pipe(Effect.scoped)
    )
  )

  it.live("are never lost or doubled, whichever process ends at whichever step", () =>
    withServices(
      Effect.gen(function* () {
        const connector = hooked()
        /** What the sender has an answer of 200 for, and what it will send again. */
        const accepted = new Set<string>()
        let step = 0
        /** A receiver that is killed after an append and before its answer, every few appends. */
        const killed = logWith((log) => ({
          publish: (records) =>
            Effect.suspend(() => {
              const turn = step++ % 4
              if (turn === 1) return Effect.fail(unreachable)
              return turn === 2 ? Effect.andThen(log.publish(records), Effect.fail(unreachable)) : log.publish(records)
            })
        }))
        const process = Layer.provideMerge(receiver, killed)
        /** A worker that is stopped before or after its nth transaction, in turn. */
        const worker = Effect.gen(function* () {
          for (let n = 0; n < 6; n++) {
            const died = yield* Deferred.make<void>()
            const dies = Effect.andThen(Deferred.succeed(died, undefined), Effect.never)
            const log = around(
              (at) => (at === n % 3 && n % 2 === 0 ? dies : Effect.void),
              (at) => (at === n % 3 && n % 2 === 1 ? dies : Effect.void)
            )
            const fiber = yield* Effect.forkChild(
              Effect.scoped(Effect.provide(run(connector, false), log, { local: true }))
            )
            yield* Effect.timeoutOption(Deferred.await(died), "400 millis")
            yield* Fiber.interrupt(fiber)
          }
        })
        const sender = Effect.gen(function* () {
          // Two processes receive; the first is ended in the middle.
          const scopes = [yield* Scope.make(), yield* Scope.make()] as const
          const urls = yield* Effect.forEach(scopes, (scope) =>
            Effect.gen(function* () {
              // The process lives as long as its scope.
              const services = yield* Layer.buildWithScope(Layer.fresh(process), scope)
              return yield* receiving(connector).pipe(Effect.provide(services), Scope.provide(scope))
            })
          )
          const names = Array.from({ length: 60 }, (_, index) => `n${index}`)
          yield* Effect.forEach(
            names,
            Effect.fnUntraced(function* (name, index) {
              if (index === 30) yield* Scope.close(scopes[0], Exit.void)
              for (let tries = 0; ; tries++) {
                const url = urls[(index + tries) % 2] ?? ""
                const answer = yield* status(url, item(name))
                if (answer === 200) break
              }
              accepted.add(name)
              // Some come again although they were answered.
              if (index % 5 === 0) yield* Effect.ignore(status(urls[1] ?? "", item(name)))
            }),
            { concurrency: 6 }
          )
          yield* Scope.close(scopes[1], Exit.void)
        })
        yield* Effect.all([sender, worker], { concurrency: "unbounded" })
        yield* run(connector, true)
        const found = yield* keys()
        assert.strictEqual(accepted.size, 60)
        assert.deepStrictEqual(found.toSorted(), [...accepted].toSorted())
        assert.isAbove((yield* inbox).length, 60)
      }).pipe(Effect.scoped)
    )
  )

  it.live("a port that is taken, and a path that another stream has, are said", () =>
    withServices(
      Effect.gen(function* () {
        const first = yield* Effect.gen(function* () {
          const url = yield* receiving(hooked())
          const again = yield* Effect.flip(WebhookReceiver.use((one) => one.receive(hooked(), import.meta.dirname)))
          assert.include(again.message, "the stream shop/items is received there")
          return Number(new URL(url).port)
        }).pipe(Effect.provide(receiver, { local: true }))
        assert.isAbove(first, 0)
      }).pipe(Effect.scoped)
    )
  )
})

const unreachable = new LogError({ reason: new LogUnavailable({ cause: new Error("It is away") }) })
