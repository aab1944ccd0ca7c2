import { Warehouse } from "@tributary/clickhouse"
import { Budgets } from "@tributary/connector"
import { directoryHolder, SqliteLog } from "@tributary/log"
import { Tokens } from "@tributary/oauth"
import { Status } from "@tributary/telemetry"
import { Secrets, SqliteTokenStore } from "@tributary/vault"
import { Effect, FileSystem, Layer, Schedule, Schema } from "effect"
import { directories } from "./Directories.ts"

/** Tokens of all authorizations: references of the files, tokens from the vault; and the budgets of their hosts. */
export const authorizations = (data: string) =>
  Tokens.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(Secrets.layer, SqliteTokenStore.layer({ directory: directories(data).vault }))),
    Layer.merge(Budgets.layer)
  )

/** The embedded engine: everything in this process and one child, everything on disk in `data`. */
export const embedded = (data: string) => {
  const { clickhouse, log } = directories(data)
  return Layer.mergeAll(Warehouse.layerEmbedded({ directory: clickhouse }), authorizations(data), Status.layer).pipe(
    // The log's lock is taken first: a second process ends here, before it starts a server.
    Layer.provideMerge(SqliteLog.layer({ directory: log }))
  )
}

/** There are no tables to query. */
export class NoData extends Schema.TaggedError<NoData>()("NoData", { directory: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${this.directory} does not exist: nothing was loaded there. Name the folder of a run with --data.`
  }
}

/** How long a process that runs on the folder may take until its tables can be reached. */
const startTimeout = "20 seconds"

/** The tables of a data folder: through the process that runs on it, else through a server started for the time being. */
export const tablesOf = (data: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { clickhouse, log } = directories(data)
      if (!(yield* fs.exists(clickhouse).pipe(Effect.orElseSucceed(() => false))))
        return yield* new NoData({ directory: clickhouse })
      // Without such a process no other server is used, though one may run: it ends with the query that it was started for.
      if ((yield* directoryHolder(log)) === undefined) return Warehouse.layerEmbedded({ directory: clickhouse })
      const beside = Warehouse.layerDirectory(clickhouse)
      yield* Warehouse.use((warehouse) => warehouse.ping).pipe(
        Effect.provide(beside),
        Effect.retry(Schedule.spaced("100 millis").pipe(Schedule.upTo({ duration: startTimeout })))
      )
      return beside
    })
  )
