import { Context, type Effect } from "effect"
import type { LogError } from "./LogError.ts"

/** What the SQLite log does by itself in the background, to be done at once. Tests and administration call it. */
export class LogMaintenance extends Context.Service<
  LogMaintenance,
  {
    /** Deletes what has passed the topics' retention, tombstones older than 24 hours, and the remains of deleted topics. */
    readonly retain: Effect.Effect<void, LogError>
  }
>()("@tributary/log/LogMaintenance") {}
