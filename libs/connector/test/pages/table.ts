import { type Cell, cursors, faults, nameOf, paginators } from "./cells.ts"
import type { Result } from "./run.ts"

type Axis = "cursor" | "fault" | "paginator"

const isWrong = ({ problems }: Result): boolean => problems.length > 0

/** Runs of each paginator by another axis: their number, and how many of them went wrong. */
const tableBy = (results: ReadonlyArray<Result>, axis: Axis, names: ReadonlyArray<string>): string => {
  const at = (paginator: string, name: string): string => {
    const some = results.filter(({ cell }) => cell.paginator === paginator && cell[axis] === name)
    if (some.length === 0) return "-"
    const wrong = some.filter(isWrong).length
    return wrong === 0 ? String(some.length) : `${wrong} of ${some.length} WRONG`
  }
  const rows = [
    ["", ...names],
    ...paginators.map((paginator) => [String(paginator)].concat(names.map((name) => at(paginator, name))))
  ]
  const widths = names.map((_, index) => Math.max(...rows.map((row) => (row[index + 1] ?? "").length)))
  return rows
    .map(([first = "", ...rest]) =>
      [first.padEnd(15), ...rest.map((text, index) => text.padStart(widths[index] ?? 0))].join("  ")
    )
    .join("\n")
}

const sum = (results: ReadonlyArray<Result>, of: (result: Result) => number): number =>
  results.reduce((total, result) => total + of(result), 0)

/** How often the same cell is shown when it goes wrong. */
const mostShown = 30

export const report = (results: ReadonlyArray<Result>): string => {
  const wrong = results.filter(isWrong)
  const cells = new Set(results.map(({ cell }) => nameOf(cell)))
  return [
    tableBy(results, "cursor", cursors),
    "",
    tableBy(results, "fault", faults),
    "",
    `${results.length} runs of ${cells.size} cells: ${sum(results, ({ requests }) => requests)} requests, ${sum(results, ({ faults }) => faults)} faults and changes, ${sum(results, ({ starts }) => starts)} starts. ${wrong.length} went wrong.`,
    ...wrong.slice(0, mostShown).map(lineOf)
  ].join("\n")
}

/** What went wrong in a run, with what repeats it. */
export const lineOf = ({ cell, problems, seed }: Result): string =>
  `${nameOf(cell)} (--seed ${seed}): ${problems.join("; ")}`

/** Cells whose names hold a text. */
export const matching = (cells: ReadonlyArray<Cell>, text: string): ReadonlyArray<Cell> =>
  cells.filter((cell) => nameOf(cell).includes(text))
