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

/** A text without what could move the cursor, or worse, on a terminal. */
export const printable = (text: string): string =>
  text.replaceAll(
    /[\p{Cc}\u{2028}\u{2029}\u{202a}-\u{202e}\u{2066}-\u{2069}]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`
  )

/** A CREATE TABLE statement with a line for each column. */
export const statement = (sql: string, indent: string): string => {
  let depth = 0
  let out = ""
  for (let i = 0; i < sql.length; i++) {
    const character = sql[i]!
    if (character === "`") {
      const end = sql.indexOf("`", i + 1)
      out += sql.slice(i, end < 0 ? sql.length : end + 1)
      i = end < 0 ? sql.length : end
      continue
    }
    if (character === ")") depth--
    if (character === ")" && depth === 0 && sql.startsWith(") ENGINE", i)) out += `\n${indent}`
    out += character
    if (character === "(" && depth++ === 0 && !out.includes("\n")) out += `\n${indent}  `
    if (character === "," && depth === 1 && !out.includes(") ENGINE")) {
      out += `\n${indent}  `
      if (sql[i + 1] === " ") i++
    }
  }
  return out
}
