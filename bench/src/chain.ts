import { NodeServices } from "@effect/platform-node"
import { readEndpoint, Warehouse } from "@tributary/clickhouse"
import { directories, engine, loadConnectors, Screen, screenLogger } from "@tributary/cli"
import { deadTopic, rawTopic } from "@tributary/domain"
import { Log } from "@tributary/log"
import { runSink, sinkGroup } from "@tributary/sink"
import { runSource } from "@tributary/source"
import { Duration, Effect, Layer, Redacted } from "effect"
import { mkdirSync } from "node:fs"
import { rawDownload, rawInsert } from "./raw.ts"
import { type Api, writeConnector } from "./synthetic.ts"

/** Seconds that each part took for the same records, and for what a bare program needs for them, in one process and run. */
export interface Figures {
  readonly apiToLog: number
  readonly rawDownload: number
  readonly logToClickHouse: number
  readonly rawInsert: number
  readonly endToEnd: number
  readonly rawEndToEnd: number
  readonly records: number
}

const seconds = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const started = performance.now()
    yield* effect
    return (performance.now() - started) / 1_000
  })

const topic = rawTopic("bench", "records")
const table = "bench.records"

/** Waits until the sink's position is at the end of the topic. */
const caughtUp = Effect.gen(function* () {
  const log = yield* Log
  for (;;) {
    const [position] = yield* log.positions(sinkGroup("bench", "records", table))
    const [offsets] = yield* log.offsets(topic)
    if (offsets !== undefined && offsets.end > 0 && position?.offset === offsets.end) return
    yield* Effect.sleep("10 millis")
  }
})

/** The records of the topic as bodies of JSON lines, `size` records each: what a loader without offsets would send. */
const bodies = Effect.fnUntraced(function* (size: number) {
  const log = yield* Log
  const [offsets] = yield* log.offsets(topic)
  const all: Array<Buffer> = []
  let lines: Array<Uint8Array> = []
  const newline = new Uint8Array([10])
  for (let next = 0; next < (offsets?.end ?? 0);) {
    const batch = yield* log.read(topic, 0, next, {
      maxRecords: Math.min(5_000, size - lines.length / 2),
      maxBytes: 16_777_216,
      wait: Duration.zero
    })
    for (const { value } of batch.records) lines.push(value ?? newline, newline)
    next = batch.next
    if (lines.length >= size * 2) {
      all.push(Buffer.concat(lines))
      lines = []
    }
  }
  if (lines.length > 0) all.push(Buffer.concat(lines))
  return all
})

/** One round in a fresh data folder. */
export const measure = Effect.fnUntraced(function* (api: Api, folder: string) {
  mkdirSync(folder, { recursive: true })
  const connectors = writeConnector(folder, api, true)
  const { connectors: loaded } = yield* loadConnectors(connectors)
  const { base, connector } = loaded[0]!
  const batchRows = 50_000

  const work = Effect.gen(function* () {
    const log = yield* Log
    const warehouse = yield* Warehouse
    const endpoint = yield* readEndpoint(directories(folder).clickhouse)
    const place = { ...endpoint, password: Redacted.value(endpoint.password) }

    let records = 0
    const downloaded = yield* seconds(
      Effect.promise(async () => {
        records = await rawDownload(api, () => {})
      })
    )
    const apiToLog = yield* seconds(runSource(connector, base, { once: true }))

    const sinking = yield* Effect.forkChild(runSink(connector, "records", { once: false }))
    const logToClickHouse = yield* seconds(caughtUp)
    yield* Effect.sync(() => sinking.interruptUnsafe())

    // The same bytes into a table of the same shape, in inserts of the same size.
    yield* warehouse.command(`CREATE TABLE bench.direct AS ${table}`)
    const lines = yield* bodies(batchRows)
    const inserted = yield* seconds(
      Effect.promise(async () => {
        for (const body of lines) await rawInsert(place, "bench.direct", body)
      })
    )
    const [stored] = yield* warehouse.query(
      `SELECT (SELECT count() FROM ${table}) AS loaded, (SELECT count() FROM bench.direct) AS direct`
    )
    if (Number(stored?.["loaded"]) !== records || Number(stored?.["direct"]) !== records)
      return yield* Effect.die(new Error(`of ${records} records there are ${JSON.stringify(stored)}`))

    // Everything at once: the source and the sink side by side, against one loop that reads, parses and inserts.
    for (const name of [topic, deadTopic("bench", "records"), "_tributary.checkpoints"]) yield* log.deleteTopic(name)
    yield* warehouse.command(`DROP TABLE ${table} SYNC`)
    const both = yield* Effect.forkChild(runSink(connector, "records", { once: false }))
    const endToEnd = yield* seconds(Effect.andThen(runSource(connector, base, { once: true }), caughtUp))
    yield* Effect.sync(() => both.interruptUnsafe())
    yield* warehouse.command("TRUNCATE TABLE bench.direct")
    const rawEndToEnd = yield* seconds(
      Effect.promise(async () => {
        let text: Array<string> = []
        const flush = async () => {
          await rawInsert(place, "bench.direct", Buffer.from(text.join("\n")))
          text = []
        }
        await rawDownload(api, async (page) => {
          for (const record of page.data) text.push(JSON.stringify(record))
          if (text.length >= batchRows) await flush()
        })
        if (text.length > 0) await flush()
      })
    )
    return {
      apiToLog,
      rawDownload: downloaded,
      logToClickHouse,
      rawInsert: inserted,
      endToEnd,
      rawEndToEnd,
      records
    } satisfies Figures
  })
  return yield* Effect.provide(work, engine(folder))
}, Effect.scoped)

/** What every benchmark runs on. */
export const platform = screenLogger("Warn").pipe(Layer.provideMerge(Layer.merge(Screen.layer, NodeServices.layer)))
