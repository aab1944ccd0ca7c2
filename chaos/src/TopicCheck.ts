import { partitionOf } from "@tributary/log"
import { type Comparison, Findings } from "./Findings.ts"
import { sameJson } from "./JsonText.ts"

/** What a topic must hold. Every record that may be in it has a slot, a number from 0 on. */
export interface Oracle {
  readonly slots: number
  /** The slot of a record, from its identifier; `undefined` for a record that has none. */
  readonly slotOf: (value: string) => number | undefined
  /** The record of a slot; `undefined` when there must be none, as when a filter leaves it out. */
  readonly expected: (slot: number) => ExpectedRecord | undefined
}

export interface ExpectedRecord {
  readonly id: string
  readonly key: string
  /** As JSON. */
  readonly value: string
}

/** The records of one partition in the order of their offsets, each with its slot (-1 for none). */
export interface PartitionPlaces {
  readonly offsets: Array<number>
  readonly slots: Array<number>
  /** When each was written, milliseconds since 1970. */
  readonly times: Array<number>
}

const utf8 = new TextEncoder()
const text = new TextDecoder()
const shown = (value: string): string => (value.length > 300 ? `${value.slice(0, 300)}…` : value)

/** Compares a topic with what it must hold, record by record. */
export class TopicCheck {
  readonly places: ReadonlyArray<PartitionPlaces>
  readonly #topic: string
  readonly #oracle: Oracle
  readonly #seen: Uint8Array
  readonly #lost = new Findings("lost")
  readonly #doubled = new Findings("duplicated")
  readonly #altered = new Findings("altered")
  readonly #foreign = new Findings("foreign")
  #found = 0

  constructor(topic: string, partitions: number, oracle: Oracle) {
    this.#topic = topic
    this.#oracle = oracle
    this.#seen = new Uint8Array(oracle.slots)
    this.places = Array.from({ length: partitions }, () => ({ offsets: [], slots: [], times: [] }))
  }

  /** Takes a record; `value` is its value as JSON. Records come in the order of their offsets. */
  accept(
    partition: number,
    record: { readonly offset: number; readonly timestamp: number; readonly key: Uint8Array | null },
    value: string
  ): void {
    this.#found++
    const place = `${this.#topic}/${partition}@${record.offset}`
    const slot = this.#oracle.slotOf(value)
    const expected = slot === undefined ? undefined : this.#oracle.expected(slot)
    const { offsets, slots, times } = this.places[partition]!
    offsets.push(record.offset)
    times.push(record.timestamp)
    slots.push(slot === undefined || expected === undefined ? -1 : slot)
    if (slot === undefined || expected === undefined) {
      this.#foreign.add(() => `${place}: ${shown(value)}`)
      return
    }
    if (this.#seen[slot] === 1) this.#doubled.add(() => `${expected.id} at ${place} and ${this.#placesOf(slot, place)}`)
    this.#seen[slot] = 1
    if (!sameJson(value, expected.value)) {
      this.#altered.add(() => `${expected.id} at ${place}: found ${shown(value)}, expected ${shown(expected.value)}`)
    }
    const key = record.key === null ? null : text.decode(record.key)
    if (key !== expected.key) {
      this.#altered.add(() => `${expected.id} at ${place}: found the key ${key}, expected ${expected.key}`)
    } else if (partitionOf(utf8.encode(key), this.places.length) !== partition) {
      this.#altered.add(() => `${expected.id} at ${place}: its key belongs to another partition`)
    }
  }

  /** Where else a slot was found. */
  #placesOf(slot: number, place: string): string {
    const found: Array<string> = []
    for (const [partition, { offsets, slots }] of this.places.entries()) {
      for (let at = slots.indexOf(slot); at >= 0; at = slots.indexOf(slot, at + 1)) {
        found.push(`${this.#topic}/${partition}@${offsets[at]}`)
      }
    }
    return found.filter((other) => other !== place).join(", ")
  }

  /** The result, to be asked for when all records have been taken. */
  finish(what: string): Comparison {
    let expected = 0
    for (let slot = 0; slot < this.#oracle.slots; slot++) {
      const record = this.#oracle.expected(slot)
      if (record === undefined) continue
      expected++
      if (this.#seen[slot] === 1) continue
      const partition = partitionOf(utf8.encode(record.key), this.places.length)
      this.#lost.add(() => `${record.id}, which belongs to ${this.#topic}/${partition}`)
    }
    return {
      what,
      expected,
      found: this.#found,
      differences: [this.#lost, this.#doubled, this.#altered, this.#foreign]
    }
  }
}
