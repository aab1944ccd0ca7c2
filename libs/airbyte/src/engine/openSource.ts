import { BadSetting, type Budgets, make, type MakeOptions, type Source, SourceError } from "@tributary/connector"
import type { Connector } from "@tributary/domain"
import type { Tokens } from "@tributary/oauth"
import type { Secrets } from "@tributary/secrets"
import { Effect, Result, type Scope } from "effect"
import { readFile } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { parseJson } from "../component/jsonText.ts"
import type { PlainDict } from "../expression/Value.ts"
import { streamStates } from "../run/streamStates.ts"
import { expandConnector } from "./expandConnector.ts"
import { loadHooks } from "./loadHooks.ts"
import { manifestDefinition } from "./ManifestDefinition.ts"

/**
 * Makes a connector ready, whatever defines its streams: its file, a module, or an Airbyte manifest, which is read here. As
 * `make` of the engine otherwise. Requests are made only where a manifest's streams are known to the API alone.
 */
export const openSource = Effect.fn("airbyte.openSource")(function* (
  connector: Connector,
  options: Omit<MakeOptions, "definition">
): Effect.fn.Return<Source, SourceError, Scope.Scope | Secrets | Tokens | Budgets> {
  const { base } = options
  if (connector.manifest === undefined) return yield* make(connector, options)
  const file = resolve(base, connector.manifest)
  const fail = (setting: string, problem: string) =>
    new SourceError({
      connector: connector.connector,
      stream: undefined,
      reason: new BadSetting({ setting, problem })
    })
  const read = (setting: string, name: string) =>
    Effect.tryPromise({
      try: (signal) => readFile(resolve(base, name), { encoding: "utf8", signal }),
      catch: (cause) => {
        const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown"
        return fail(setting, `the file ${name} cannot be read (${code}).`)
      }
    })
  const text = yield* read("manifest", connector.manifest)
  const expanded = expandConnector(connector, text)
  if (Result.isFailure(expanded)) {
    const [first] = expanded.failure
    return yield* fail(
      first?.path.join(".") ?? "manifest",
      first === undefined ? "it cannot be used." : `found ${first.found}, expected ${first.expected}. ${first.advice}`
    )
  }
  const { manifest } = expanded.success
  const hooks =
    connector.hooks === undefined
      ? undefined
      : yield* Effect.mapError(loadHooks(resolve(base, connector.hooks)), (problem) =>
          fail("hooks", `${connector.hooks} ${problem}`)
        )
  const { state } = connector
  const states =
    state === undefined
      ? new Map<string, PlainDict>()
      : yield* Effect.flatMap(read("state", state), (given) =>
          Effect.try({
            try: () => streamStates(parseJson(given)),
            catch: () => fail("state", `${state} is not JSON; expected the state that Airbyte shows of the connection.`)
          })
        )
  if (state !== undefined && states.size === 0) {
    return yield* fail(
      "state",
      `${state} has the state of no stream; expected the state that Airbyte shows of the connection.`
    )
  }
  return yield* make(expanded.success.connector, {
    ...options,
    definition: manifestDefinition(manifest, expanded.success.connector, dirname(file), hooks, states)
  })
})
