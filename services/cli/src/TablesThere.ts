import { Warehouse } from "@tributary/clickhouse"
import { directoryHolder } from "@tributary/log"
import { Effect, FileSystem, Layer, Option, Path, Result } from "effect"
import { directories } from "./Directories.ts"
import { Screen } from "./Screen.ts"
import { servers } from "./Servers.ts"

/**
 * The tables of a data folder for a command that only compares with them: of a server that is named or runs already, or with `starts`
 * of one that is started for it. `undefined`: there are none, or they cannot be reached, which is said.
 */
export const tablesThere = Effect.fnUntraced(function* (data: string, starts: boolean) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const screen = yield* Screen
  const { clickhouse, log } = directories(path.resolve(data))
  const { clickhouse: given } = yield* servers
  const isThere = Option.isSome(given) || (yield* fs.exists(clickhouse).pipe(Effect.orElseSucceed(() => false)))
  if (!isThere) return undefined
  const isRunning = Option.isNone(given) && (yield* directoryHolder(log)) !== undefined
  if (Option.isNone(given) && !isRunning && !starts) return undefined
  const layer = Option.isSome(given)
    ? Warehouse.layerServer(given.value)
    : isRunning
      ? Warehouse.layerDirectory(clickhouse)
      : Warehouse.layerEmbedded({ directory: clickhouse })
  const found = yield* Layer.build(layer).pipe(
    Effect.flatMap((context) =>
      Effect.provide(
        Effect.tap(Warehouse, ({ ping }) => ping),
        context
      )
    ),
    Effect.result
  )
  if (Result.isSuccess(found)) return found.success
  yield* screen.note(`The tables that are there cannot be looked at: ${found.failure.message}`)
  return undefined
})
