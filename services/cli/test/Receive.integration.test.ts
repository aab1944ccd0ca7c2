import { Catalog, type Change, revisionOf } from "@tributary/catalog"
import { parseConnector } from "@tributary/domain"
import { Log, SqliteLog } from "@tributary/log"
import { Environment, Secrets } from "@tributary/secrets"
import { WebhookReceiver } from "@tributary/source"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Result } from "effect"
import { createHmac } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { receiveAll } from "../src/Receive.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-receive-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

const surroundings = Layer.unwrap(
  Effect.map(temporaryDirectory, (directory) =>
    Layer.mergeAll(
      Catalog.layer.pipe(Layer.provideMerge(SqliteLog.layer({ directory }))),
      Secrets.layer.pipe(Layer.provide(Layer.succeed(Environment, { HOOK: "the secret" }))),
      NodeServices.layer,
      Logger.layer([])
    )
  )
)

const register = (path: string): Change => {
  const text = `connector: shop\nstreams:\n  orders:\n    webhook: { signature: github, secret: "\${env:HOOK}", path: ${path} }\n`
  const { connector } = Result.getOrThrow(parseConnector(text, "shop.yaml")).connector
  return { register: { connector, file: "shop.yaml", text, scripts: [], revision: revisionOf(text, []) } }
}

const deliver = (url: string) =>
  Effect.callback<number>((resume) => {
    const signature = createHmac("sha256", "the secret").update("{}").digest("hex")
    const headers = { "x-hub-signature-256": `sha256=${signature}`, connection: "close" }
    const asked = request(url, { method: "POST", headers }, (answer) => {
      answer.resume()
      answer.on("end", () => resume(Effect.succeed(answer.statusCode ?? 0)))
    })
    asked.on("error", () => resume(Effect.succeed(0)))
    asked.end("{}")
  })

const until = <A, E, R>(look: Effect.Effect<A, E, R>, check: (found: A) => boolean) =>
  Effect.gen(function* () {
    for (;;) {
      const found = yield* look
      if (check(found)) return found
      yield* Effect.sleep("20 millis")
    }
  }).pipe(Effect.timeout("90 seconds"))

describe("every worker", () => {
  it.live("receives what is registered, as it is at any time, whoever publishes it", () =>
    Effect.gen(function* () {
      const catalog = yield* Catalog
      const log = yield* Log
      const worker = Effect.gen(function* () {
        const services = yield* Layer.build(Layer.fresh(WebhookReceiver.layer({ host: "127.0.0.1", port: 0 })))
        const data = yield* temporaryDirectory
        yield* Effect.forkScoped(Effect.provide(receiveAll(data), services))
        const address = WebhookReceiver.use((receiver) => receiver.address).pipe(
          Effect.provide(services),
          Effect.map((url) => url ?? "")
        )
        return { address }
      })
      const addresses = [yield* worker, yield* worker].map(({ address }) => address)
      const answers = (path: string, status: number) =>
        Effect.forEach(addresses, (address) =>
          until(
            Effect.flatMap(address, (url) => (url === "" ? Effect.succeed(0) : deliver(`${url}${path}`))),
            (found) => found === status
          )
        )
      yield* catalog.write([register("/one")])
      yield* answers("/one", 200)
      const [inbox] = yield* log.offsets("inbox.shop.orders")
      assert.strictEqual(inbox?.end, 2)
      // A registration that changes takes its path with it.
      yield* catalog.write([register("/two")])
      yield* answers("/two", 200)
      yield* answers("/one", 404)
    }).pipe(Effect.scoped, Effect.provide(surroundings))
  )
})
