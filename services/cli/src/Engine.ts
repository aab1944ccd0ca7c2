import { Warehouse } from "@tributary/clickhouse"
import { Budgets } from "@tributary/connector"
import { SqliteLog } from "@tributary/log"
import { Tokens } from "@tributary/oauth"
import { Status } from "@tributary/telemetry"
import { Secrets, SqliteTokenStore } from "@tributary/vault"
import { Effect, FileSystem, Layer, Schema } from "effect"
import { join } from "node:path"

/** Where the parts of the embedded engine keep their files. */
export const directories = (data: string) => ({
  log: join(data, "log"),
  vault: join(data, "vault"),
  clickhouse: join(data, "clickhouse")
})

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

/** The tables of a data folder: through the process that runs on it, else through a server started for the time being. */
export const tablesOf = (data: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { clickhouse } = directories(data)
      if (!(yield* fs.exists(clickhouse).pipe(Effect.orElseSucceed(() => false))))
        return yield* new NoData({ directory: clickhouse })
      const beside = Warehouse.layerDirectory(clickhouse)
      const answers = yield* Warehouse.use((warehouse) => warehouse.ping).pipe(Effect.provide(beside), Effect.isSuccess)
      return answers ? beside : Warehouse.layerEmbedded({ directory: clickhouse })
    })
  )
