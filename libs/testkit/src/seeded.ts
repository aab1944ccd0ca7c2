/** Random numbers that are the same in every run with the same seed (mulberry32). */
export const seeded = (seed: number) => {
  let state = seed >>> 0
  /** From 0 up to, but not, 1. */
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  /** A whole number from 0 up to, but not, `n`. */
  const below = (n: number): number => Math.floor(next() * n)
  const pick = <A>(items: ReadonlyArray<A>): A => {
    const item = items[below(items.length)]
    if (item === undefined) throw new Error("nothing to pick from")
    return item
  }
  const digits = (n: number): string => Array.from({ length: n }, () => below(10)).join("")
  return { next, below, pick, digits }
}
