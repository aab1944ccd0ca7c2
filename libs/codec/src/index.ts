export * from "./DecimalText.ts"
export * from "./JsonBytes.ts"
export * from "./JsonSelector.ts"
export * as LosslessJson from "./LosslessJson.ts"
