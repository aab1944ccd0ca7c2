export * from "./Report.ts"
