import { openSource } from "@tributary/airbyte"
import {
  previewLoad,
  previewTable,
  type TableSpec,
  type TablePreview,
  Warehouse,
  type WarehouseError
} from "@tributary/clickhouse"
import type { Page } from "@tributary/connector"
import { type Connector, sinkFor, streamOf, transformSteps } from "@tributary/domain"
import { compileTransform } from "@tributary/transform"
import { Effect, Result } from "effect"
import type { LoadedConnector } from "./ConnectorFiles.ts"
import { describeMarks } from "./Marks.ts"

/** A person waits: what fails for a passing reason is not repeated for as long as in a run. */
const mostRetries = 2

/** Makes a connector ready for a person who looks at it. */
export const makeImpatient = Effect.fnUntraced(function* ({
  base,
  connector
}: Pick<LoadedConnector, "base" | "connector">) {
  const { http } = connector
  return yield* openSource({ ...connector, http: { ...http, retries: Math.min(http.retries, mostRetries) } }, { base })
})

/** The table that a stream's records are loaded into; without a sink, one that only has its fields. */
export const specOf = (connector: Connector, stream: string): TableSpec => {
  const { schema } = streamOf(connector, stream)
  const sink = sinkFor(connector, stream)
  if (sink === undefined) {
    return { database: "default", table: stream, mode: "append", orderBy: [], schema, views: {} }
  }
  const { database, mode, orderBy, partitionBy, table } = sink
  return {
    database,
    table,
    mode,
    orderBy,
    ...(partitionBy === undefined ? {} : { partitionBy }),
    schema,
    views: {}
  }
}

interface Loading {
  /** Whether that is a table which is there. */
  readonly isThere: boolean
  readonly preview: Result.Result<TablePreview, string>
}

/** What loading would do: into the table that is there, if the tables can be looked at. */
const loadingOf = (
  spec: TableSpec,
  values: ReadonlyArray<Uint8Array>,
  tables: Warehouse["Service"] | undefined
): Effect.Effect<Loading, WarehouseError> =>
  tables === undefined
    ? Effect.succeed({ isThere: false, preview: previewTable(spec, values) })
    : Effect.provideService(previewLoad(spec, values), Warehouse, tables)

/** A page of a stream as it would be published, and loaded into `tables` (without them, into a table that is made). */
export const outcomeOf = Effect.fnUntraced(function* (
  { base, connector }: Pick<LoadedConnector, "base" | "connector">,
  stream: string,
  page: Page | undefined,
  tables?: Warehouse["Service"]
) {
  const transform = yield* compileTransform(transformSteps(connector, stream), {
    connector: connector.connector,
    stream,
    base
  })
  const records = page?.records ?? []
  const { out, rejected } = transform.apply(records.map(({ key, value }, offset) => ({ offset, key, value })))
  const hasSink = sinkFor(connector, stream) !== undefined
  const { isThere, preview: table } = yield* loadingOf(
    specOf(connector, stream),
    out.map(({ value }) => value),
    hasSink ? tables : undefined
  )
  return {
    read: records.length,
    bytes: page?.bytes ?? 0,
    last: page?.last ?? true,
    out,
    rejectedBySource: (page?.rejected ?? []).map(({ reason }) => reason),
    rejectedByTransform: rejected.map(({ reason }) => reason),
    rejectedByTable: Result.isFailure(table) ? [] : table.success.rejected.map(({ reason }) => reason),
    warnings: page === undefined ? [] : describeMarks(streamOf(connector, stream), page, records.length),
    hasSink,
    isThere,
    table: Result.map(table, ({ sql }) => sql)
  }
})
