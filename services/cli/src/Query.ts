import { Warehouse } from "@tributary/clickhouse"
import { Effect, Stream } from "effect"
import { Screen } from "./Screen.ts"

/** Runs SQL and prints its result: a table for a person, one JSON object per row with `json`. */
export const query = Effect.fn("cli.query")(function* (sql: string, json: boolean) {
  const warehouse = yield* Warehouse
  const screen = yield* Screen
  const format = json ? "JSONEachRow" : screen.isTerminal ? "PrettyCompactMonoBlock" : "PrettySpaceNoEscapesMonoBlock"
  yield* Stream.runForEach(warehouse.stream(sql, format), screen.write)
})
