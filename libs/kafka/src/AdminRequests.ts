import type { Request } from "./Request.ts"

export interface NodeAddress {
  readonly id: number
  readonly host: string
  readonly port: number
}
export interface PartitionMetadata {
  readonly code: number
  readonly index: number
  readonly leader: number
  /** Grows with each election of a leader; -1 when it is not known. */
  readonly epoch: number
}
export interface TopicMetadata {
  readonly code: number
  readonly name: string
  /** The cluster's own id of the topic (KIP-516); a topic made anew has another one. */
  readonly id: string
  readonly internal: boolean
  readonly partitions: ReadonlyArray<PartitionMetadata>
}
export interface Metadata {
  readonly nodes: ReadonlyArray<NodeAddress>
  readonly controller: number
  readonly topics: ReadonlyArray<TopicMetadata>
}

const noId = Buffer.alloc(16)

/** Without topics: all of them. */
export const metadata = (topics: ReadonlyArray<string> | null): Request<Metadata> => ({
  name: "Metadata",
  key: 3,
  version: 10,
  flexible: true,
  write: (writer) =>
    writer
      .compactArray(topics, (name) => writer.raw(noId).compactString(name).tags())
      .bool(false)
      .bool(false)
      .bool(false)
      .tags(),
  read: (reader) => {
    reader.int32()
    const nodes = reader.compactArray(() => {
      const node = { id: reader.int32(), host: reader.compactString(), port: reader.int32() }
      reader.nullableCompactString()
      reader.tags()
      return node
    })
    reader.nullableCompactString()
    const controller = reader.int32()
    const found = reader.compactArray(() => {
      const code = reader.int16()
      const name = reader.compactString()
      const id = reader.uuid()
      const internal = reader.bool()
      const partitions = reader.compactArray(() => {
        const code = reader.int16()
        const partition = { code, index: reader.int32(), leader: reader.int32(), epoch: reader.int32() }
        for (let i = 0; i < 3; i++) reader.compactArray(() => reader.int32())
        reader.tags()
        return partition
      })
      reader.int32()
      reader.tags()
      return { code, name, id, internal, partitions: partitions.sort((a, b) => a.index - b.index) }
    })
    return { nodes, controller, topics: found }
  }
})

/** What a call that changes one topic answers. */
export interface Outcome {
  readonly code: number
  readonly detail: string | null
}

const first = <A>(values: ReadonlyArray<A>): A => {
  const value = values[0]
  if (value === undefined) throw new RangeError("The answer is empty.")
  return value
}

export interface Setting {
  readonly name: string
  readonly value: string
}

/** `replication` -1 leaves it to the broker. */
export const createTopic = (
  topic: string,
  partitions: number,
  replication: number,
  settings: ReadonlyArray<Setting>,
  timeout: number
): Request<Outcome> => ({
  name: "CreateTopics",
  key: 19,
  version: 4,
  flexible: false,
  wait: timeout,
  write: (writer) =>
    writer
      .array([topic], (name) =>
        writer
          .string(name)
          .int32(partitions)
          .int16(replication)
          .array([], () => {})
          .array(settings, (setting) => writer.string(setting.name).string(setting.value))
      )
      .int32(timeout)
      .bool(false),
  read: (reader) => {
    reader.int32()
    return first(
      reader.array(() => {
        reader.string()
        return { code: reader.int16(), detail: reader.nullableString() }
      })
    )
  }
})

export const createPartitions = (topic: string, count: number, timeout: number): Request<Outcome> => ({
  name: "CreatePartitions",
  key: 37,
  version: 1,
  flexible: false,
  wait: timeout,
  write: (writer) =>
    writer
      .array([topic], (name) => writer.string(name).int32(count).int32(-1))
      .int32(timeout)
      .bool(false),
  read: (reader) => {
    reader.int32()
    return first(
      reader.array(() => {
        reader.string()
        return { code: reader.int16(), detail: reader.nullableString() }
      })
    )
  }
})

export const deleteTopic = (topic: string, timeout: number): Request<Outcome> => ({
  name: "DeleteTopics",
  key: 20,
  version: 3,
  flexible: false,
  wait: timeout,
  write: (writer) => writer.array([topic], (name) => writer.string(name)).int32(timeout),
  read: (reader) => {
    reader.int32()
    return first(
      reader.array(() => {
        reader.string()
        return { code: reader.int16(), detail: null }
      })
    )
  }
})

export interface TopicSettings extends Outcome {
  readonly topic: string
  readonly settings: ReadonlyMap<string, string | null>
}

const topicResource = 2

export const describeTopics = (
  topics: ReadonlyArray<string>,
  names: ReadonlyArray<string>
): Request<ReadonlyArray<TopicSettings>> => ({
  name: "DescribeConfigs",
  key: 32,
  version: 1,
  flexible: false,
  write: (writer) =>
    writer
      .array(topics, (topic) =>
        writer
          .int8(topicResource)
          .string(topic)
          .array(names, (name) => writer.string(name))
      )
      .bool(false),
  read: (reader) => {
    reader.int32()
    return reader.array(() => {
      const code = reader.int16()
      const detail = reader.nullableString()
      reader.int8()
      const topic = reader.string()
      const settings = reader.array(() => {
        const entry = [reader.string(), reader.nullableString()] as const
        reader.bool()
        reader.int8()
        reader.bool()
        reader.array(() => [reader.string(), reader.nullableString(), reader.int8()])
        return entry
      })
      return { topic, code, detail, settings: new Map(settings) }
    })
  }
})

/** Sets these settings and leaves the others as they are. */
export const alterTopic = (topic: string, settings: ReadonlyArray<Setting>): Request<Outcome> => ({
  name: "IncrementalAlterConfigs",
  key: 44,
  version: 0,
  flexible: false,
  write: (writer) =>
    writer
      .array([topic], (name) =>
        writer
          .int8(topicResource)
          .string(name)
          .array(settings, (setting) => writer.string(setting.name).int8(0).string(setting.value))
      )
      .bool(false),
  read: (reader) => {
    reader.int32()
    return first(
      reader.array(() => {
        const outcome = { code: reader.int16(), detail: reader.nullableString() }
        reader.int8()
        reader.string()
        return outcome
      })
    )
  }
})

export type CoordinatorKind = "group" | "transaction"

export const findCoordinator = (
  kind: CoordinatorKind,
  key: string
): Request<Outcome & { readonly node: NodeAddress }> => ({
  name: "FindCoordinator",
  key: 10,
  version: 2,
  flexible: false,
  write: (writer) => writer.string(key).int8(kind === "group" ? 0 : 1),
  read: (reader) => {
    reader.int32()
    const code = reader.int16()
    const detail = reader.nullableString()
    return { code, detail, node: { id: reader.int32(), host: reader.string(), port: reader.int32() } }
  }
})
