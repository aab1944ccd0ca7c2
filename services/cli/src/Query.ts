import { Warehouse, type WarehouseError } from "@tributary/clickhouse"
import { Effect, Schema, Stream } from "effect"
import { bytes as size } from "./Format.ts"
import { Screen } from "./Screen.ts"

/** ClickHouse refused the statement, or could not finish it. */
export class QueryFailed extends Schema.TaggedError<QueryFailed>()("QueryFailed", {
  problem: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return this.problem
  }
}

/** A format that the statement itself asks for, as in `... FORMAT CSV`. */
const ownFormat = /\sFORMAT\s+(\w+)\s*;?\s*$/iu

/** Begins the message of a statement that failed after a part of its result was sent, in place of the rest of the result. */
const marker = Buffer.from("\r\n__exception__\r\n")

const shortest = 400

/** What ClickHouse says, for the person who wrote the statement: without what was added to it, and in a readable length. */
const readable = (detail: string): string => {
  const text = detail
    .replaceAll(/\s*FORMAT \w+(?= ?\.|$|,)/gu, "")
    .replace(/\. Expected one of: .*$/su, ".")
    .replace(/ \(version [^)]*\)$/u, "")
    .trim()
  return text.length > shortest ? `${text.slice(0, shortest)}…` : text
}

const failed = (error: WarehouseError): WarehouseError | QueryFailed => {
  const { reason } = error
  if (!("code" in reason) || reason.code === 0) return error
  return new QueryFailed({
    problem: `ClickHouse refused the statement (code ${reason.code} ${reason.name}): ${readable(reason.detail)}`,
    cause: error
  })
}

/** Runs SQL and prints its result: a table for a person, one JSON object per row with `json`. */
export const query = Effect.fn("cli.query")(function* (sql: string, json: boolean) {
  const warehouse = yield* Warehouse
  const screen = yield* Screen
  if (sql.trim() === "") return yield* new QueryFailed({ problem: "The statement is empty. Write SQL, in quotes." })
  const own = ownFormat.exec(sql)
  const table = screen.showsResults ? "PrettyCompactMonoBlock" : "PrettySpaceNoEscapesMonoBlock"
  const format = own?.[1] ?? (json ? "JSONEachRow" : table)
  const statement = own === null ? sql : sql.slice(0, own.index)

  /** From the marker on, or from where it may have begun: not shown until it is known what it is. */
  let held: Buffer = Buffer.alloc(0)
  let written = 0
  const show = (chunk: Uint8Array) => {
    const bytes = Buffer.concat([held, chunk])
    const at = bytes.indexOf(marker)
    let end = at
    if (at < 0) {
      end = bytes.length
      for (let length = Math.min(marker.length - 1, bytes.length); length > 0; length--) {
        if (!bytes.subarray(bytes.length - length).equals(marker.subarray(0, length))) continue
        end = bytes.length - length
        break
      }
    }
    held = bytes.subarray(end)
    written += end
    return end === 0 ? Effect.void : screen.write(bytes.subarray(0, end))
  }
  const print = Stream.runForEach(warehouse.stream(statement, format), show).pipe(
    Effect.mapError((error) => {
      if (!held.subarray(0, marker.length).equals(marker)) {
        if (written === 0) return failed(error)
        // The connection is cut right after the message, which can be lost when the reader is slow.
        const problem =
          `The result is not complete: ClickHouse broke off after ${size(written)} of it. ` +
          "The statement failed while it ran, or the server ended; ask for less of it to see the reason."
        return new QueryFailed({ problem, cause: error })
      }
      // After the marker: a tag on a line, the message, its length.
      const [, , , ...lines] = held.toString("utf8").split(/\r?\n/u)
      const text = lines.join("\n").replace(/\n\d+ \w+\n__exception__\s*$/u, "")
      return new QueryFailed({ problem: `The result is not complete: ${readable(text)}`, cause: error })
    }),
    Effect.andThen(Effect.suspend(() => (held.length === 0 ? Effect.void : screen.write(held))))
  )
  yield* Effect.raceFirst(print, screen.readerGone)
})
