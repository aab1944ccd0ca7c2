export * from "./HashicorpStandIn.ts"
export * from "./http.ts"
