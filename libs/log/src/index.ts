export * from "./Log.ts"
export * from "./LogError.ts"
