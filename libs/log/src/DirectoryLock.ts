import { Effect, type Scope } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pid } from "node:process"
import { DatabaseSync } from "node:sqlite"
import { LogError, LogLocked, LogUnusable } from "./LogError.ts"
import { makeDirectory } from "./makeDirectory.ts"
import { toLogError } from "./SqliteFile.ts"

const isSystemError = (cause: unknown): cause is NodeJS.ErrnoException =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string"

const directoryError =
  (directory: string) =>
  (cause: unknown): LogError => {
    if (!isSystemError(cause)) throw cause
    return new LogError({ reason: new LogUnusable({ path: directory, problem: `${cause.message}.` }) })
  }

const isBusy = (cause: unknown): boolean => cause instanceof Error && "errcode" in cause && cause.errcode === 5

const holderOf = (file: string): { readonly pid?: number } => {
  try {
    const holder = Number.parseInt(readFileSync(file, "utf8"), 10)
    return Number.isInteger(holder) ? { pid: holder } : {}
  } catch {
    // The number only makes the message better; the holder may not have written it yet.
    return {}
  }
}

/**
 * Makes the data directory if need be and holds it for this process until the scope closes. The lock is the operating
 * system's lock on a file of its own (an exclusive SQLite transaction), so it vanishes with the process, however that ends.
 * On a network file system without working locks it does not protect.
 */
export const lockDirectory = Effect.fn("DirectoryLock.lock")(function* (
  directory: string
): Effect.fn.Return<void, LogError, Scope.Scope> {
  yield* Effect.try({
    try: () => makeDirectory(directory, 0o700),
    catch: directoryError(directory)
  })
  const path = join(directory, "lock.db")
  const pidFile = join(directory, "lock.pid")
  yield* Effect.acquireRelease(
    Effect.try({
      try: () => {
        const database = new DatabaseSync(path, { timeout: 0 })
        try {
          // Nothing is ever written, so there is no need of a journal beside it.
          database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
        } catch (cause) {
          database.close()
          throw cause
        }
        return database
      },
      catch: (cause) =>
        isBusy(cause)
          ? new LogError({ reason: new LogLocked({ path: directory, ...holderOf(pidFile) }) })
          : toLogError(path)(cause)
    }),
    (database) => Effect.sync(() => database.close())
  )
  yield* Effect.try({ try: () => writeFileSync(pidFile, `${pid}\n`), catch: directoryError(directory) })
})
