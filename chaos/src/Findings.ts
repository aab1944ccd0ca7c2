/** Most of one kind of difference that are kept with their places; the others are counted. */
const mostKept = 1_000

/** Differences of one kind. */
export class Findings {
  readonly kind: string
  count = 0
  readonly lines: Array<string> = []

  constructor(kind: string) {
    this.kind = kind
  }

  add(line: () => string): void {
    this.count++
    if (this.lines.length < mostKept) this.lines.push(line())
  }
}

/** What a comparison counted, and what it found different. */
export interface Comparison {
  /** What was compared with what. */
  readonly what: string
  readonly expected: number
  readonly found: number
  readonly differences: ReadonlyArray<Findings>
}

export const differs = (comparison: Comparison): boolean =>
  comparison.expected !== comparison.found || comparison.differences.some(({ count }) => count > 0)

/** One line for a comparison that holds, and for one that does not also the first of its differences. */
export const describeComparison = (comparison: Comparison, most: number): string => {
  const { differences, expected, found, what } = comparison
  const counts = differences.map(({ count, kind }) => `${count} ${kind}`).join(", ")
  const verdict = differs(comparison) ? "DIFFERS" : "exact"
  const lines = [`${what}: ${found} of ${expected}, ${counts}: ${verdict}`]
  for (const { count, kind, lines: found } of differences) {
    for (const line of found.slice(0, most)) lines.push(`    ${kind}: ${line}`)
    if (count > most && count > 0) lines.push(`    ${kind}: and ${count - Math.min(most, found.length)} more`)
  }
  return lines.join("\n")
}
