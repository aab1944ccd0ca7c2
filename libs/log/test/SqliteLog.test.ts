import { Effect } from "effect"
import { LogMaintenance, SqliteLog } from "../src/index.ts"
import { suite } from "./LogConformance.ts"
import { temporaryDirectory } from "./temporaryDirectory.ts"

suite("SqliteLog", {
  storage: Effect.map(temporaryDirectory, (directory) => SqliteLog.layer({ directory })),
  retain: LogMaintenance.use((maintenance) => maintenance.retain)
})
