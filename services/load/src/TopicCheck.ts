import { partitionOf } from "@tributary/log"
import { type Comparison, Findings } from "./Findings.ts"
import { sameJson } from "./JsonText.ts"
import { Places } from "./Places.ts"

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

const text = new TextDecoder()
const utf8 = new TextEncoder()
const longestShown = 300
const shown = (value: string): string => (value.length > longestShown ? `${value.slice(0, longestShown)}…` : value)

/** Compares a topic with what it must hold, record by record. */
export class TopicCheck {
  readonly places: ReadonlyArray<Places>
  readonly #topic: string
  readonly #oracle: Oracle
  readonly #seen: Uint8Array
  readonly #lost = new Findings("lost")
  readonly #doubled = new Findings("duplicated")
  readonly #altered = new Findings("altered")
  readonly #foreign = new Findings("foreign")
  #found = 0

  constructor(topic: string, partitions: number, oracle: Oracle, keepsTimes = false) {
    this.#topic = topic
    this.#oracle = oracle
    this.#seen = new Uint8Array(oracle.slots)
    this.places = Array.from({ length: partitions }, () => new Places(keepsTimes))
  }

  /** Takes a record; `value` is its value as JSON. Records come in the order of their offsets. */
  accept(
    partition: number,
    record: { readonly offset: number; readonly timestamp: number; readonly key: Uint8Array | null },
    value: string
  ): void {
    this.#found++
    const slot = this.#oracle.slotOf(value)
    const expected = slot === undefined ? undefined : this.#oracle.expected(slot)
    const isKnown = slot !== undefined && expected !== undefined
    this.places[partition]!.push(record.offset, isKnown ? slot : -1, record.timestamp)
    const place = () => `${this.#topic}/${partition}@${record.offset}`
    if (!isKnown) {
      this.#foreign.add(() => `${place()}: ${shown(value)}`)
      return
    }
    if (this.#seen[slot] === 1) {
      this.#doubled.add(() => `${expected.id} at ${place()} and ${this.#placesOf(slot, place())}`)
    }
    this.#seen[slot] = 1
    if (!sameJson(value, expected.value)) {
      this.#altered.add(() => `${expected.id} at ${place()}: found ${shown(value)}, expected ${shown(expected.value)}`)
    }
    const key = record.key === null ? null : text.decode(record.key)
    if (key !== expected.key) {
      this.#altered.add(() => `${expected.id} at ${place()}: found the key ${key}, expected ${expected.key}`)
    } else if (partitionOf(record.key ?? new Uint8Array(), this.places.length) !== partition) {
      this.#altered.add(() => `${expected.id} at ${place()}: its key belongs to another partition`)
    }
  }

  /** Where else a slot was found. */
  #placesOf(slot: number, place: string): string {
    const found: Array<string> = []
    for (const [partition, places] of this.places.entries()) {
      for (const at of places.positionsOf(slot)) found.push(`${this.#topic}/${partition}@${places.offset(at)}`)
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
      this.#lost.add(() => {
        const partition = partitionOf(utf8.encode(record.key), this.places.length)
        return `${record.id}, which belongs to ${this.#topic}/${partition}`
      })
    }
    return {
      what,
      expected,
      found: this.#found,
      differences: [this.#lost, this.#doubled, this.#altered, this.#foreign]
    }
  }
}
