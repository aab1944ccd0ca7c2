import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { kill } from "node:process"
import { DatabaseSync } from "node:sqlite"

const isAlive = (pid: number): boolean => {
  try {
    kill(pid, 0)
    return true
  } catch (cause) {
    // Another user's process may not be signalled, but is there.
    return cause instanceof Error && "code" in cause && cause.code === "EPERM"
  }
}

/**
 * Whether a lock is held is asked by trying to read, which takes a lock of its own for a moment. So it is asked only when the
 * process that wrote its number lives: a start at this very moment is then hardly ever refused because of the question.
 */
const isLocked = (path: string): boolean => {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 0 })
  try {
    database.prepare("SELECT 1 FROM sqlite_master").all()
    return false
  } catch (cause) {
    return cause instanceof Error && "errcode" in cause && cause.errcode === 5
  } finally {
    database.close()
  }
}

/** The process that works on a data directory, by its number; `undefined` when none does. Takes nothing and needs no rights to write. */
export const directoryHolder = Effect.fn("DirectoryHolder.look")(function* (directory: string) {
  return yield* Effect.sync(() => {
    try {
      const pid = Number.parseInt(readFileSync(join(directory, "lock.pid"), "utf8"), 10)
      const path = join(directory, "lock.db")
      return Number.isInteger(pid) && isAlive(pid) && existsSync(path) && isLocked(path) ? pid : undefined
    } catch {
      // No file, or none that may be read: as far as can be seen, nobody works there.
      return undefined
    }
  })
})
