import type { Offset } from "@tributary/log"
import { byTopic, type Request } from "./Request.ts"

/** A producer's number and epoch; -1 and -1 before it has one. */
export interface ProducerIdentity {
  readonly id: number
  readonly epoch: number
}

/**
 * Takes a transactional id. With an identity: only if nobody has taken it since (KIP-360), which is how a producer goes on
 * after an error without fencing its successor.
 */
export const initProducer = (
  transactionalId: string,
  timeout: number,
  present: ProducerIdentity
): Request<ProducerIdentity & { readonly code: number }> => ({
  name: "InitProducerId",
  key: 22,
  version: 3,
  flexible: true,
  write: (writer) => writer.compactString(transactionalId).int32(timeout).int64(present.id).int16(present.epoch).tags(),
  read: (reader) => {
    reader.int32()
    return { code: reader.int16(), id: reader.int64(), epoch: reader.int16() }
  }
})

export const addPartitions = (
  transactionalId: string,
  { epoch, id }: ProducerIdentity,
  partitions: ReadonlyArray<{ readonly topic: string; readonly partition: number }>
): Request<ReadonlyArray<{ readonly topic: string; readonly code: number }>> => ({
  name: "AddPartitionsToTxn",
  key: 24,
  version: 2,
  flexible: false,
  write: (writer) =>
    writer
      .string(transactionalId)
      .int64(id)
      .int16(epoch)
      .array(byTopic(partitions), ({ partitions, topic }) =>
        writer.string(topic).array(partitions, ({ partition }) => writer.int32(partition))
      ),
  read: (reader) => {
    reader.int32()
    return reader
      .array(() => {
        const topic = reader.string()
        return reader.array(() => {
          reader.int32()
          return { topic, code: reader.int16() }
        })
      })
      .flat()
  }
})

export const addOffsets = (
  transactionalId: string,
  { epoch, id }: ProducerIdentity,
  group: string
): Request<number> => ({
  name: "AddOffsetsToTxn",
  key: 25,
  version: 2,
  flexible: false,
  write: (writer) => writer.string(transactionalId).int64(id).int16(epoch).string(group),
  read: (reader) => {
    reader.int32()
    return reader.int16()
  }
})

/** The member of a group for which a position is committed. The coordinator refuses one that is no longer the present one. */
export interface Membership {
  readonly group: string
  readonly generation: number
  readonly member: string
}

/** Commits a position inside a transaction, fenced by the group's generation (KIP-447). */
export const commitInTransaction = (
  transactionalId: string,
  { epoch, id }: ProducerIdentity,
  { generation, group, member }: Membership,
  position: { readonly topic: string; readonly partition: number; readonly offset: Offset }
): Request<number> => ({
  name: "TxnOffsetCommit",
  key: 28,
  version: 3,
  flexible: true,
  write: (writer) =>
    writer
      .compactString(transactionalId)
      .compactString(group)
      .int64(id)
      .int16(epoch)
      .int32(generation)
      .compactString(member)
      .compactString(null)
      .compactArray([position], ({ offset, partition, topic }) =>
        writer
          .compactString(topic)
          .compactArray([partition], () => writer.int32(partition).int64(offset).int32(-1).compactString("").tags())
          .tags()
      )
      .tags(),
  read: (reader) => {
    reader.int32()
    const codes = reader
      .compactArray(() => {
        reader.compactString()
        const codes = reader.compactArray(() => {
          reader.int32()
          const code = reader.int16()
          reader.tags()
          return code
        })
        reader.tags()
        return codes
      })
      .flat()
    return codes[0] ?? 0
  }
})

export const endTransaction = (
  transactionalId: string,
  { epoch, id }: ProducerIdentity,
  commit: boolean
): Request<number> => ({
  name: "EndTxn",
  key: 26,
  version: 2,
  flexible: false,
  write: (writer) => writer.string(transactionalId).int64(id).int16(epoch).bool(commit),
  read: (reader) => {
    reader.int32()
    return reader.int16()
  }
})
