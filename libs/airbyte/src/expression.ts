export * from "./expression/Interpolation.ts"
export * from "./expression/Repr.ts"
