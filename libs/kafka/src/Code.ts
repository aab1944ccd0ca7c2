/** Error codes of Kafka's protocol that are acted on (https://kafka.apache.org/protocol#protocol_error_codes). */
export const Code = {
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  notLeader: 6,
  requestTimedOut: 7,
  replicaNotAvailable: 9,
  messageTooLarge: 10,
  offsetMetadataTooLarge: 12,
  networkException: 13,
  coordinatorLoading: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  invalidTopic: 17,
  recordListTooLarge: 18,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  illegalGeneration: 22,
  inconsistentGroupProtocol: 23,
  unknownMember: 25,
  invalidSessionTimeout: 26,
  rebalanceInProgress: 27,
  invalidCommitOffsetSize: 28,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
  unsupportedVersion: 35,
  topicAlreadyExists: 36,
  invalidPartitions: 37,
  invalidReplicationFactor: 38,
  invalidConfig: 40,
  notController: 41,
  policyViolation: 44,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
  invalidProducerEpoch: 47,
  invalidTransactionState: 48,
  invalidProducerIdMapping: 49,
  invalidTransactionTimeout: 50,
  concurrentTransactions: 51,
  transactionalIdAuthorizationFailed: 53,
  storageError: 56,
  unknownProducerId: 59,
  reassignmentInProgress: 60,
  topicDeletionDisabled: 73,
  fencedLeaderEpoch: 74,
  unknownLeaderEpoch: 75,
  offsetNotAvailable: 78,
  memberIdRequired: 79,
  groupMaxSizeReached: 81,
  fencedInstance: 82,
  throttlingQuotaExceeded: 89,
  invalidRecord: 87,
  unstableOffsetCommit: 88,
  producerFenced: 90,
  transactionAbortable: 120
} as const

const words = (name: string): string => name.replace(/([A-Z])/g, "_$1").toUpperCase()
const names = new Map<number, string>(Object.entries(Code).map(([name, code]) => [code, words(name)]))
export const codeName = (code: number): string => names.get(code) ?? `error ${code}`

const retriable = new Set<number>([
  Code.unknownTopicOrPartition,
  Code.leaderNotAvailable,
  Code.notLeader,
  Code.requestTimedOut,
  Code.replicaNotAvailable,
  Code.corruptMessage,
  Code.networkException,
  Code.coordinatorLoading,
  Code.coordinatorNotAvailable,
  Code.notCoordinator,
  Code.notEnoughReplicas,
  Code.notEnoughReplicasAfterAppend,
  Code.notController,
  Code.concurrentTransactions,
  Code.storageError,
  Code.reassignmentInProgress,
  Code.fencedLeaderEpoch,
  Code.unknownLeaderEpoch,
  Code.offsetNotAvailable,
  Code.throttlingQuotaExceeded,
  Code.unstableOffsetCommit,
  // Brokers of a cluster that is being started may still be on their way.
  Code.invalidReplicationFactor
])
/** The same call may succeed later, perhaps at another broker. */
export const isRetriable = (code: number): boolean => retriable.has(code)

const producerLost = new Set<number>([Code.invalidProducerEpoch, Code.producerFenced, Code.invalidProducerIdMapping])
/** A later producer has the transactional id. */
export const isProducerFenced = (code: number): boolean => producerLost.has(code)
