import { type Comparison, Findings, type TableOracle } from "@tributary/load"

/** One group of an aggregate: rows of a partition, and the sum of their digests. */
export interface Aggregate {
  readonly partition: number
  readonly rows: number
  readonly sum: number
}

/**
 * Compares what an aggregating view has counted with the topic.
 *
 * `phantoms` counts inserts into the view's target whose token ClickHouse remembers although it lost their block when it was killed.
 * What a view lacks by that cannot be repaired (docs/decisions/0007-phantom-tokens.md), so up to as many groups may be short.
 */
export const compareView = (
  what: string,
  oracle: TableOracle,
  found: ReadonlyArray<Aggregate>,
  phantoms: number
): Comparison => {
  const wrong = new Findings("wrong")
  let short = 0
  let expectedRows = 0
  let foundRows = 0
  for (const [partition, place] of oracle.places.entries()) {
    const { slots } = place
    let sum = 0
    for (const slot of slots) if (slot >= 0) sum += oracle.digestOf(slot)
    expectedRows += slots.length
    const group = found.find((one) => one.partition === partition) ?? { rows: 0, sum: 0 }
    foundRows += group.rows
    if (group.rows !== slots.length || group.sum !== sum) {
      if (group.rows < slots.length && group.sum < sum) short++
      wrong.add(
        () =>
          `partition ${partition}: counted ${group.rows} rows with the sum ${group.sum}, expected ${slots.length} with ${sum}`
      )
    }
  }
  for (const { partition, rows } of found) {
    if (partition < oracle.places.length) continue
    foundRows += rows
    wrong.add(() => `partition ${partition}, which the topic does not have: counted ${rows} rows`)
  }
  const counts = { what, expected: expectedRows, found: foundRows }
  if (wrong.count === 0 || wrong.count > short || wrong.count > phantoms) return { ...counts, differences: [wrong] }
  const excused = wrong.as(`short by ${phantoms} lost blocks that ClickHouse takes for stored`)
  return { ...counts, differences: [], excused }
}
