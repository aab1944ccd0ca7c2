/** A JSON value as text that is the same for equal values: keys sorted, numbers as they were written. */
const normalise = (text: string): string =>
  JSON.stringify(
    sorted(
      JSON.parse(text, function (_key, value: unknown, ...rest: ReadonlyArray<unknown>) {
        if (typeof value !== "number") return value
        // A double would round some of them, so they are kept as the text they had.
        const [context] = rest
        return {
          "#number": typeof context === "object" && context !== null && "source" in context ? context.source : value
        }
      })
    )
  )

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => [name, sorted(field)])
  )
}

/** Whether two JSON texts mean the same. */
export const sameJson = (left: string, right: string): boolean => {
  if (left === right) return true
  try {
    return normalise(left) === normalise(right)
  } catch {
    // What is no JSON equals nothing.
    return false
  }
}
