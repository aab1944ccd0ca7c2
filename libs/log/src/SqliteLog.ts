import { Cause, Clock, Context, Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { join } from "node:path"
import { infoOf, invalid } from "./Catalog.ts"
import { Checkpointer } from "./Checkpointer.ts"
import { lockDirectory } from "./DirectoryLock.ts"
import { GroupCoordinator, type Member } from "./GroupCoordinator.ts"
import { type Claim, type GroupOptions, Log, type Transaction } from "./Log.ts"
import { Fenced, LogError } from "./LogError.ts"
import { LogMaintenance } from "./LogMaintenance.ts"
import { fileName, openFile } from "./OpenLog.ts"
import { checkCommit, checkOwner, ownershipOf, writeCommit } from "./Ownership.ts"
import { reads, type Source } from "./Reading.ts"
import { retain } from "./Retention.ts"
import { Storage } from "./Storage.ts"
import { Tail } from "./Tail.ts"

export { layerReadOnly } from "./SqliteLogReadOnly.ts"

export interface SqliteLogOptions {
  /** The data directory. It is made when it is not there; the log's own file in it is `log.db`. */
  readonly directory: string
  /**
   * What a transaction that succeeded survives. `process` (the default): the end of the process at any moment, `kill -9`
   * included, but a power cut may take the last transactions, whole ones only (SQLite's `synchronous = NORMAL`). `power`: a
   * power cut too, at the price of an fsync per transaction (`synchronous = FULL`).
   */
  readonly durability?: "process" | "power"
  /** Size in bytes that `log.db` never exceeds: writes fail with `LogFull` until retention has made room. No limit by default. */
  readonly maxBytes?: number
}

/** How often retention is applied. */
const retentionInterval = "10 seconds"

/** How long closing waits for work that was interrupted. */
const closeTimeout = "30 seconds"

const now = Effect.map(Clock.currentTimeMillis, Math.trunc)

const make = Effect.fnUntraced(function* (options: SqliteLogOptions) {
  yield* lockDirectory(options.directory)
  // Released after the file is closed, so that those who are woken find it closed.
  const tail = yield* Effect.acquireRelease(
    Effect.sync(() => new Tail()),
    (tail) => Effect.sync(() => tail.wakeAll())
  )
  const file = yield* openFile({
    path: join(options.directory, fileName),
    readOnly: false,
    synchronous: options.durability === "power" ? "FULL" : "NORMAL",
    ...(options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes })
  })
  // Closed before the file, so that the last one to close the database is the one that has the directory.
  yield* Effect.acquireRelease(
    file.attempt(() => {
      const checkpointer = new Checkpointer(file.path, () => file.checkpointBeside(undefined))
      file.checkpointBeside(() => checkpointer.ask())
      return checkpointer
    }),
    (checkpointer) =>
      Effect.timeoutOption(
        Effect.promise(() => checkpointer.close()),
        closeTimeout
      )
  )
  const storage = yield* file.attempt(() => new Storage(file, tail))
  const source: Source = {
    file,
    catalog: storage,
    // All writes are this thread's, so synchronous code sees one state anyway.
    consistently: (body) => body(),
    beyond: (partition, end) => tail.beyond(partition, end)
  }
  const coordinator = yield* Effect.acquireRelease(
    file.attempt(() => new GroupCoordinator(storage, source)),
    (coordinator) => Effect.timeoutOption(coordinator.close(), closeTimeout)
  )

  const producer = Effect.fn("Log.producer")(function* (transactionalId: string) {
    const epoch = yield* file.attempt(() => storage.fence(transactionalId))
    let closed = false
    yield* Effect.addFinalizer(() => Effect.sync(() => (closed = true)))
    const check = ({ consumed }: Transaction): void => {
      if (closed) throw invalid(`The producer ${transactionalId} was used after its scope had closed.`)
      if (storage.epoch(transactionalId) !== epoch)
        throw new LogError({ reason: new Fenced({ what: `Transactional id ${transactionalId}` }) })
      if (consumed === undefined) return
      const held = ownershipOf(consumed.claim)
      checkOwner(file, held)
      writeCommit(file, held, consumed.offset, "")
    }
    const transact = Effect.fn("Producer.transact")(function* (transaction: Transaction) {
      const time = yield* now
      return yield* file.attempt(() => {
        if (transaction.consumed !== undefined) checkCommit(transaction.consumed.offset, "")
        return storage.append(transaction.records, time, () => check(transaction))
      })
    })
    return { transact }
  })

  // Without a span: it would be open for as long as the member lives.
  const consume = Effect.fnUntraced(function* <E, R>(
    { group, topics }: GroupOptions,
    work: (claim: Claim) => Effect.Effect<never, E, R>
  ): Effect.fn.Return<never, LogError | E, R> {
    const context = yield* Effect.context<R>()
    const failed = yield* Deferred.make<never, LogError | E>()
    const fork = Effect.runForkWith(context)
    const member: Member = {
      topics: new Set(topics),
      leaving: false,
      start: (claim, ended) => {
        // Not at once: the coordinator is in the middle of its changes when it starts work.
        const fiber = fork(Effect.andThen(Effect.yieldNow, work(claim)))
        fiber.addObserver((exit) => {
          const asked = ended()
          // Work that fails while it is being revoked fails its member too.
          if (Exit.isFailure(exit) && !(asked && Cause.hasInterruptsOnly(exit.cause))) Deferred.doneUnsafe(failed, exit)
        })
        return { interrupt: () => fiber.interruptUnsafe(), await: Fiber.await(fiber) }
      },
      fail: (error) => Deferred.doneUnsafe(failed, Effect.fail(error))
    }
    return yield* Effect.acquireUseRelease(
      coordinator.join(group, member),
      () => Deferred.await(failed),
      () => coordinator.leave(group, member)
    )
  })

  const maintenance = LogMaintenance.of({ retain: retain(storage) })
  yield* Effect.sleep(retentionInterval).pipe(
    Effect.andThen(maintenance.retain),
    Effect.catchCause((cause) => Effect.logWarning("Retention failed; it is tried again.", cause)),
    Effect.forever,
    Effect.forkScoped
  )

  const log = Log.of({
    ...reads(source),
    ensureTopic: Effect.fn("Log.ensureTopic")(function* (spec) {
      return yield* file.attempt(() => {
        const { grown, topic } = storage.ensureTopic(spec)
        if (grown) coordinator.topicChanged(topic.name)
        return infoOf(topic)
      })
    }),
    deleteTopic: Effect.fn("Log.deleteTopic")(function* (name) {
      return yield* file.attempt(() => {
        storage.deleteTopic(name)
        coordinator.topicChanged(name)
      })
    }),
    publish: Effect.fn("Log.publish")(function* (records) {
      const time = yield* now
      return yield* file.attempt(() => storage.append(records, time, () => {}))
    }),
    producer,
    consume
  })
  return Context.make(Log, log).pipe(Context.add(LogMaintenance, maintenance))
})

/**
 * The log in one SQLite file (WAL mode), with everything done by this process. One process at a time has a data directory; a
 * second one fails with `LogLocked` at once. SQLite is called synchronously: a transaction of a page of 1 to 2 MB takes a few
 * milliseconds of this thread.
 */
export const layer = (options: SqliteLogOptions): Layer.Layer<Log | LogMaintenance, LogError> =>
  Layer.effectContext(make(options))
