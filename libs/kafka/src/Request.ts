import type { Reader, Writer } from "./Bytes.ts"

/** A call of Kafka's protocol (https://kafka.apache.org/protocol): what is sent, and how the answer is read. */
export interface Request<A> {
  readonly name: string
  readonly key: number
  readonly version: number
  /** The version has tagged fields, also in the headers. */
  readonly flexible: boolean
  /** Longest wait in milliseconds that the request asks of the broker, on top of the usual time. */
  readonly wait?: number
  /** Milliseconds after which an answer is of no use, when that is less than usual. */
  readonly timeout?: number
  readonly write: (writer: Writer) => void
  readonly read: (reader: Reader) => A
}

export interface TopicPartitions<P> {
  readonly topic: string
  readonly partitions: ReadonlyArray<P>
}

/** Groups values by topic, in the order of their first appearance. */
export const byTopic = <P extends { readonly topic: string }>(values: Iterable<P>): Array<TopicPartitions<P>> => {
  const topics = new Map<string, Array<P>>()
  for (const value of values) {
    const present = topics.get(value.topic)
    if (present === undefined) topics.set(value.topic, [value])
    else present.push(value)
  }
  return Array.from(topics, ([topic, partitions]) => ({ topic, partitions }))
}
