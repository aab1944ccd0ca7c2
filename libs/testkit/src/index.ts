export * from "./AuthServer.ts"
export * from "./AuthState.ts"
export * from "./SyntheticApi.ts"
export * from "./OidcServer.ts"
