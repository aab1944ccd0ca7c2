import { Effect } from "effect"
import { type FSWatcher, watch } from "node:fs"
import { basename, dirname } from "node:path"

/**
 * Tells when another process writes a SQLite database in WAL mode: each of its commits writes the `-wal` file. The directory
 * is watched, because the file comes and goes.
 */
export class CommitWatcher {
  readonly #watcher: FSWatcher
  readonly #waiting = new Set<() => void>()

  /** Throws system errors (too many watches, no such directory). */
  constructor(database: string) {
    const file = `${basename(database)}-wal`
    this.#watcher = watch(dirname(database), { persistent: false }, (_event, name) => {
      if (name === null || name === file) this.#wake()
    })
    // Without events readers still look once a second.
    this.#watcher.on("error", () => this.#watcher.close())
  }

  #wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  /** The next write after the call. */
  readonly written: Effect.Effect<void> = Effect.callback<void>((resume) => {
    const wake = () => resume(Effect.void)
    this.#waiting.add(wake)
    return Effect.sync(() => this.#waiting.delete(wake))
  })

  close(): void {
    this.#watcher.close()
    this.#wake()
  }
}
