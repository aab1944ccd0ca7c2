import { InvalidRequest, LogError, LogUnavailable, LogUnusable, UnknownTopic } from "@tributary/log"
import { Data } from "effect"
import { Code, codeName, isRetriable, isUnauthorized } from "./Code.ts"

/** A broker answered with an error. */
export class Refused extends Data.TaggedError("Refused")<{
  readonly code: number
  /** What was asked for, as in "writing to topic orders". */
  readonly what: string
  readonly topic?: string
  readonly detail?: string | null
}> {
  override get message(): string {
    return `Kafka refused ${this.what}: ${codeName(this.code)}${this.detail ? ` (${this.detail})` : ""}`
  }
}

/** No answer: not connected, the connection broke, or it took too long. Whether the call was done is not known. */
export class Unreachable extends Data.TaggedError("Unreachable")<{
  readonly address: string
  readonly cause: Error
  /** Trying again does not help: wrong credentials, an unknown mechanism, a broker that is too old. */
  readonly final: boolean
}> {
  override get message(): string {
    return `Kafka at ${this.address}: ${this.cause.message.replace(/\.+$/, "")}`
  }
}

export type KafkaFault = Refused | Unreachable

/** Trying again may help. */
export const isTransient = (failure: KafkaFault | LogError): boolean => {
  if (failure._tag === "Unreachable") return !failure.final
  return failure._tag === "Refused" && isRetriable(failure.code)
}

export const invalid = (detail: string): LogError => new LogError({ reason: new InvalidRequest({ detail }) })
export const unavailable = (cause: Error): LogError => new LogError({ reason: new LogUnavailable({ cause }) })
export const unknownTopic = (topic: string): LogError => new LogError({ reason: new UnknownTopic({ topic }) })
export const unusable = (brokers: string, problem: string): LogError =>
  new LogError({ reason: new LogUnusable({ path: brokers, problem }) })

const misuse = new Set<number>([
  Code.invalidTopic,
  Code.invalidPartitions,
  Code.invalidReplicationFactor,
  Code.invalidConfig,
  Code.policyViolation,
  Code.topicDeletionDisabled,
  Code.offsetMetadataTooLarge,
  Code.invalidCommitOffsetSize,
  Code.invalidRecord,
  Code.invalidTransactionTimeout,
  Code.invalidSessionTimeout
])

/** The port's error for what a broker answered; `brokers` is how the log is named in it. */
export const toLogError =
  (brokers: string) =>
  (fault: KafkaFault | LogError): LogError => {
    switch (fault._tag) {
      case "LogError":
        return fault
      case "Unreachable":
        return fault.final ? unusable(brokers, `${fault.message}.`) : unavailable(fault)
      case "Refused":
        if (isUnauthorized(fault.code))
          return unusable(
            brokers,
            `${fault.message}. Grant this to the principal that Tributary connects as (see the required ACLs in the guide).`
          )
        if (fault.code === Code.unknownTopicOrPartition && fault.topic !== undefined) return unknownTopic(fault.topic)
        if (fault.code === Code.messageTooLarge || fault.code === Code.recordListTooLarge)
          return invalid(
            `${fault.message}. A record is larger than the topic accepts: raise max.message.bytes of the topic (and of the brokers), or leave out a large field.`
          )
        if (fault.code === Code.unsupportedVersion)
          return unusable(brokers, `${fault.message}. Tributary needs Kafka 2.8 or later.`)
        if (fault.code === Code.inconsistentGroupProtocol)
          return unusable(brokers, `${fault.message}. Another program is in the consumer group; give each its own.`)
        return misuse.has(fault.code) ? invalid(`${fault.message}.`) : unavailable(fault)
    }
  }
