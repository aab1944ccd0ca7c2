export * from "./Catalog.ts"
export * from "./CompactedTopic.ts"
export * from "./LogAudit.ts"
export * from "./Registration.ts"
