export * from "./FindClickHouse.ts"
export * from "./LocalClickHouse.ts"
export * from "./TestClickHouse.ts"
