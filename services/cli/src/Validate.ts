import { type ConfigProblem, formatProblem, parseConnector, streamOf, transformSteps } from "@tributary/domain"
import { compileTransform, type TransformError } from "@tributary/transform"
import { Secrets } from "@tributary/secrets"
import { Effect, Result, Schema } from "effect"
import { type LoadedConnector, loadConnectors } from "./ConnectorFiles.ts"
import { count } from "./Format.ts"
import { referencesOf } from "./References.ts"
import { Screen } from "./Screen.ts"

export class Invalid extends Schema.TaggedError<Invalid>()("Invalid", { problems: Schema.Natural }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${count(this.problems)} problem(s) found.`
  }
}

/** References of a connector that cannot be resolved here. Another place may have them, so they do not make the file wrong. */
const unresolved = Effect.fnUntraced(function* ({ base, connector, file, text }: LoadedConnector) {
  const secrets = yield* Secrets
  const problems: Array<{ readonly reference: string; readonly problem: ConfigProblem }> = []
  for (const [reference, [path = ""]] of referencesOf(connector)) {
    const resolved = yield* Effect.result(secrets.secret(reference, base))
    if (resolved._tag === "Success") continue
    const before = text.slice(0, Math.max(0, text.indexOf(reference))).split("\n")
    const problem = {
      file,
      line: before.length,
      column: (before.at(-1)?.length ?? 0) + 1,
      path,
      found: reference,
      expected: "a reference that can be resolved here",
      advice: resolved.failure.problem,
      excerpt: { text: text.split("\n")[before.length - 1]?.trimEnd() ?? "", width: reference.length }
    }
    problems.push({ reference, problem })
  }
  return problems
})

/** A step that cannot be made, and where in the file it stands. */
interface WrongStep {
  readonly place: ConfigProblem
  readonly message: string
}

const wrongStep = ({ connector, file, text }: LoadedConnector, stream: string, error: TransformError): WrongStep => {
  const own = streamOf(connector, stream).transform === undefined ? [] : ["streams", stream]
  const said = { severity: "error", found: "", expected: "", advice: "" } as const
  // It was read from this text before.
  const [place] = Result.getOrThrow(parseConnector(text, file)).locate([
    { ...said, path: [...own, "transform", ...error.at] }
  ])
  if (place === undefined) throw error
  return { place, message: error.problem }
}

/** As other problems of files are shown, with sentences in place of what was found and expected. */
const formatStep = ({ message, place }: WrongStep): string =>
  [`error: ${place.path}: ${message}`, ...formatProblem(place).split("\n").slice(1, -1)].join("\n")

/** Checks connector files, with the expressions and TypeScript files that they name, without making a request. */
export const validate = Effect.fn("cli.validate")(function* (options: {
  readonly connectors: string
  readonly json: boolean
}) {
  const screen = yield* Screen
  const loaded = yield* loadConnectors(options.connectors)
  const warnings: Array<ConfigProblem> = [...loaded.warnings]
  /** By place: streams may share a step. */
  const transforms = new Map<string, WrongStep>()
  for (const one of loaded.connectors) {
    const { base, connector } = one
    const missing = yield* unresolved(one)
    warnings.push(...missing.map(({ problem }) => problem))
    for (const stream of Object.keys(connector.streams)) {
      const compiled = yield* Effect.result(
        compileTransform(transformSteps(connector, stream), { connector: connector.connector, stream, base })
      )
      if (compiled._tag === "Success") continue
      // A salt that is missing here has been said.
      if (missing.some(({ reference }) => compiled.failure.problem.includes(reference))) continue
      const wrong = wrongStep(one, stream, compiled.failure)
      transforms.set(JSON.stringify([wrong.place.file, wrong.place.path]), wrong)
    }
  }
  if (options.json) {
    yield* screen.print(
      JSON.stringify({
        valid: loaded.connectors.map(({ connector, file }) => ({ file, connector: connector.connector })),
        problems: loaded.problems,
        transforms: [...transforms.values()].map(({ message, place: { column, file, line, path } }) => ({
          file,
          line,
          column,
          path,
          message
        })),
        warnings
      })
    )
  } else {
    for (const problem of loaded.problems) yield* screen.print(`${formatProblem(problem)}\n`)
    for (const wrong of transforms.values()) yield* screen.print(`${formatStep(wrong)}\n`)
    for (const warning of warnings) yield* screen.print(`${formatProblem(warning, "warning")}\n`)
    for (const { connector, file } of loaded.connectors) {
      const streams = Object.keys(connector.streams).length
      yield* screen.print(`${file}: connector ${connector.connector}, ${streams} stream(s)`)
    }
  }
  const problems = loaded.problems.length + transforms.size
  if (problems > 0) return yield* new Invalid({ problems })
})
