import { type Comparison, Findings } from "./Findings.ts"
import type { Places } from "./Places.ts"

/** What rows must be: their topic's records, and the digest of each. */
export interface TableOracle {
  readonly places: ReadonlyArray<Places>
  /** Digest of the row that the record of a slot becomes. */
  readonly digestOf: (slot: number) => number
  /** Identifier of the record of a slot. */
  readonly idOf: (slot: number) => string
}

/** Neighbours of one partition that have the same difference. */
interface Run {
  readonly partition: number
  /** Positions among the partition's records; `undefined` for rows that have none. */
  readonly from: number | undefined
  readonly first: number
  last: number
  count: number
}

/** Differences in the order of partition and offset; neighbours make one line. */
class Runs {
  readonly findings: Findings
  readonly #line: (run: Run) => string
  #run: Run | undefined

  constructor(kind: string, line: (run: Run) => string) {
    this.findings = new Findings(kind)
    this.#line = line
  }

  /** `at` is the record's position among those of its partition: neighbours follow one another, whatever their offsets are. */
  add(partition: number, offset: number, at: number | undefined): void {
    const run = this.#run
    if (run !== undefined && run.partition === partition) {
      // The same one once more, as when all rows of a batch are there twice.
      const isNext = at !== undefined && run.from !== undefined && at === run.from + run.count
      if (isNext) {
        run.last = offset
        run.count++
        return
      }
    }
    this.end()
    this.#run = { partition, from: at, first: offset, last: offset, count: 1 }
  }

  end(): void {
    const run = this.#run
    this.#run = undefined
    if (run !== undefined) this.findings.add(() => this.#line(run), run.count)
  }
}

/** Compares a table with the topic it was loaded from, row by row. Rows come in the order of partition and offset. */
export class TableCheck {
  readonly #table: string
  readonly #oracle: TableOracle
  readonly #lost: Runs
  readonly #doubled: Runs
  readonly #altered = new Findings("altered")
  readonly #foreign = new Findings("foreign")
  /** Of each partition how many of its records have been passed. */
  readonly #passed: Array<number>
  #last: readonly [partition: number, offset: number] = [-1, -1]
  #found = 0

  constructor(table: string, oracle: TableOracle) {
    this.#table = table
    this.#oracle = oracle
    this.#passed = oracle.places.map(() => 0)
    this.#lost = new Runs("lost", (run) => this.#describe(run))
    this.#doubled = new Runs("duplicated", (run) => this.#describe(run))
  }

  #name(partition: number, at: number): string {
    const slot = this.#oracle.places[partition]!.slot(at)
    return slot < 0 ? "a foreign record" : this.#oracle.idOf(slot)
  }

  #describe({ count, first, from, last, partition }: Run): string {
    if (count > 1) return `partition ${partition}, offsets ${first} to ${last} (${count} records)`
    const named = from === undefined ? "" : ` (${this.#name(partition, from)})`
    return `partition ${partition}, offset ${first}${named}`
  }

  accept(partition: number, offset: number, digest: number): void {
    this.#found++
    const place = this.#oracle.places[partition]
    if (this.#last[0] === partition && this.#last[1] === offset) {
      const at = (this.#passed[partition] ?? 0) - 1
      this.#doubled.add(partition, offset, at >= 0 && place?.offset(at) === offset ? at : undefined)
      return
    }
    this.#last = [partition, offset]
    if (place === undefined) {
      this.#foreign.add(() => `partition ${partition}, offset ${offset}: ${this.#table}'s topic has no such partition`)
      return
    }
    let at = this.#passed[partition]!
    while (at < place.count && place.offset(at) < offset) {
      this.#lost.add(partition, place.offset(at), at)
      at++
    }
    this.#passed[partition] = at
    if (at >= place.count || place.offset(at) !== offset) {
      this.#foreign.add(() => `partition ${partition}, offset ${offset}: the topic has no such record`)
      return
    }
    this.#passed[partition] = at + 1
    const slot = place.slot(at)
    if (slot >= 0 && this.#oracle.digestOf(slot) !== digest) {
      this.#altered.add(
        () =>
          `partition ${partition}, offset ${offset} (${this.#name(partition, at)}): its columns are not those of the record`
      )
    }
  }

  finish(what: string): Comparison {
    let expected = 0
    for (const [partition, place] of this.#oracle.places.entries()) {
      expected += place.count
      for (let at = this.#passed[partition]!; at < place.count; at++) this.#lost.add(partition, place.offset(at), at)
    }
    this.#lost.end()
    this.#doubled.end()
    return {
      what,
      expected,
      found: this.#found,
      differences: [this.#lost.findings, this.#doubled.findings, this.#altered, this.#foreign]
    }
  }
}
