import { type ConfigProblem, formatProblem } from "@tributary/domain"
import { Effect } from "effect"
import type { LoadedFiles } from "./ConnectorFiles.ts"
import { Screen } from "./Screen.ts"

const each = (
  loaded: LoadedFiles,
  show: (problem: ConfigProblem, severity: "error" | "warning") => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.andThen(
    Effect.forEach(loaded.problems, (problem) => show(problem, "error"), { discard: true }),
    Effect.forEach(loaded.warnings, (problem) => show(problem, "warning"), { discard: true })
  )

/** Shows what is wrong with connector files to a person. */
export const noteProblems = Effect.fnUntraced(function* (loaded: LoadedFiles) {
  const screen = yield* Screen
  yield* each(loaded, (problem, severity) => screen.note(formatProblem(problem, severity)))
})

/** The same for a command that stays: to a person, or else as log lines, as everything it has to say. */
export const logProblems = Effect.fnUntraced(function* (loaded: LoadedFiles) {
  const screen = yield* Screen
  if (screen.isTerminal) return yield* noteProblems(loaded)
  yield* each(loaded, ({ advice, column, expected, file, found, line, path }, severity) => {
    const log = severity === "error" ? Effect.logError : Effect.logWarning
    return log(`${path === "" ? "" : `${path}: `}found ${found}, expected ${expected}. ${advice}`).pipe(
      Effect.annotateLogs({ file, line, column })
    )
  })
})
