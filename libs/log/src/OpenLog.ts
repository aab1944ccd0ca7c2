import { Effect, type Scope } from "effect"
import { makeSchema, schemaProblem } from "./Catalog.ts"
import { LogError, LogUnusable } from "./LogError.ts"
import { SqliteFile, type SqliteFileOptions, toLogError } from "./SqliteFile.ts"

/** The log's file inside a data directory. */
export const fileName = "log.db"

/** Opens the database, makes its tables if it is new, and refuses one that is not a log of this version. */
export const openFile = Effect.fnUntraced(function* (
  options: SqliteFileOptions
): Effect.fn.Return<SqliteFile, LogError, Scope.Scope> {
  const file = yield* Effect.acquireRelease(
    Effect.try({ try: () => new SqliteFile(options), catch: toLogError(options.path) }),
    (file) => Effect.sync(() => file.close())
  )
  const problem = yield* file.attempt(() => {
    if (!options.readOnly) makeSchema(file)
    return schemaProblem(file)
  })
  if (problem !== undefined) return yield* new LogError({ reason: new LogUnusable({ path: options.path, problem }) })
  return file
})
