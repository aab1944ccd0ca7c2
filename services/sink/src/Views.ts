import { Warehouse } from "@tributary/clickhouse"
import type { SinkView } from "@tributary/domain"
import { Effect, Schedule } from "effect"

const quote = (identifier: string): string => `\`${identifier.replace(/[\\`]/g, "\\$&")}\``

/**
 * Keeps the views of a connector file: each is replaced by its current SELECT. A view may read tables that other streams have
 * yet to make, so one that cannot be made now is tried again until it can; records do not wait for it.
 */
export const keepViews = Effect.fn("sink.views")(function* (views: ReadonlyArray<SinkView>) {
  const warehouse = yield* Warehouse
  yield* Effect.forEach(
    views,
    ({ database, name, select }) =>
      warehouse.command(`CREATE OR REPLACE VIEW ${quote(database)}.${quote(name)} AS ${select}`).pipe(
        Effect.tapError((error) =>
          Effect.logDebug(error.message).pipe(Effect.annotateLogs({ view: `${database}.${name}` }))
        ),
        Effect.retry(
          Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("10 seconds")]).pipe(Schedule.jittered)
        )
      ),
    { concurrency: "unbounded", discard: true }
  )
})
