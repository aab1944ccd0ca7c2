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

  /** `count` differences that one line tells. */
  add(line: () => string, count = 1): void {
    this.count += count
    if (this.lines.length < mostKept) this.lines.push(line())
  }

  /** The same under another name. */
  as(kind: string): Findings {
    const same = new Findings(kind)
    for (const line of this.lines) same.add(() => line)
    same.count = this.count
    return same
  }
}

/** What a comparison counted, and what it found different. */
export interface Comparison {
  /** What was compared with what. */
  readonly what: string
  readonly expected: number
  readonly found: number
  readonly differences: ReadonlyArray<Findings>
  /** Differences that are a known limit of the server, and proven to come from it. */
  readonly excused?: Findings
}

const isExcused = ({ excused }: Comparison): boolean => excused !== undefined && excused.count > 0

export const differs = (comparison: Comparison): boolean =>
  comparison.differences.some(({ count }) => count > 0) ||
  (comparison.expected !== comparison.found && !isExcused(comparison))

/** One line for a comparison that holds, and for one that does not also the first of its differences. */
export const describeComparison = (comparison: Comparison, most: number): string => {
  const { expected, found, what } = comparison
  const differences = [...comparison.differences, ...(comparison.excused === undefined ? [] : [comparison.excused])]
  const counts = differences.map(({ count, kind }) => `${count} ${kind}`).join(", ")
  const verdict = differs(comparison) ? "DIFFERS" : isExcused(comparison) ? "exact but for a known limit" : "exact"
  const lines = [`${what}: ${found} of ${expected}, ${counts}: ${verdict}`]
  for (const { count, kind, lines: found } of differences) {
    for (const line of found.slice(0, most)) lines.push(`    ${kind}: ${line}`)
    if (count > most && count > 0) lines.push(`    ${kind}: and ${count - Math.min(most, found.length)} more`)
  }
  return lines.join("\n")
}
