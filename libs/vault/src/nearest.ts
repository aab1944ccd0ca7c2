/** Number of single-character edits between two words (Levenshtein). */
const distance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const next = [row]
    for (let column = 1; column <= b.length; column++) {
      const swap = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      next.push(Math.min(swap, (previous[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1))
    }
    previous = next
  }
  return previous[b.length] ?? 0
}

/** The candidate most like `word`, if one is like it at all; case does not count. */
export const nearest = (word: string, candidates: ReadonlyArray<string>): string | undefined => {
  const allowed = Math.max(1, Math.floor(word.length / 4))
  let best: { readonly name: string; readonly edits: number } | undefined
  for (const name of candidates) {
    if (Math.abs(name.length - word.length) > allowed) continue
    const edits = distance(word.toUpperCase(), name.toUpperCase())
    if (edits <= allowed && (best === undefined || edits < best.edits)) best = { name, edits }
  }
  return best?.name
}
