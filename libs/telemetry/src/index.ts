export * from "./Status.ts"
export * from "./Supervise.ts"
