export * from "./Engine.ts"
export * from "./Query.ts"
export * from "./Runner.ts"
export * from "./Screen.ts"
