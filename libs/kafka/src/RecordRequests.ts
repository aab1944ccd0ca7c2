import type { Offset } from "@tributary/log"
import type { Abort } from "./RecordBatch.ts"
import { byTopic, type Request } from "./Request.ts"

export interface PartitionOffset {
  readonly topic: string
  readonly partition: number
  readonly code: number
  readonly offset: Offset
}

/**
 * Where to look: the first offset that is kept; the high watermark (whatever transactions are open below it); or how far
 * committed records can be read (the last stable offset).
 */
export type Side = "earliest" | "end" | "readable"

export const listOffsets = (
  partitions: ReadonlyArray<{ readonly topic: string; readonly partition: number }>,
  side: Side
): Request<ReadonlyArray<PartitionOffset>> => ({
  name: "ListOffsets",
  key: 2,
  version: 5,
  flexible: false,
  write: (writer) =>
    writer
      .int32(-1)
      // read_committed answers with the last stable offset instead of the end; behind that a commit may be missing.
      .int8(side === "readable" ? 1 : 0)
      .array(byTopic(partitions), ({ partitions, topic }) =>
        writer.string(topic).array(partitions, ({ partition }) =>
          writer
            .int32(partition)
            .int32(-1)
            .int64(side === "earliest" ? -2 : -1)
        )
      ),
  read: (reader) => {
    reader.int32()
    return reader
      .array(() => {
        const topic = reader.string()
        return reader.array(() => {
          const partition = reader.int32()
          const code = reader.int16()
          reader.int64()
          const offset = reader.int64()
          reader.int32()
          return { topic, partition, code, offset }
        })
      })
      .flat()
  }
})

export interface Fetched {
  readonly code: number
  readonly highWatermark: Offset
  readonly earliest: Offset
  readonly aborts: ReadonlyArray<Abort>
  readonly records: Buffer
}

export interface FetchFrom {
  readonly topic: string
  readonly partition: number
  readonly from: Offset
  readonly maxBytes: number
  /** Milliseconds. */
  readonly wait: number
}

/** Reads committed records of one partition; `undefined` when the answer leaves it out. */
export const fetchRecords = (from: FetchFrom): Request<Fetched | undefined> => ({
  name: "Fetch",
  key: 1,
  version: 11,
  flexible: false,
  wait: from.wait,
  write: (writer) =>
    writer
      .int32(-1)
      .int32(from.wait)
      .int32(1)
      .int32(from.maxBytes)
      .int8(1)
      // No fetch session.
      .int32(0)
      .int32(-1)
      .array([from], ({ maxBytes, partition, topic }) =>
        writer
          .string(topic)
          .array([partition], () => writer.int32(partition).int32(-1).int64(from.from).int64(-1).int32(maxBytes))
      )
      .array([], () => {})
      .string(""),
  read: (reader) => {
    reader.int32()
    const code = reader.int16()
    reader.int32()
    const partitions = reader
      .array(() => {
        reader.string()
        return reader.array(() => {
          reader.int32()
          const partitionCode = reader.int16()
          const highWatermark = reader.int64()
          reader.int64()
          const earliest = reader.int64()
          const aborts = reader.array(() => ({ producer: reader.int64(), first: reader.int64() }))
          reader.int32()
          const records = reader.bytes32()
          return { code: code === 0 ? partitionCode : code, highWatermark, earliest, aborts, records }
        })
      })
      .flat()
    return partitions[0]
  }
})

export interface ProducePart {
  readonly topic: string
  readonly partition: number
  readonly batch: Uint8Array
}

/** Writes one batch per partition and waits for all replicas in sync. */
export const produce = (
  transactionalId: string,
  parts: ReadonlyArray<ProducePart>,
  timeout: number
): Request<ReadonlyArray<PartitionOffset>> => ({
  name: "Produce",
  key: 0,
  version: 7,
  flexible: false,
  wait: timeout,
  write: (writer) =>
    writer
      .string(transactionalId)
      .int16(-1)
      .int32(timeout)
      .array(byTopic(parts), ({ partitions, topic }) =>
        writer.string(topic).array(partitions, ({ batch, partition }) => writer.int32(partition).bytes32(batch))
      ),
  read: (reader) =>
    reader
      .array(() => {
        const topic = reader.string()
        return reader.array(() => {
          const partition = reader.int32()
          const code = reader.int16()
          const offset = reader.int64()
          reader.int64()
          reader.int64()
          return { topic, partition, code, offset }
        })
      })
      .flat()
})
