import type { LogError, NewRecord } from "@tributary/log"
import { Effect } from "effect"
import { invalid } from "./KafkaFault.ts"
import { partitionOf } from "@tributary/log"
import type { Topic, Topics } from "./Topics.ts"

/** A batch stays below a broker's usual limit of 1 MiB (`message.max.bytes`), and below its topic's if that is less. */
const maxBatch = 900 * 1024

/** What a batch has beside its records, bytes; a record's own is counted with it. */
const batchOverhead = 256

/** Records of one write for one partition, in order. */
export interface Part {
  readonly topic: string
  readonly partition: number
  readonly records: Array<NewRecord>
  /** Where a batch ends and the next begins. */
  readonly cuts: Array<number>
  size: number
}

export interface Route {
  readonly parts: ReadonlyArray<Part>
  /** For each record its part, and its number in it. */
  readonly places: ReadonlyArray<{ readonly part: Part; readonly at: number }>
}

type Headers = NewRecord["headers"]

const headersProblem = (headers: Headers): string | undefined => {
  if (headers === undefined) return undefined
  for (const name of Object.keys(headers)) {
    if (!name.isWellFormed() || !headers[name]!.isWellFormed())
      return `header ${JSON.stringify(name)} is not Unicode text (it has half a surrogate pair).`
  }
  return undefined
}

const headersSize = (headers: Headers): number => {
  let size = 0
  for (const name in headers) size += 3 * (name.length + headers[name]!.length)
  return size
}

/** Says to which partition each record goes, before anything is written. */
export class Router {
  readonly #topics: Topics
  /** Counts the writes without keys, by topic: they take turns over its partitions. */
  readonly #turns = new Map<string, number>()

  constructor(topics: Topics) {
    this.#topics = topics
  }

  #turn({ name, partitions }: Topic): number {
    const turn = this.#turns.get(name) ?? 0
    this.#turns.set(name, turn + 1)
    return turn % partitions.length
  }

  /** Fails for a record that cannot be written: no such topic or partition, no key in a compacted topic, headers that are no text. */
  readonly route = Effect.fnUntraced(
    { self: this },
    function* (this: Router, records: ReadonlyArray<NewRecord>): Effect.fn.Return<Route, LogError> {
      const topics = new Map<string, { readonly topic: Topic; turn: number | undefined; readonly parts: Array<Part> }>()
      for (const { topic: name } of records)
        if (!topics.has(name)) topics.set(name, { topic: yield* this.#topics.topic(name), turn: undefined, parts: [] })

      const parts: Array<Part> = []
      const places: Array<{ readonly part: Part; readonly at: number }> = []
      let headers: Headers
      let headerSize = 0
      let target = topics.get(records[0]?.topic ?? "")
      for (const record of records) {
        const { key, value } = record
        if (target?.topic.name !== record.topic) target = topics.get(record.topic)
        if (target === undefined) continue
        const { topic } = target
        const count = topic.partitions.length
        const partition =
          record.partition ?? (key === null ? (target.turn ??= this.#turn(topic)) : partitionOf(key, count))
        if (!Number.isInteger(partition) || partition < 0 || partition >= count)
          return yield* invalid(`Topic ${topic.name} has no partition ${partition}; it has ${count}, numbered from 0.`)
        if (key === null && topic.compacted)
          return yield* invalid(`Topic ${topic.name} is compacted: each of its records needs a key.`)
        if (record.headers !== headers) {
          headers = record.headers
          const problem = headersProblem(headers)
          if (problem !== undefined) return yield* invalid(`Topic ${topic.name}: ${problem}`)
          headerSize = headersSize(headers)
        }
        let part = target.parts[partition]
        if (part === undefined) {
          part = { topic: topic.name, partition, records: [], cuts: [], size: 0 }
          target.parts[partition] = part
          parts.push(part)
        }
        const size = 32 + (key?.length ?? 0) + (value?.length ?? 0) + headerSize
        if (part.size > 0 && part.size + size > Math.min(maxBatch, topic.maxBytes - batchOverhead)) {
          part.cuts.push(part.records.length)
          part.size = 0
        }
        part.size += size
        places.push({ part, at: part.records.length })
        part.records.push(record)
      }
      return { parts, places }
    }
  )
}
