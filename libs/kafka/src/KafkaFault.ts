import { InvalidRequest, LogError, LogUnavailable, LogUnusable, UnknownTopic } from "@tributary/log"
import { Data } from "effect"
import { Code, codeName, isRetriable } from "./Code.ts"

/** An operation, in the words of Kafka's access control, and what it is done to. */
type Access = readonly [operation: string, name: string]

/** What a call must be allowed to do. The error code says which of them was not. */
export interface Needs {
  readonly topic?: Access
  readonly group?: Access
  readonly id?: Access
}

/** A broker answered with an error. */
export class Refused extends Data.TaggedError("Refused")<{
  readonly code: number
  /** What was asked for, as in "writing to topic orders". */
  readonly what: string
  /** The topic without which the call makes no sense. */
  readonly topic?: string | undefined
  readonly detail?: string | null | undefined
  readonly needs?: Needs | undefined
}> {
  override get message(): string {
    return `Kafka refused ${this.what}: ${codeName(this.code)}${this.detail ? ` (${this.detail.replace(/\.+$/, "")})` : ""}`
  }
}

/** No answer: not connected, the connection broke, or it took too long. Whether the call was done is not known. */
export class Unreachable extends Data.TaggedError("Unreachable")<{
  readonly address: string
  readonly cause: Error
  /** Trying again does not help: wrong credentials, an unknown mechanism, a broker that is too old. */
  readonly final: boolean
  /** The address was not given, but told by the brokers. */
  readonly told: boolean
}> {
  override get message(): string {
    const told = this.told ? " (an address that the brokers gave; is their advertised.listeners right?)" : ""
    return `Kafka at ${this.address}${told}: ${this.cause.message.replace(/\.+$/, "")}`
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
  Code.offsetMetadataTooLarge,
  Code.invalidCommitOffsetSize,
  Code.invalidRecord,
  Code.messageTooLarge,
  Code.recordListTooLarge
])

/** What only a change of settings mends, and which. */
const settings = new Map<number, string>([
  [Code.unsupportedVersion, "Tributary needs Kafka 2.8 or later."],
  [Code.inconsistentGroupProtocol, "Another program is in the consumer group; give each its own."],
  [
    Code.invalidReplicationFactor,
    "The cluster has fewer brokers than a topic shall have replicas: start the missing ones, or lower the replication that Tributary is told to use."
  ],
  [Code.invalidConfig, "A setting is not known to these brokers, or its value is not allowed."],
  [
    Code.policyViolation,
    "A policy of the brokers forbids it (create.topic.policy.class.name, alter.config.policy.class.name)."
  ],
  [Code.topicDeletionDisabled, "Set delete.topic.enable=true on the brokers, or delete it there."],
  [
    Code.invalidTransactionTimeout,
    "Transactions may be open longer than the brokers allow: raise their transaction.max.timeout.ms, or lower the transaction timeout of Tributary."
  ],
  [
    Code.invalidSessionTimeout,
    "Keep the session timeout of Tributary between the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms."
  ]
])

/** What to look at when it does not pass by itself. */
const hints = new Map<number, string>([
  [
    Code.notEnoughReplicas,
    "fewer replicas are in sync than min.insync.replicas asks for: start the brokers that are away"
  ],
  [
    Code.notEnoughReplicasAfterAppend,
    "fewer replicas are in sync than min.insync.replicas asks for: start the brokers that are away"
  ],
  [
    Code.coordinatorNotAvailable,
    "no broker can take it: are enough brokers there for __consumer_offsets and __transaction_state?"
  ],
  [Code.leaderNotAvailable, "no replica of the partition is there to lead: start the brokers that are away"]
])

const resources = new Map<number, keyof Needs>([
  [Code.topicAuthorizationFailed, "topic"],
  [Code.clusterAuthorizationFailed, "topic"],
  [Code.groupAuthorizationFailed, "group"],
  [Code.transactionalIdAuthorizationFailed, "id"]
])

/** How a log is named in errors. */
export interface Origin {
  /** Addresses of the brokers. */
  readonly name: string
  /** As whom the brokers know this client, as far as it can tell; `undefined` when they take it from a certificate or a token. */
  readonly principal: string | undefined
}

const forbidden = ({ name, principal }: Origin, fault: Refused): string => {
  const kind = resources.get(fault.code)
  const access = kind && fault.needs?.[kind]
  if (access === undefined) return `${fault.message}. Grant it to ${principal ?? "the principal of this client"}.`
  const [operation, resource] = access
  const flag = kind === "id" ? "transactional-id" : kind
  return `${fault.message}. ${principal ?? "The principal of this client's certificate or token"} needs the operation ${operation} on the ${flag} "${resource}". To grant it: kafka-acls.sh --bootstrap-server ${name} --add --allow-principal "${principal ?? "User:<name>"}" --operation ${operation} --${flag} "${resource}"`
}

/** The port's error for what a broker answered. */
export const toLogError =
  (origin: Origin) =>
  (fault: KafkaFault | LogError): LogError => {
    switch (fault._tag) {
      case "LogError":
        return fault
      case "Unreachable":
        return fault.final ? unusable(origin.name, `${fault.message}.`) : unavailable(fault)
      case "Refused": {
        if (resources.has(fault.code)) return unusable(origin.name, forbidden(origin, fault))
        if (fault.code === Code.unknownTopicOrPartition && fault.topic !== undefined) return unknownTopic(fault.topic)
        if (misuse.has(fault.code)) return invalid(`${fault.message}.`)
        const advice = settings.get(fault.code)
        if (advice !== undefined) return unusable(origin.name, `${fault.message}. ${advice}`)
        const hint = hints.get(fault.code)
        return unavailable(hint === undefined ? fault : new Error(`${fault.message}; ${hint}`))
      }
    }
  }
