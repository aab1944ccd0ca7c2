import { assert, describe, it } from "@effect/vitest"
import { Alert, Alerts, Status } from "@tributary/telemetry"
import { ConfigProvider, Effect, Layer, Schema } from "effect"
import { createServer } from "node:http"

const decode = Schema.decodeSync(Schema.fromJsonString(Alert))

/** A webhook that answers as told, 200 when nothing is left of that. */
const webhook = Effect.fnUntraced(function* (...statuses: ReadonlyArray<number>) {
  const answers = [...statuses]
  const received: Array<string> = []
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      received.push(Buffer.concat(chunks).toString())
      const status = answers.shift() ?? 200
      response.writeHead(status, status === 302 ? { location: "/elsewhere" } : {}).end()
    })
  })
  yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
  yield* Effect.addFinalizer(() => Effect.sync(() => (server.close(), server.closeAllConnections())))
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return { received, url: `http://127.0.0.1:${port}/hook` }
})

const alertsWith = (settings: Record<string, string>) =>
  Alerts.layer.pipe(
    Layer.provideMerge(Status.layer),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(settings)))
  )

const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.sleep("10 millis"), until(condition))))

const expired = {
  kind: "needs-consent",
  authorization: "shop",
  connectors: ["orders"],
  class: "needs-consent",
  message: "Authorization shop: consent again."
} as const

describe("alerts", () => {
  it.live("are sent to the webhook once, again when it fails, and when they are over", () =>
    Effect.gen(function* () {
      const { received, url } = yield* webhook(500, 302)
      yield* Effect.gen(function* () {
        const alerts = yield* Alerts
        yield* alerts.raise(expired)
        yield* alerts.raise(expired)
        yield* until(() => received.length === 3)
        assert.deepStrictEqual(new Set(received).size, 1)
        const { at, ...rest } = decode(received[0] ?? "")
        assert.isAbove(at, 0)
        assert.deepStrictEqual(rest, { ...expired, state: "raised" })
        assert.strictEqual((yield* alerts.active).length, 1)
        yield* alerts.resolve("needs-consent", "shop", "It has a token again.")
        yield* alerts.resolve("needs-consent", "shop", "It has a token again.")
        yield* until(() => received.length === 4)
        assert.strictEqual(decode(received[3] ?? "").state, "resolved")
        assert.deepStrictEqual(yield* alerts.active, [])
      }).pipe(Effect.provide(alertsWith({ TRIBUTARY_ALERT_WEBHOOK: url })))
    })
  )

  it.live("stand in the status of their connectors while they last", () =>
    Effect.gen(function* () {
      const status = yield* Status
      const alerts = yield* Alerts
      yield* status.reporter("orders", "items", "source")
      yield* alerts.raise(expired)
      const notices = Effect.map(status.snapshot, ([stream]) =>
        stream?.notices?.map(({ kind, message }) => [kind, message])
      )
      assert.deepStrictEqual(yield* notices, [["needs-consent", expired.message]])
      yield* alerts.resolve("needs-consent", "shop", "over")
      assert.strictEqual(yield* notices, undefined)
    }).pipe(Effect.provide(alertsWith({})))
  )

  it.live("refuse a webhook that is none, without showing it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(Alerts, alertsWith({ TRIBUTARY_ALERT_WEBHOOK: "secret-word" })))
      assert.match(error.message, /TRIBUTARY_ALERT_WEBHOOK is not an address/)
      assert.notInclude(error.message, "secret-word")
    })
  )
})
