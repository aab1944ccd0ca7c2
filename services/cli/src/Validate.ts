import { formatProblem, transformSteps } from "@tributary/domain"
import { compileTransform } from "@tributary/transform"
import { Effect, Schema } from "effect"
import { loadConnectors } from "./ConnectorFiles.ts"
import { Screen } from "./Screen.ts"

export class Invalid extends Schema.TaggedError<Invalid>()("Invalid", { problems: Schema.Natural }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${this.problems} problem(s) found.`
  }
}

/** Checks connector files, with the expressions and TypeScript files that they name, without making a request. */
export const validate = Effect.fn("cli.validate")(function* (options: {
  readonly connectors: string
  readonly json: boolean
}) {
  const screen = yield* Screen
  const loaded = yield* loadConnectors(options.connectors)
  const transforms: Array<{ readonly file: string; readonly path: string; readonly message: string }> = []
  for (const { base, connector, file } of loaded.connectors) {
    for (const stream of Object.keys(connector.streams)) {
      const compiled = yield* Effect.result(
        compileTransform(transformSteps(connector, stream), { connector: connector.connector, stream, base })
      )
      if (compiled._tag === "Failure")
        transforms.push({ file, path: `streams.${stream}`, message: compiled.failure.message })
    }
  }
  const problems = loaded.problems.length + transforms.length
  if (options.json) {
    yield* screen.print(
      JSON.stringify({
        valid: loaded.connectors.map(({ connector, file }) => ({ file, connector: connector.connector })),
        problems: loaded.problems,
        transforms
      })
    )
  } else {
    for (const problem of loaded.problems) yield* screen.print(`${formatProblem(problem)}\n`)
    for (const { file, message, path } of transforms) yield* screen.print(`error: ${path}: ${message}\n  --> ${file}\n`)
    for (const { connector, file } of loaded.connectors)
      yield* screen.print(
        `${file}: connector ${connector.connector}, ${Object.keys(connector.streams).length} stream(s)`
      )
  }
  if (problems > 0) return yield* new Invalid({ problems })
})
