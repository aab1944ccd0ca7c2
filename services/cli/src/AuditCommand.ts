import { type AuditEvent, AuditTrail } from "@tributary/telemetry"
import { DateTime, Effect } from "effect"
import { table } from "./Format.ts"
import { Screen } from "./Screen.ts"

const row = ({ at, authorization, connectors, detail = "", outcome, process, what }: AuditEvent) => [
  DateTime.formatIso(DateTime.makeUnsafe(at)),
  authorization === "" ? "–" : authorization,
  what,
  outcome,
  connectors.length === 0 ? "–" : connectors.join(", "),
  process,
  detail
]

/** Prints what happened to tokens, oldest first: as a table, or one JSON object per line. */
export const showAudit = Effect.fn("cli.audit")(function* (options: {
  readonly connector: string | undefined
  readonly last: number
  readonly json: boolean
}) {
  const screen = yield* Screen
  const trail = yield* AuditTrail
  const events = yield* trail.read({ connector: options.connector, last: options.last })
  if (options.json) {
    for (const event of events) yield* screen.print(JSON.stringify(event))
    return
  }
  if (events.length === 0) return yield* screen.print("Nothing happened to tokens yet, as far as is kept.")
  yield* screen.print(
    table([["at", "authorization", "what", "outcome", "connectors", "process", ""], ...events.map(row)])
  )
})
