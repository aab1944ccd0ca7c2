/** Damerau-Levenshtein distance (adjacent letters may be swapped at the price of one), case and separators ignored. */
const distance = (left: string, right: string): number => {
  let beforeLast: ReadonlyArray<number> = []
  let last: ReadonlyArray<number> = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 1; i <= left.length; i++) {
    const row: Array<number> = [i]
    for (let j = 1; j <= right.length; j++) {
      const same = left[i - 1] === right[j - 1]
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1]) {
        least = Math.min(least, (beforeLast[j - 2] ?? 0) + 1)
      }
      row.push(least)
    }
    beforeLast = last
    last = row
  }
  return last[right.length] ?? 0
}

const plain = (name: string) => name.toLowerCase().replaceAll(/[-_\s.]/gu, "")

/** The candidate that `name` most likely stands for; `undefined` when none is near (a third of its letters, at least one). */
export const nearest = (name: string, candidates: ReadonlyArray<string>): string | undefined => {
  const wanted = plain(name.slice(0, 64))
  let best: string | undefined
  let least = Infinity
  for (const candidate of candidates) {
    const target = plain(candidate)
    const cost = distance(wanted, target)
    if (cost < least && cost <= Math.max(1, Math.floor(Math.max(wanted.length, target.length) / 3))) {
      best = candidate
      least = cost
    }
  }
  return best
}
