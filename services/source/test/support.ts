import type { ServerResponse } from "node:http"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Budgets, Checkpoint } from "@tributary/connector"
import { checkpointsTopic, Connector, streamKey } from "@tributary/domain"
import { Log, type LogRecord, SqliteLog } from "@tributary/log"
import { Tokens } from "@tributary/oauth"
import { layerMemory } from "@tributary/schema-registry"
import { Status } from "@tributary/telemetry"
import { serve, startSyntheticApi, type SyntheticSettings } from "@tributary/testkit"
import { Environment, Secrets } from "@tributary/secrets"
import { Leases, TokenStore } from "@tributary/vault"
import { Duration, Effect, Layer, Logger, Schema } from "effect"
import { runSource } from "../src/index.ts"

const secrets = Secrets.layer.pipe(
  Layer.provide(Layer.succeed(Environment, { SHOP_SECRET: "client-secret", SHOP_WRONG: "another" }))
)

const log = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "source-test-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    ),
    (directory) => SqliteLog.layer({ directory })
  )
)

const needed = Layer.mergeAll(
  log,
  layerMemory,
  Budgets.layer,
  secrets,
  Tokens.layer.pipe(Layer.provide([secrets, TokenStore.layerMemory, Leases.layerMemory, Budgets.layer])),
  Status.layer,
  Logger.layer([])
)
export type Services = Layer.Success<typeof needed>

/** Runs a test with a real log and everything else that a source needs, all its own. */
export const withServices = <A, E, R>(body: Effect.Effect<A, E, R>) =>
  Effect.provide(body, needed, { local: true }) satisfies Effect.Effect<A, unknown, Exclude<R, Services>>

export const synthetic = (settings: Partial<SyntheticSettings> = {}) =>
  Effect.acquireRelease(
    Effect.promise(() => startSyntheticApi({ auth: false, ...settings })),
    (api) => Effect.promise(() => api.stop())
  )

export { serve }

export const answer = (response: ServerResponse, body: string, status = 200) => {
  response.writeHead(status, { "content-type": "application/json" })
  response.end(body)
}

const decode = Schema.decodeUnknownSync(Connector)

/** A connector `shop` that reads streams of an API. */
export const connector = (
  url: string,
  streams: Record<string, Record<string, unknown>> = { items: {} },
  more: Record<string, unknown> = {}
): Connector =>
  decode({
    connector: "shop",
    http: { base_url: url, retries: 0 },
    streams: Object.fromEntries(
      Object.entries(streams).map(([name, settings]) => [
        name,
        {
          path: "/records",
          records: "$.data[*]",
          primary_key: "id",
          pagination: { cursor: "$.next", param: "cursor" },
          poll: "every 1 hour",
          ...settings
        }
      ])
    ),
    ...more
  })

export const run = (settings: Connector, once: boolean) => runSource(settings, import.meta.dirname, { once })

export const text = (bytes: Uint8Array | null): string => (bytes === null ? "" : Buffer.from(bytes).toString())

/** Everything in a topic of one partition. */
export const everything = Effect.fnUntraced(function* (topic: string) {
  const service = yield* Log
  const records: Array<LogRecord> = []
  const [offsets] = yield* service.offsets(topic)
  for (let next = offsets?.earliest ?? 0; next < (offsets?.end ?? 0);) {
    const batch = yield* service.read(topic, 0, next, {
      maxRecords: 100_000,
      maxBytes: 100_000_000,
      wait: Duration.zero
    })
    records.push(...batch.records)
    next = batch.next
  }
  return records
})

/** Keys of the records of a stream in their topic. */
export const keys = (stream = "items") =>
  Effect.map(everything(`raw.shop.${stream}`), (records) => records.map(({ key }) => text(key)))

/** The keys of the first records of the synthetic API. */
export const keysUpTo = (count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, index) => `evt_${String(index).padStart(10, "0")}`)

const decodeCheckpoint = Schema.decodeUnknownEffect(Schema.fromJsonString(Checkpoint))

export const checkpoint = Effect.fnUntraced(function* (stream = "items") {
  const service = yield* Log
  const known = yield* service.topics
  if (!known.some(({ name }) => name === checkpointsTopic)) return undefined
  const stored = yield* service.latest(checkpointsTopic, Buffer.from(streamKey("shop", stream)))
  return stored === null ? undefined : yield* decodeCheckpoint(text(stored))
})

export const stage = (stream = "items") =>
  Effect.map(
    Effect.flatMap(Status, ({ snapshot }) => snapshot),
    (entries) => entries.find((entry) => entry.stream === stream)?.stages.source
  )

/** Waits until `check` is true; fails after 20 seconds. */
export const until = <A, E, R>(look: Effect.Effect<A, E, R>, check: (found: A) => boolean) =>
  Effect.gen(function* () {
    for (;;) {
      const found = yield* look
      if (check(found)) return found
      yield* Effect.sleep("5 millis")
    }
  }).pipe(Effect.timeout("20 seconds"))

/** The log, with some of it done otherwise. */
export const logWith = (change: (log: Log["Service"]) => Partial<Log["Service"]>) =>
  Layer.effect(
    Log,
    Effect.map(Log, (log) => Log.of({ ...log, ...change(log) }))
  )

/** The log, with something before and after each transaction. */
export const around = (before: (n: number) => Effect.Effect<void>, after: (n: number) => Effect.Effect<void>) =>
  logWith((log) => {
    let transactions = 0
    return {
      producer: (id) =>
        Effect.map(log.producer(id), (producer) => ({
          transact: (transaction) =>
            Effect.suspend(() => {
              const n = transactions++
              return before(n).pipe(Effect.andThen(producer.transact(transaction)), Effect.tap(after(n)))
            })
        }))
    }
  })
