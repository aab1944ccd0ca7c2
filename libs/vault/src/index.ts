export * from "./Environment.ts"
export * from "./Secrets.ts"
export * from "./SqliteTokenStore.ts"
export * from "./TokenStore.ts"
