export * from "./JsonBytes.ts"
