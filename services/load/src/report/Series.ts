/** A value at a time, milliseconds since the start. */
export interface Point {
  readonly at: number
  readonly value: number
}

/** The most points that are drawn in one line: a phone shows no more, and the report stays small. */
const mostPoints = 300

/** Points that can be drawn, in order of time. Values below zero mean nothing in any of the charts and count as zero. */
export const points = <A extends { readonly at: number }>(
  samples: ReadonlyArray<A>,
  value: (sample: A) => number
): ReadonlyArray<Point> =>
  samples
    .filter((sample) => Number.isFinite(sample.at) && Number.isFinite(value(sample)))
    .map((sample) => ({ at: Math.max(0, sample.at), value: Math.max(0, value(sample)) }))
    .sort((a, b) => a.at - b.at)

/** The largest of the values, 0 if there are none. (Spreading 100,000 arguments overflows the stack.) */
export const largest = <A>(items: ReadonlyArray<A>, value: (item: A) => number): number =>
  items.reduce((most, item) => {
    const next = value(item)
    return Number.isFinite(next) && next > most ? next : most
  }, 0)

export const sum = <A>(items: ReadonlyArray<A>, value: (item: A) => number): number =>
  items.reduce((total, item) => total + value(item), 0)

/**
 * At most `limit` (and four) of the points: the first, the last, and the lowest and highest of each stretch, so that no
 * spike is lost.
 */
export const thin = (line: ReadonlyArray<Point>, limit: number = mostPoints): ReadonlyArray<Point> => {
  if (line.length <= limit) return line
  const stretches = Math.max(1, Math.floor(limit / 2))
  const kept = new Set<number>([0, line.length - 1])
  for (let k = 0; k < stretches; k++) {
    const from = Math.floor((k * line.length) / stretches)
    const to = Math.floor(((k + 1) * line.length) / stretches)
    let low = from
    let high = from
    for (let n = from; n < to; n++) {
      if (valueAt(line, n) < valueAt(line, low)) low = n
      if (valueAt(line, n) > valueAt(line, high)) high = n
    }
    kept.add(low).add(high)
  }
  return [...kept].sort((a, b) => a - b).flatMap((n) => line[n] ?? [])
}

const valueAt = (line: ReadonlyArray<Point>, n: number): number => line[n]?.value ?? 0

/** Some of the items, evenly apart, the first and the last among them. */
export const evenly = <A>(items: ReadonlyArray<A>, limit: number): ReadonlyArray<A> =>
  items.length <= limit
    ? items
    : Array.from({ length: limit }, (_, k) => Math.round((k * (items.length - 1)) / (limit - 1))).flatMap(
        (n) => items[n] ?? []
      )

/** The line cut where nothing was measured for much longer than usual, as when a process was gone. */
export const pieces = (line: ReadonlyArray<Point>): ReadonlyArray<ReadonlyArray<Point>> => {
  const gaps = line.slice(1).map((point, k) => point.at - (line[k]?.at ?? point.at))
  const usual = gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)] ?? 0
  const cut: Array<Array<Point>> = []
  line.forEach((point, k) => {
    const piece = cut.at(-1)
    if (piece === undefined || (gaps[k - 1] ?? 0) > 4 * usual) cut.push([point])
    else piece.push(point)
  })
  // A line in hundreds of pieces is one that was measured at odd times, not a process that was gone.
  return cut.length > mostPoints / 4 ? [line] : cut
}

/** How fast a total grew, per second: over windows of a hundredth of the time, and not below a second. */
export const rates = (totals: ReadonlyArray<Point>): ReadonlyArray<Point> => {
  const first = totals[0]
  const last = totals.at(-1)
  if (first === undefined || last === undefined) return []
  const window = Math.max(1000, (last.at - first.at) / 100)
  const found: Array<Point> = []
  let from = first
  for (const point of totals) {
    const elapsed = point.at - from.at
    if (elapsed < window && (point !== last || elapsed < window / 2)) continue
    const value = Math.max(0, ((point.value - from.value) * 1000) / elapsed)
    if (found.length === 0) found.push({ at: from.at, value })
    found.push({ at: point.at, value })
    from = point
  }
  return found
}
