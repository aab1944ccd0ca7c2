import { Effect, Layer, Option } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { invalid, type Partition, storedCatalog } from "./Catalog.ts"
import { CommitWatcher } from "./CommitWatcher.ts"
import { Log, type Offset } from "./Log.ts"
import { LogError, LogUnavailable, LogUnusable } from "./LogError.ts"
import { fileName, openFile } from "./OpenLog.ts"
import { reads, type Source } from "./Reading.ts"
import { integer, type SqliteFile } from "./SqliteFile.ts"

/**
 * Pauses between looks at the database after the WAL was written. The file is written a moment before the commit becomes
 * visible (with an fsync in between, in `power` durability), so one look after the event could be too early.
 */
const looks = [2, 8, 32, 128, 500]

/**
 * Without an event: file events do not cross the borders of network file systems and of directories that a container shares
 * with its host, so look once in a while.
 */
const safetyLook = 1000

const endOf = (file: SqliteFile, partition: Partition): Offset | undefined => {
  const row = file.get("SELECT end FROM partitions WHERE id = ?", partition.id)
  return row && integer(row, "end")
}

const beyond = (file: SqliteFile, watcher: CommitWatcher, partition: Partition, end: Offset) =>
  Effect.gen(function* () {
    let look = looks.length
    for (;;) {
      // Look and listen happen in one turn of the event loop: what is written after the look is heard.
      const woken = yield* file
        .attempt(() => endOf(file, partition))
        .pipe(
          Effect.flatMap((now) =>
            now === end
              ? Effect.map(Effect.timeoutOption(watcher.written, looks[look] ?? safetyLook), (event) =>
                  Option.isSome(event) ? "written" : "waited"
                )
              : Effect.succeed("moved")
          )
        )
      if (woken === "moved") return
      look = woken === "written" ? 0 : look + 1
    }
  })

const refuse = (call: string) =>
  Effect.fail(
    invalid(`The log was opened for reading only, so ${call} is not possible. Ask the process that runs it to do this.`)
  )

const make = Effect.fnUntraced(function* (directory: string) {
  const path = join(directory, fileName)
  if (!existsSync(path))
    return yield* new LogError({
      reason: new LogUnusable({ path, problem: "it does not exist. Start Tributary on this directory first." })
    })
  // Released after the file is closed, so that those who are woken find it closed.
  const watcher = yield* Effect.acquireRelease(
    Effect.try({
      try: () => new CommitWatcher(path),
      catch: (cause) => new LogError({ reason: new LogUnavailable({ cause }) })
    }),
    (watcher) => Effect.sync(() => watcher.close())
  )
  const file = yield* openFile({ path, readOnly: true, synchronous: "NORMAL" })
  const source: Source = {
    file,
    catalog: storedCatalog(file),
    consistently: (body) => file.snapshot(body),
    beyond: (partition, end) => beyond(file, watcher, partition, end)
  }
  return Log.of({
    ...reads(source),
    ensureTopic: () => refuse("ensureTopic"),
    deleteTopic: () => refuse("deleteTopic"),
    publish: () => refuse("publish"),
    producer: () => refuse("producer"),
    consume: () => refuse("consume")
  })
})

/**
 * Reads the log of a process that may be running, in another process: `topics`, `offsets`, `read`, `latest` and `positions`
 * see what is committed; calls that write fail with `InvalidRequest`. It takes no lock and does not hold up the writer.
 */
export const layerReadOnly = (options: { readonly directory: string }): Layer.Layer<Log, LogError> =>
  Layer.effect(Log, make(options.directory))
