import { Context, Effect, Layer, Scope, Stream } from "effect"
import { ClickHouseServer } from "./ClickHouseServer.ts"
import { type Client, makeClient } from "./Client.ts"
import { type Endpoint, readEndpoint } from "./Endpoint.ts"
import { ensureTable, findTable } from "./EnsureTable.ts"
import type { QueryParams } from "./QueryParams.ts"
import type { ServerOptions } from "./ServerOptions.ts"
import type { FoundTable, Table, TableSpec } from "./Table.ts"
import { Misconfigured, WarehouseError } from "./WarehouseError.ts"

/** ClickHouse: tables loaded once per record, and queries. One client for the embedded server and for any other. */
export class Warehouse extends Context.Service<
  Warehouse,
  {
    /**
     * Makes database, table, missing declared columns and views. `sample` (JSON objects, the first batch) gives the types of
     * undeclared fields when the table is made; an existing table keeps its columns. Fails with `Misconfigured` when an
     * existing table cannot be loaded exactly once or has other types than declared.
     */
    readonly ensureTable: (spec: TableSpec, sample: ReadonlyArray<Uint8Array>) => Effect.Effect<Table, WarehouseError>
    /** The table as it is now, whoever made it; `undefined` when there is none. */
    readonly findTable: (database: string, table: string) => Effect.Effect<FoundTable | undefined, WarehouseError>
    /** Rows as objects. 64-bit integers and decimals are strings, so that no digit is lost. For results that fit in memory. */
    readonly query: (
      sql: string,
      params?: QueryParams
    ) => Effect.Effect<ReadonlyArray<Readonly<Record<string, unknown>>>, WarehouseError>
    /** The result's bytes in a format of ClickHouse (`PrettyCompact`, `CSVWithNames`, `JSONEachRow`), as they come. */
    readonly stream: (sql: string, format: string, params?: QueryParams) => Stream.Stream<Uint8Array, WarehouseError>
    /** A statement without result. */
    readonly command: (sql: string, params?: QueryParams) => Effect.Effect<void, WarehouseError>
    /** Succeeds when the server answers and accepts the credentials. */
    readonly ping: Effect.Effect<void, WarehouseError>
  }
>()("@tributary/clickhouse/Warehouse") {
  /** A ClickHouse server that is given: `url` is `http(s)://host:port`. */
  static readonly layerServer = (endpoint: Endpoint): Layer.Layer<Warehouse, WarehouseError> =>
    Layer.effect(Warehouse, make(Effect.succeed(endpoint)))

  /** The server of `ClickHouseServer`; follows it when a restart moves it. */
  static readonly layerEmbeddedNoDeps: Layer.Layer<Warehouse, WarehouseError, ClickHouseServer> = Layer.effect(
    Warehouse,
    Effect.flatMap(ClickHouseServer, (server) => make(server.endpoint))
  )

  /** The embedded server, started with the layer and stopped with it. */
  static readonly layerEmbedded = (options: ServerOptions): Layer.Layer<Warehouse, WarehouseError> =>
    Warehouse.layerEmbeddedNoDeps.pipe(Layer.provide(ClickHouseServer.layer(options)))

  /** The embedded server that another process runs on a directory. Fails with `Misconfigured` when none does. */
  static readonly layerDirectory = (directory: string): Layer.Layer<Warehouse, WarehouseError> =>
    Layer.effect(
      Warehouse,
      Effect.flatMap(readEndpoint(directory), (endpoint) => make(Effect.succeed(endpoint)))
    )
}

const make = Effect.fnUntraced(function* (
  endpoint: Effect.Effect<Endpoint>
): Effect.fn.Return<Warehouse["Service"], WarehouseError, Scope.Scope> {
  const scope = yield* Effect.scope
  const clientOf = (place: Endpoint) => Scope.provide(makeClient(place), scope)
  let place = yield* endpoint
  let client = yield* clientOf(place)
  const connect: Effect.Effect<Client, WarehouseError> = Effect.gen(function* () {
    const now = yield* endpoint
    if (now !== place) {
      client = yield* clientOf(now)
      place = now
    }
    return client
  })
  const use = <A>(f: (client: Client) => Effect.Effect<A, WarehouseError>) => Effect.flatMap(connect, f)

  return Warehouse.of({
    ensureTable: (spec, sample) => ensureTable(connect, spec, sample),
    findTable: (database, table) => findTable(connect, database, table),
    query: Effect.fn("Warehouse.query")((sql: string, params?: QueryParams) =>
      use((client) => client.rows("query", sql, params))
    ),
    command: Effect.fn("Warehouse.command")((sql: string, params?: QueryParams) =>
      use((client) => client.command("statement", sql, params))
    ),
    stream: (sql, format, params) =>
      Stream.unwrap(
        /^\w+$/u.test(format)
          ? use((client) =>
              Effect.succeed(client.stream("query", `${sql.replace(/;\s*$/u, "")}\nFORMAT ${format}`, params))
            )
          : Effect.fail(
              new WarehouseError({
                action: "query",
                reason: new Misconfigured({
                  code: 0,
                  name: "UNKNOWN_FORMAT",
                  detail: `"${format}" is no name of a format.`,
                  advice: "Use one of ClickHouse's, as PrettyCompact, CSVWithNames, JSONEachRow."
                })
              })
            )
      ),
    ping: Effect.asVoid(use((client) => client.rows("ping", "SELECT 1")))
  })
})
