import { Warehouse, type WarehouseError } from "@tributary/clickhouse"
import type { SinkView } from "@tributary/domain"
import { Duration, Effect, Schedule } from "effect"

const quote = (identifier: string): string => `\`${identifier.replace(/[\\`]/g, "\\$&")}\``

const pauses = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")]).pipe(Schedule.jittered)

const longestLastTry = Duration.seconds(5)

const unknownTable = 60
const unknownDatabase = 81
const isCode = ({ reason }: WarehouseError, ...codes: ReadonlyArray<number>): boolean =>
  reason._tag === "Misconfigured" && codes.includes(reason.code)

/**
 * Keeps the views of a connector file until the scope closes: each is replaced by its current SELECT. A view may read tables
 * that other streams have yet to make, so one that cannot be made now is tried again until it can, and with `once` a last time
 * at the end of the scope; records do not wait for it.
 */
export const keepViews = Effect.fn("sink.views")(function* (views: ReadonlyArray<SinkView>, once: boolean) {
  const warehouse = yield* Warehouse
  const waiting = new Set(views)
  const make = Effect.fnUntraced(function* (view: SinkView) {
    const { database, name, select } = view
    const create = warehouse.command(`CREATE OR REPLACE VIEW ${quote(database)}.${quote(name)} AS ${select}`)
    yield* Effect.catchIf(
      create,
      (error) => isCode(error, unknownDatabase),
      () => Effect.andThen(warehouse.command(`CREATE DATABASE IF NOT EXISTS ${quote(database)}`), create)
    )
    waiting.delete(view)
  })
  const told = new Set<string>()
  const tell = (view: SinkView, error: WarehouseError) =>
    Effect.suspend(() => {
      // What the view reads may still have to be made; everything else is said, once.
      const isNew = !told.has(error.message) && !isCode(error, unknownTable, unknownDatabase)
      told.add(error.message)
      return (isNew ? Effect.logWarning : Effect.logDebug)(
        `The view ${view.database}.${view.name} cannot be made; it is tried again. ${error.message}`
      )
    })
  if (once) {
    const lastTry = (view: SinkView) =>
      make(view).pipe(
        Effect.tapError((error) =>
          Effect.logError(`The view ${view.database}.${view.name} was not made. ${error.message}`)
        ),
        Effect.ignore
      )
    yield* Effect.addFinalizer(() =>
      Effect.timeoutOption(
        Effect.suspend(() => Effect.forEach([...waiting], lastTry, { discard: true })),
        longestLastTry
      )
    )
  }
  yield* Effect.forEach(
    views,
    (view) =>
      make(view).pipe(
        Effect.tapError((error) => tell(view, error)),
        Effect.retry(pauses)
      ),
    { concurrency: "unbounded", discard: true }
  ).pipe(Effect.forkScoped)
})
