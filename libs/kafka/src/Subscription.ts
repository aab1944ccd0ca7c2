import { Reader, Writer } from "./Bytes.ts"
import { byTopic } from "./Request.ts"
import { assign } from "@tributary/log"

/** A partition by name, as members of a group speak of it. */
export interface Partition {
  readonly topic: string
  readonly partition: number
}

/**
 * Name of the assignment protocol. Members choose it together, so another program cannot get into a group by accident. To be
 * changed whenever what leaders and members agree on changes.
 */
export const protocol = "tributary-1"

/** What a member says when it joins, in the format of Kafka's consumers (ConsumerProtocolSubscription, version 1). */
export interface Subscription {
  readonly topics: ReadonlyArray<string>
  /** Partitions that it works on, until that work has ended. */
  readonly owned: ReadonlyArray<Partition>
}

const writePartitions = (writer: Writer, partitions: ReadonlyArray<Partition>): Writer =>
  writer.array(byTopic(partitions), ({ partitions, topic }) =>
    writer.string(topic).array(partitions, ({ partition }) => writer.int32(partition))
  )

const readPartitions = (reader: Reader): ReadonlyArray<Partition> =>
  reader
    .array(() => {
      const topic = reader.string()
      return reader.array(() => ({ topic, partition: reader.int32() }))
    })
    .flat()

const order = (a: Partition, b: Partition): number =>
  a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1

export const encodeSubscription = ({ owned, topics }: Subscription): Buffer => {
  const writer = new Writer().int16(1)
  writer.array([...topics].sort(), (topic) => writer.string(topic)).int32(-1)
  // Sorted: the coordinator takes other bytes of the same member for a change.
  return writePartitions(writer, [...owned].sort(order)).bytes
}

export const decodeSubscription = (bytes: Buffer): Subscription => {
  const reader = new Reader(bytes)
  const version = reader.int16()
  const topics = reader.array(() => reader.string())
  reader.bytes32()
  return { topics, owned: version >= 1 ? readPartitions(reader) : [] }
}

/** In the format of Kafka's consumers (ConsumerProtocolAssignment, version 0), so that its tools can show it. */
export const encodeAssignment = (partitions: ReadonlyArray<Partition>): Buffer =>
  writePartitions(new Writer().int16(0), partitions).int32(-1).bytes

export const decodeAssignment = (bytes: Buffer): ReadonlyArray<Partition> => {
  if (bytes.length === 0) return []
  const reader = new Reader(bytes)
  reader.int16()
  return readPartitions(reader)
}

interface Candidate {
  readonly id: string
  readonly topics: ReadonlySet<string>
}
interface Place {
  readonly topic: { readonly name: string }
  readonly partition: number
}

/**
 * What each member gets in this generation. A partition that moves is left out until the member that works on it has ended
 * that and joins again without it (KIP-429): so only the work that moves is interrupted, and no two members work on one
 * partition at a time.
 */
export const distribute = (
  members: ReadonlyArray<{ readonly id: string } & Subscription>,
  /** Number of partitions of each topic that exists. */
  topics: ReadonlyMap<string, number>
): ReadonlyMap<string, ReadonlyArray<Partition>> => {
  const candidates = new Map<string, Candidate>()
  for (const { id, topics } of members) candidates.set(id, { id, topics: new Set(topics) })
  const places = new Map<string, Place>()
  for (const [name, count] of topics) {
    const topic = { name }
    for (let partition = 0; partition < count; partition++) places.set(`${name}/${partition}`, { topic, partition })
  }
  const owners = new Map<Place, Candidate>()
  const disputed = new Set<Place>()
  for (const { id, owned } of members) {
    for (const { partition, topic } of owned) {
      const place = places.get(`${topic}/${partition}`)
      if (place === undefined) continue
      // It cannot be. If it is, both have to end their work.
      if (owners.has(place)) disputed.add(place)
      owners.set(place, candidates.get(id)!)
    }
  }
  const targets = assign([...places.values()], [...candidates.values()], owners)
  const assignments = new Map<string, Array<Partition>>(members.map(({ id }) => [id, []]))
  for (const [place, target] of targets) {
    const owner = owners.get(place)
    if (disputed.has(place) || (owner !== undefined && owner !== target)) continue
    assignments.get(target.id)!.push({ topic: place.topic.name, partition: place.partition })
  }
  return assignments
}
