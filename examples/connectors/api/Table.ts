import type { Row } from "./StandIn.ts"

/** When the first row was made: 2026-01-05T08:00:00Z. */
const begin = 1_767_600_000_000
/** How far the last row is from the first: to 2026-02-26. */
const span = 52 * 86_400_000

export interface TableSize {
  readonly rows: number
  /** Rows of the parent among which they are spread. Default: 1. */
  readonly parents?: number
}

const byTime = (a: Row, b: Row): number => a.updated - b.updated || a.id - b.id

/** Rows that the owner of an API's data makes and changes. Some have the very same time. */
export class Table {
  /** All rows, also those that the API does not show yet. */
  readonly all: Array<Row> = []
  readonly #hidden = new Set<Row>()
  readonly #parents: number

  constructor({ parents = 1, rows }: TableSize) {
    this.#parents = parents
    const step = Math.floor(span / Math.max(rows, 1))
    for (let id = 0; id < rows; id++) {
      // Every seventh shares its time with the one before it.
      this.#add(begin + (id % 7 === 6 ? id - 1 : id) * step)
    }
  }

  /** Rows that the API shows. */
  get rows(): ReadonlyArray<Row> {
    return this.#hidden.size === 0 ? this.all : this.all.filter((row) => !this.#hidden.has(row))
  }

  /** Rows that were changed at or after a time (`undefined`: all), the one that was changed longest ago first. */
  since(time: number | undefined, parent?: number): Array<Row> {
    return this.rows
      .filter((row) => (time === undefined || row.updated >= time) && (parent === undefined || row.parent === parent))
      .toSorted(byTime)
  }

  /** Rows in the order in which they were made. */
  made(filter: (row: Row) => boolean): Array<Row> {
    return this.rows.filter(filter).toSorted((a, b) => a.created - b.created || a.id - b.id)
  }

  /** Changes some rows and adds some. */
  edit(now: number, changed: ReadonlyArray<number>, added: number): void {
    let time = now
    for (const id of changed) {
      const row = this.all[id]
      if (row === undefined) continue
      row.updated = time += 1000
      row.version++
    }
    for (let i = 0; i < added; i++) this.#add((time += 1000))
  }

  /** Adds a row that the API does not show yet. */
  addLate(time: number): void {
    this.#hidden.add(this.#add(time))
  }

  /** Shows what was late. */
  show(): void {
    this.#hidden.clear()
  }

  #add(time: number): Row {
    const id = this.all.length
    const row = { id, parent: id % this.#parents, created: time, updated: time, version: 1 }
    this.all.push(row)
    return row
  }
}
