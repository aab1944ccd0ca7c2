export * from "./Log.ts"
export * from "./LogError.ts"
export * from "./LogMaintenance.ts"
export * as SqliteLog from "./SqliteLog.ts"
