import type { Offset } from "@tributary/log"
import type { Request } from "./Request.ts"
import type { Membership } from "./TransactionRequests.ts"

export interface Joined {
  readonly code: number
  readonly generation: number
  readonly leader: string
  readonly member: string
  /** Given to the leader only. */
  readonly members: ReadonlyArray<{ readonly id: string; readonly subscription: Buffer }>
}

export const joinGroup = (options: {
  readonly group: string
  readonly member: string
  /** Milliseconds. */
  readonly sessionTimeout: number
  /** Milliseconds that the coordinator waits for the other members. */
  readonly rebalanceTimeout: number
  readonly protocol: string
  readonly subscription: Uint8Array
}): Request<Joined> => ({
  name: "JoinGroup",
  key: 11,
  version: 5,
  flexible: false,
  wait: options.rebalanceTimeout,
  write: (writer) =>
    writer
      .string(options.group)
      .int32(options.sessionTimeout)
      .int32(options.rebalanceTimeout)
      .string(options.member)
      .string(null)
      .string("consumer")
      .array([options.protocol], (protocol) => writer.string(protocol).bytes32(options.subscription)),
  read: (reader) => {
    reader.int32()
    const code = reader.int16()
    const generation = reader.int32()
    reader.nullableString()
    const leader = reader.string()
    const member = reader.string()
    const members = reader.array(() => {
      const id = reader.string()
      reader.nullableString()
      return { id, subscription: reader.bytes32() }
    })
    return { code, generation, leader, member, members }
  }
})

export const syncGroup = (
  { generation, group, member }: Membership,
  assignments: ReadonlyArray<{ readonly member: string; readonly assignment: Uint8Array }>,
  wait: number
): Request<{ readonly code: number; readonly assignment: Buffer }> => ({
  name: "SyncGroup",
  key: 14,
  version: 3,
  flexible: false,
  wait,
  write: (writer) =>
    writer
      .string(group)
      .int32(generation)
      .string(member)
      .string(null)
      .array(assignments, ({ assignment, member }) => writer.string(member).bytes32(assignment)),
  read: (reader) => {
    reader.int32()
    return { code: reader.int16(), assignment: reader.bytes32() }
  }
})

const code = (reader: { int32: () => number; int16: () => number }): number => {
  reader.int32()
  return reader.int16()
}

export const heartbeat = ({ generation, group, member }: Membership, timeout: number): Request<number> => ({
  name: "Heartbeat",
  key: 12,
  version: 3,
  flexible: false,
  timeout,
  write: (writer) => writer.string(group).int32(generation).string(member).string(null),
  read: code
})

export const leaveGroup = ({ group, member }: Membership): Request<number> => ({
  name: "LeaveGroup",
  key: 13,
  version: 2,
  flexible: false,
  write: (writer) => writer.string(group).string(member),
  read: code
})

export interface CommitPosition {
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  readonly metadata: string
}

/** Refused when the member has left, or the generation is no longer the present one. */
export const commitOffset = (
  { generation, group, member }: Membership,
  { metadata, offset, partition, topic }: CommitPosition
): Request<number> => ({
  name: "OffsetCommit",
  key: 8,
  version: 7,
  flexible: false,
  write: (writer) =>
    writer
      .string(group)
      .int32(generation)
      .string(member)
      .string(null)
      .array([topic], () =>
        writer.string(topic).array([partition], () => writer.int32(partition).int64(offset).int32(-1).string(metadata))
      ),
  read: (reader) => {
    reader.int32()
    const codes = reader
      .array(() => {
        reader.string()
        return reader.array(() => {
          reader.int32()
          return reader.int16()
        })
      })
      .flat()
    return codes[0] ?? 0
  }
})

export interface StoredPosition extends CommitPosition {
  readonly code: number
}

/**
 * Positions of a group; of all its partitions when none is named. A position that an open transaction may still move is
 * answered with UNSTABLE_OFFSET_COMMIT, not with the old value.
 */
export const fetchOffsets = (
  group: string,
  place: { readonly topic: string; readonly partition: number } | null
): Request<{ readonly code: number; readonly positions: ReadonlyArray<StoredPosition> }> => ({
  name: "OffsetFetch",
  key: 9,
  version: 7,
  flexible: true,
  write: (writer) =>
    writer
      .compactString(group)
      .compactArray(place === null ? null : [place], ({ partition, topic }) =>
        writer
          .compactString(topic)
          .compactArray([partition], () => writer.int32(partition))
          .tags()
      )
      .bool(true)
      .tags(),
  read: (reader) => {
    reader.int32()
    const positions = reader
      .compactArray(() => {
        const topic = reader.compactString()
        const positions = reader.compactArray(() => {
          const partition = reader.int32()
          const offset = reader.int64()
          reader.int32()
          const metadata = reader.compactString()
          const code = reader.int16()
          reader.tags()
          return { topic, partition, offset, metadata, code }
        })
        reader.tags()
        return positions
      })
      .flat()
    return { code: reader.int16(), positions }
  }
})
