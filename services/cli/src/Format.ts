/** `12,345` */
export const count = (n: number): string => Math.round(n).toLocaleString("en-US")

/** `4.2 MB`; decimal units. */
export const bytes = (n: number): string => {
  if (n < 1_000) return `${n} B`
  const units = ["kB", "MB", "GB", "TB"]
  let value = n
  let unit = -1
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000
    unit++
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`
}

/** `0.4 s`, `12 s`, `3 min` from milliseconds. */
export const duration = (ms: number): string => {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  return `${Math.round(ms / 3_600_000)} h`
}

/** Rows under their headings; columns of numbers (all cells but the heading) to the right. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths: Array<number> = []
  const numeric: Array<boolean> = []
  rows.forEach((row, index) =>
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
      if (index > 0) numeric[column] = (numeric[column] ?? true) && /^[-–]?[\d.,]*( [a-zA-Z/]+)?$/.test(cell)
    })
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}
