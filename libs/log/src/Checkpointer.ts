/* oxlint-disable unicorn/require-post-message-target-origin -- threads have no origin */
import { Worker } from "node:worker_threads"

/**
 * What the thread runs. It is handed over as its text, so that no module is loaded there: it may name nothing outside itself. A
 * checkpoint that fails, as on a full disk, ends it; the WAL stays as it is.
 */
const work = (): void => {
  // oxlint-disable-next-line no-restricted-globals -- nothing is imported where this runs
  const { getBuiltinModule } = process
  const { DatabaseSync } = getBuiltinModule("node:sqlite")
  const { parentPort, workerData } = getBuiltinModule("node:worker_threads")
  const database = new DatabaseSync(String(workerData))
  database.exec("PRAGMA wal_autocheckpoint = 0")
  database.exec("PRAGMA cache_size = -256")
  parentPort?.on("message", (isLast: boolean) => {
    if (isLast) {
      database.close()
      parentPort?.close()
      return
    }
    database.exec("PRAGMA wal_checkpoint(PASSIVE)")
    parentPort?.postMessage(true)
  })
}

/**
 * Copies the WAL of a database into the database, in a thread beside the one that writes: a checkpoint waits twice for the disk, and the
 * writer's thread is that of everything else. It takes only what is committed and holds up neither writers nor readers (`PASSIVE`).
 */
export class Checkpointer {
  readonly #path: string
  readonly #failed: () => void
  /** Made when it is first needed: most processes write little. */
  #worker: Worker | undefined
  #isOver = false
  #isBusy = false
  /** Asked for while one was under way. */
  #isWanted = false

  /** `failed`: the thread has ended by itself. The writer is to make its checkpoints again. */
  constructor(path: string, failed: () => void) {
    this.#path = path
    this.#failed = failed
  }

  /** Asks for a checkpoint and returns at once. */
  ask(): void {
    if (this.#isOver) return
    if (this.#isBusy) {
      this.#isWanted = true
      return
    }
    this.#isBusy = true
    // Who asks has just committed: that there is no thread must not look as if that had failed, or it would be written again.
    try {
      this.#worker ??= this.#start()
      this.#worker.postMessage(false)
    } catch {
      this.#isOver = true
      this.#failed()
    }
  }

  #start(): Worker {
    const worker = new Worker(`(${work.toString()})()`, {
      eval: true,
      workerData: this.#path,
      execArgv: [],
      // It holds a few objects.
      resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 }
    })
    worker.on("message", () => {
      this.#isBusy = false
      if (!this.#isWanted) return
      this.#isWanted = false
      this.ask()
    })
    // It ends then. The writer's own checkpoint meets what is wrong, or does not.
    worker.on("error", () => undefined)
    worker.on("exit", () => {
      this.#worker = undefined
      if (this.#isOver) return
      this.#isOver = true
      this.#failed()
    })
    worker.unref()
    return worker
  }

  /** Waits until a checkpoint that is under way is done and the thread has closed the database. */
  close(): Promise<void> {
    this.#isOver = true
    const worker = this.#worker
    if (worker === undefined) return Promise.resolve()
    return new Promise((done) => {
      worker.ref()
      worker.once("exit", () => done())
      worker.postMessage(true)
    })
  }
}
