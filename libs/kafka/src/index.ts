export * as KafkaLog from "./KafkaLog.ts"
