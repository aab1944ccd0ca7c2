export * from "./Catalog.ts"
export * from "./CompactedTopic.ts"
export * from "./Registration.ts"
