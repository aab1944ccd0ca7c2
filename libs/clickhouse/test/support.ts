import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { ClickHouseServer, type InsertPlan, type SourceRecord, type TableSpec, Warehouse } from "../src/index.ts"

/** A directory that is removed with the scope. */
export const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "clickhouse-test-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** Server and warehouse on a directory of their own. */
export const Embedded = Layer.unwrap(
  Effect.map(temporaryDirectory, (directory) =>
    Warehouse.layerEmbeddedNoDeps.pipe(Layer.provideMerge(ClickHouseServer.layer({ directory })))
  )
)

/** Milliseconds since 1970. */
export const wallClock = (): number => performance.timeOrigin + performance.now()

export const record = (offset: number, json: string): SourceRecord => ({ offset, value: Buffer.from(json) })

export const records = (from: number, count: number, json: (offset: number) => string): ReadonlyArray<SourceRecord> =>
  Array.from({ length: count }, (_, k) => record(from + k, json(from + k)))

export const planOf = (first: number, last: number, more: Partial<InsertPlan> = {}): InsertPlan => ({
  topic: "shop.orders",
  topicId: "topic-1",
  partition: 0,
  first,
  last,
  plannedAt: wallClock(),
  ...more
})

export const spec = (table: string, more: Partial<TableSpec> = {}): TableSpec => ({
  database: "shop",
  table,
  mode: "append",
  orderBy: ["id"],
  schema: { id: "int64" },
  views: {},
  ...more
})
