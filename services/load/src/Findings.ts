/** Most differences of one kind that are kept with their places; the others are counted. */
const mostKept = 1_000

/** Differences of one kind. */
export class Findings {
  readonly kind: string
  count = 0
  readonly lines: Array<string> = []

  constructor(kind: string) {
    this.kind = kind
  }

  add(line: () => string, count = 1): void {
    this.count += count
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
