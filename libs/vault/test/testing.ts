export * from "./LeasesConformance.ts"
export * from "./tokens.ts"
export * from "./TokenStoreConformance.ts"
