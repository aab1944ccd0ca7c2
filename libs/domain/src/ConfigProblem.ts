import { Schema } from "effect"

/** One thing that is wrong in a configuration file: where, what was found, what was expected, and what to do. Shows no secret. */
export const ConfigProblem = Schema.Struct({
  /** As it was given to the parser. */
  file: Schema.String,
  /** First line is 1. */
  line: Schema.Int,
  /** First column is 1; counted in UTF-16 code units. */
  column: Schema.Int,
  /** The setting, as `streams.orders.pagination`; empty for the whole file. */
  path: Schema.String,
  /** What stands there, shortened; values that may be secret are described, not shown. */
  found: Schema.String,
  expected: Schema.String,
  /** What to do, in one sentence. */
  advice: Schema.String,
  /** The line of the file, secrets replaced by `*`, and how many of its columns the problem covers. */
  excerpt: Schema.Struct({ text: Schema.String, width: Schema.Int })
})
export type ConfigProblem = typeof ConfigProblem.Type

const longestLine = 100
const contextBefore = 30

/**
 * Writes a problem as compilers do:
 *
 *     error: streams.orders.recods: found the unknown setting `recods`, expected one of path, query, records
 *       --> connectors/shop.yaml:14:7
 *        |
 *     14 |       recods: $.data[*]
 *        |       ^^^^^^
 *        = Did you mean records?
 */
export const formatProblem = (problem: ConfigProblem, severity: "error" | "warning" = "error"): string => {
  const { advice, column, excerpt, expected, file, found, line, path } = problem
  const gutter = " ".repeat(String(line).length)
  const from =
    excerpt.text.length <= longestLine
      ? 0
      : Math.max(0, Math.min(column - 1 - contextBefore, excerpt.text.length - longestLine))
  const cut = from === 0 ? "" : "..."
  const shown = `${cut}${excerpt.text.slice(from, from + longestLine)}`
  const before = `${cut}${excerpt.text.slice(from, column - 1)}`.replaceAll(/[^\t]/gu, " ")
  const width = Math.max(1, Math.min(excerpt.width, shown.length - before.length))
  return [
    `${severity}: ${path === "" ? "" : `${path}: `}found ${found}, expected ${expected}`,
    `${gutter}--> ${file}:${line}:${column}`,
    `${gutter} |`,
    `${line} | ${shown}`,
    `${gutter} | ${before}${"^".repeat(width)}`,
    `${gutter} = ${advice}`
  ].join("\n")
}

/** All problems of a file, in the order of their lines, with an empty line between two. */
export const formatProblems = (
  problems: ReadonlyArray<ConfigProblem>,
  severity: "error" | "warning" = "error"
): string => problems.map((problem) => formatProblem(problem, severity)).join("\n\n")
