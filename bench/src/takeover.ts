// How long a worker that takes over a webhook stream needs before it publishes: it has to know the last 200,000 deliveries.
//   npm run bench:takeover
//   npm run bench:takeover -- --deliveries 20000 --body 100000
import { Budgets } from "@tributary/connector"
import { Connector, inboxTopic, seenTopic } from "@tributary/domain"
import { Log, SqliteLog } from "@tributary/log"
import { Tokens } from "@tributary/oauth"
import { layerMemory } from "@tributary/schema-registry"
import { Environment, Secrets } from "@tributary/secrets"
import { runSource } from "@tributary/source"
import { Status } from "@tributary/telemetry"
import { Leases, TokenStore } from "@tributary/vault"
import { Duration, Effect, Layer, Logger, Schema } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: { deliveries: { type: "string", default: "200000" }, body: { type: "string", default: "1000" } }
})
const deliveries = Number(values.deliveries)
const body = Number(values.body)

const decode: (file: unknown) => Connector = Schema.decodeUnknownSync(Connector)
const connector = decode({
  connector: "shop",
  streams: { orders: { webhook: { signature: "github", secret: "${env:SECRET}" }, primary_key: "id" } }
})
const directory = mkdtempSync(join(tmpdir(), "tributary-takeover-"))
const secrets = Secrets.layer.pipe(Layer.provide(Layer.succeed(Environment, { SECRET: "a secret" })))
const services = Layer.mergeAll(
  SqliteLog.layer({ directory }),
  layerMemory,
  Budgets.layer,
  secrets,
  Tokens.layer.pipe(Layer.provide([secrets, TokenStore.layerMemory, Leases.layerMemory, Budgets.layer])),
  Status.layer,
  Logger.layer([])
)
const utf8 = new TextEncoder()
const print = (text: string) => Effect.sync(() => void process.stdout.write(`${text}\n`))

const filler = "x".repeat(body)
const publish = Effect.fnUntraced(function* (first: number, count: number) {
  const log = yield* Log
  const most = Math.max(1, Math.min(1000, Math.floor(4_000_000 / body)))
  for (let at = first; at < first + count; at += most) {
    const records = Array.from({ length: Math.min(most, first + count - at) }, (_, index) => ({
      topic: inboxTopic("shop", "orders"),
      key: utf8.encode(`id:delivery-${at + index}`),
      value: utf8.encode(`{"id":"${at + index}","text":"${filler}"}`)
    }))
    yield* log.publish(records)
  }
})

const timed = <A, E, R>(what: string, work: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.timed(work), ([took, found]) =>
    Effect.as(print(`${what}: ${(Duration.toMillis(took) / 1000).toFixed(2)} s`), found)
  )

const run = runSource(connector, directory, { once: true })

await Effect.runPromise(
  Effect.gen(function* () {
    const log = yield* Log
    yield* run
    yield* timed(`${deliveries} deliveries of ${body} bytes written to the inbox`, publish(0, deliveries))
    yield* timed("published", run)
    yield* publish(deliveries, 1)
    yield* timed("a worker that takes over, and publishes one more", run)
    yield* publish(deliveries + 1, 1)
    yield* log.deleteTopic(seenTopic("shop", "orders"))
    yield* timed("the same with the ids read from the inbox, as when their topic is lost", run)
  }).pipe(Effect.provide(services), Effect.scoped)
).finally(() => rmSync(directory, { recursive: true, force: true }))
