import { make, type Source, type SourceError } from "@tributary/connector"
import { type Connector, formatProblems, parseConnector } from "@tributary/domain"
import { Clock, Effect, Result } from "effect"
import { stringify } from "yaml"
import type { ConnectorCase, Outcome, Wrong } from "./Case.ts"
import { withoutSetting } from "./ConnectorCases.ts"
import { hurriedClock } from "./HurriedClock.ts"
import type { Json } from "./Json.ts"
import { faultsOf } from "./Messages.ts"
import { readStream, services } from "./Walks.ts"

/** The connector that a case's file is, or what is wrong with how it is refused. */
export const parsed = (
  config: Json,
  base: string,
  repairs: boolean
): Connector | { readonly wrong: ReadonlyArray<Wrong> } => {
  let left = config
  const wrong: Array<Wrong> = []
  for (let turn = 0; turn < 60; turn++) {
    const parsed = parseConnector(stringify(left).replaceAll("@BASE@", base), "shop.yaml")
    if (Result.isSuccess(parsed)) return parsed.success.connector
    const text = formatProblems(parsed.failure)
    wrong.push(...faultsOf(text, JSON.stringify(left)))
    if (parsed.failure.length === 0)
      wrong.push({ name: "a file is refused without a reason", detail: JSON.stringify(left).slice(0, 300) })
    for (const { advice, expected, found, line, column } of parsed.failure) {
      if (line < 1 || column < 1 || found === "" || expected === "" || advice === "") {
        wrong.push({ name: "a problem of a file does not say all", detail: text.slice(0, 500) })
      }
    }
    const next = repairs ? parsed.failure.reduce((file, { path }) => withoutSetting(file, path), left) : left
    if (next === left) return { wrong }
    left = next
  }
  return { wrong }
}

/** Opens a source and reads its first streams. `quoted` is what its file says. */
export const readSource = async (
  opened: Effect.Effect<Source, SourceError, Effect.Services<ReturnType<typeof make>>>,
  { connector, streams }: Pick<Connector, "connector" | "streams">,
  quoted: string
): Promise<Pick<Outcome, "word" | "wrong">> => {
  const { clock, close } = hurriedClock()
  const wrong: Array<Wrong> = []
  const program = Effect.gen(function* () {
    const made = yield* Effect.result(opened)
    if (Result.isFailure(made)) {
      const { message, reason } = made.failure
      wrong.push(...faultsOf(message, quoted))
      if (!message.startsWith(connector))
        wrong.push({ name: "an error does not name its connector", detail: message.slice(0, 300) })
      return `not made: ${reason._tag}`
    }
    let word = "read"
    for (const name of Object.keys(streams).slice(0, 2)) {
      const came = yield* readStream(made.success, name, wrong, quoted)
      if (came !== "read") word = came
    }
    return word
  }).pipe(Effect.scoped, Effect.provide(services), Effect.provideService(Clock.Clock, clock))
  try {
    return { word: await Effect.runPromise(program), wrong }
  } finally {
    close()
  }
}

export const runConnector = async (
  given: ConnectorCase,
  base: string,
  folder: string
): Promise<Pick<Outcome, "word" | "wrong">> => {
  const connector = parsed(given.config, base, given.repairs)
  if (!("connector" in connector)) return { word: "not a valid file", wrong: connector.wrong }
  return readSource(make(connector, { base: folder }), connector, JSON.stringify(given.config))
}
