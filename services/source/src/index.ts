export * from "./service.ts"
