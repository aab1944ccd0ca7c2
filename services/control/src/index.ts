export * from "./HealthServer.ts"
export * from "./Listen.ts"
export * from "./RunControl.ts"
export * from "./Revoker.ts"
