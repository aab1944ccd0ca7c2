export * from "./RecordTransform.ts"
export * from "./Transform.ts"
export * from "./TransformError.ts"
export * from "./service.ts"
