/** Random records as JSON text, from a seed: nested, with awkward names, and with numbers that no double holds. */
export const recordText = (seed: number): string => {
  let state = seed >>> 0
  const random = (below: number): number => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    return (state >>> 8) % below
  }
  const pick = <A>(items: ReadonlyArray<A>): A => items[random(items.length)]!
  const names = ["a", "b", "c", "id", "name", "__proto__", "constructor", "toString", "a.b", "", "ключ", "a_b"]
  const scalars =
    '"" "text" "\\u0000\\n\\"\\\\" "𝄞" true false null 0 -0 1.50 1e3 0.1 5.0 1E400 9007199254740993 -123456789012345678901234567890 0.12345678901234567890123456789'.split(
      " "
    )
  const value = (depth: number): string => {
    const kind = depth > 3 ? 0 : random(6)
    if (kind === 1) return object(depth + 1)
    if (kind === 2) return `[${Array.from({ length: random(4) }, () => value(depth + 1)).join(",")}]`
    return pick(scalars)
  }
  const object = (depth: number): string => {
    const fields = new Map(Array.from({ length: random(6) }, () => [pick(names), value(depth)]))
    return `{${[...fields].map(([name, field]) => `${JSON.stringify(name)}:${field}`).join(",")}}`
  }
  return object(0)
}
