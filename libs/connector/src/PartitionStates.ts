import { deflateRawSync, inflateRawSync } from "node:zlib"
import { Schema } from "effect"
import { type Checkpoint, CursorState } from "./Checkpoint.ts"
import { digest, digested } from "./Digest.ts"

/** Changes that a checkpoint carries before they are written into snapshots. */
const mostChanges = 200
/** Partitions of a snapshot. */
const mostInShard = 4096

const Shard = Schema.fromJsonString(Schema.Record(Schema.String, CursorState))
const decodeShard = Schema.decodeUnknownSync(Shard)

/** A text that belongs to a checkpoint but is too large to be written with each. */
export interface Snapshot {
  /** From 0. */
  readonly shard: number
  readonly text: string
}

/**
 * The cursors of a stream's partitions. A checkpoint carries those that changed lately; from time to time they are written into
 * snapshots, each of which holds a share of all partitions by the digests of their keys. So a commit costs the same for ten
 * partitions and for a million, and none is forgotten.
 */
export class PartitionStates {
  readonly #states: Map<string, CursorState>
  #changed: Map<string, CursorState>
  #shards: number
  /** Nobody keeps snapshots, so everything stays in the checkpoint. */
  readonly #isInline: boolean

  private constructor(
    states: Map<string, CursorState>,
    changed: Map<string, CursorState>,
    shards: number,
    isInline: boolean
  ) {
    this.#isInline = isInline
    this.#states = states
    this.#changed = changed
    this.#shards = shards
  }

  /** `texts`: those of all snapshots, by shard; `undefined`: there are none, and none can be kept. */
  static decode(kept: Checkpoint["partitions"], texts: ReadonlyArray<string> | undefined): PartitionStates {
    const states = new Map<string, CursorState>()
    for (const text of texts ?? []) {
      const json = inflateRawSync(Buffer.from(text, "base64")).toString()
      for (const [key, state] of Object.entries(decodeShard(json))) states.set(key, state)
    }
    const changed = new Map(Object.entries(kept?.changed ?? {}))
    for (const [key, state] of changed) states.set(key, state)
    return new PartitionStates(states, changed, kept?.shards ?? 0, texts === undefined)
  }

  get(key: string): CursorState {
    return this.#states.get(key) ?? {}
  }

  set(key: string, state: CursorState): void {
    const known = this.#states.get(key)
    if (
      known !== undefined &&
      known.cursor === state.cursor &&
      known.seen === state.seen &&
      JSON.stringify(known.state) === JSON.stringify(state.state)
    ) {
      return
    }
    this.#states.set(key, state)
    this.#changed.set(key, state)
  }

  /** Snapshots that have to be written with the next checkpoint, which then carries no changes. */
  flush(): { readonly snapshots?: ReadonlyArray<Snapshot> } {
    if (this.#isInline || this.#changed.size <= mostChanges) return {}
    let shards = Math.max(1, this.#shards)
    while (this.#states.size > shards * mostInShard) shards *= 2
    const all = shards !== this.#shards
    const touched = new Set<number>()
    if (!all) for (const key of this.#changed.keys()) touched.add(shardOf(key, shards))
    const contents = new Map<number, Array<readonly [string, CursorState]>>()
    for (const entry of this.#states) {
      const shard = shardOf(entry[0], shards)
      if (!all && !touched.has(shard)) continue
      const known = contents.get(shard)
      if (known === undefined) contents.set(shard, [entry])
      else known.push(entry)
    }
    this.#shards = shards
    this.#changed = new Map()
    return {
      snapshots: Array.from({ length: shards }, (_, shard) => shard).flatMap((shard) => {
        const entries = contents.get(shard)
        if (entries === undefined && !all) return []
        return [{ shard, text: deflateRawSync(shardText(entries ?? [])).toString("base64") }]
      })
    }
  }

  /** What a checkpoint carries; to be asked for after `flush`. */
  encode(): Checkpoint["partitions"] {
    if (this.#changed.size === 0 && this.#shards === 0) return undefined
    return { shards: this.#shards, changed: Object.fromEntries(this.#changed) }
  }
}

/** States are JSON as they are; written one by one, as an object of thousands of members costs more than its text. */
const shardText = (entries: ReadonlyArray<readonly [string, CursorState]>): string =>
  `{${entries.map(([key, state]) => `${JSON.stringify(key)}:${JSON.stringify(state)}`).join(",")}}`

const shardOf = (key: string, shards: number): number => {
  const bytes = Buffer.from(key)
  digest(bytes, 0, bytes.length)
  return digested.low % shards
}
