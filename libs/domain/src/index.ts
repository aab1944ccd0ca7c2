export * from "./ConnectorFile.ts"
export * from "./Failure.ts"
export * from "./Names.ts"
export * from "./Rejected.ts"
