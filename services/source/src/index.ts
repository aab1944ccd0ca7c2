export * from "./Receiver.ts"
export * from "./service.ts"
