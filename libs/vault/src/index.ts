export * from "./Secrets.ts"
export * from "./TokenStore.ts"
