import {
  type Authorizer,
  BadSetting,
  type ConnectorDefinition,
  type EngineTools,
  type SourceReason
} from "@tributary/connector"
import type { Connector } from "@tributary/domain"
import { Clock, Effect } from "effect"
import { Component } from "../component/Component.ts"
import type { ManifestHooks } from "../component/Hooks.ts"
import { Expressions } from "../component/Expressions.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { isPlainDict, type PlainDict } from "../expression/Value.ts"
import { portsAt } from "../expression/Ports.ts"
import { type Manifest, requireStream, requireSupported, specOf } from "../manifest/Manifest.ts"
import { budgetOf } from "../run/Budget.ts"
import { normalizedConfig, validateConfig } from "../run/configTransformations.ts"
import { allStreams } from "../run/manifestStreams.ts"
import type { Message } from "../run/Message.ts"
import { pure, thrown } from "../run/pure.ts"
import { ResponseCache } from "../run/ResponseCache.ts"
import type { Run } from "../run/Run.ts"
import { configConflicts, secretsIn, valueOf } from "./Config.ts"
import { engineAuthenticator, engineHttp, hideIn, reasonOf, runErrorOf } from "./EngineHttp.ts"
import { manifestStream } from "./ManifestStream.ts"
import { type AuthFor, authOf } from "./OAuthSettings.ts"
import { streamNameOf } from "./streamNameOf.ts"

/** What a manifest's components say while they work. */
const told = (message: Message, secrets: ReadonlyArray<string>): Effect.Effect<void> => {
  const log = message["log"]
  const text = log !== undefined && log !== null && isPlainDict(log) ? log["message"] : undefined
  return typeof text === "string" ? Effect.logInfo(hideIn(text, secrets)) : Effect.void
}

/** How long the streams that an API names are taken for the same, in milliseconds. */
const longestKnown = 60_000

/** The streams of a manifest with the config of a connector file, for the engine. `folder` is the manifest's, `states` what Airbyte kept. */
export const manifestDefinition =
  (
    manifest: Manifest,
    connector: Connector,
    folder: string,
    hooks: ManifestHooks | undefined,
    states: ReadonlyMap<string, PlainDict>
  ) =>
  (tools: EngineTools): ConnectorDefinition => {
    const authorizers = new Map<string, Authorizer>()
    /** What stands for an `OAuthAuthenticator`: the connector's authorization, or one beside it. */
    const ofManifest = Effect.fnUntraced(function* (authFor: AuthFor, expressions: Expressions, component: Component) {
      const auth = yield* pure(() => authFor(component))
      if (auth === undefined) return undefined
      if (auth === "connector") return engineAuthenticator(tools, expressions, component)
      const name = JSON.stringify(auth)
      const authorizer = authorizers.get(name) ?? (yield* Effect.mapError(tools.authorizer(auth), runErrorOf))
      authorizers.set(name, authorizer)
      return engineAuthenticator(tools, expressions, component, authorizer)
    })

    const prepared = Effect.fnUntraced(function* () {
      const clock = yield* Clock.Clock
      const given = connector.config ?? {}
      const resolved = yield* tools.resolve.json(given, "config")
      const [conflict] = configConflicts(manifest, resolved.value, { isResolved: true })
      if (conflict !== undefined) {
        const setting = conflict.path.join(".")
        const problem = `found ${conflict.found}, expected ${conflict.expected}. ${conflict.advice}`
        // What a reference stands for is a secret, whether or not the manifest marks it as one.
        return yield* new BadSetting({ setting, problem: hideIn(problem, resolved.secrets) })
      }
      const environment = { ports: portsAt(() => Math.floor(clock.currentTimeMillisUnsafe() * 1000)), hooks }
      const plain = valueOf(resolved.value)
      const secrets = [...resolved.secrets, ...secretsIn(manifest, plain)]
      const made = pure(() => {
        requireSupported(manifest, hooks)
        const specData = specOf(manifest)
        const spec = specData === undefined ? undefined : new Component(specData, "spec")
        const config: PlainDict = normalizedConfig(spec, plain, environment)
        validateConfig(spec, config, environment)
        const expressions = new Expressions(config, environment)
        const budget = manifest.data["api_budget"]
        const own = authOf(manifest, connector, environment)
        const run: Run = {
          expressions,
          http: engineHttp(tools, secrets),
          cache: new ResponseCache(),
          budget:
            budget !== undefined && budget !== null && isPlainDict(budget)
              ? budgetOf(new Component(budget, "api_budget"), expressions)
              : undefined,
          emit: (message) => told(message, secrets),
          folder,
          configured: new Map(),
          authorization:
            own === undefined
              ? undefined
              : own === "file"
                ? { replaces: "all", authenticator: (component) => engineAuthenticator(tools, expressions, component) }
                : {
                    replaces: "oauth",
                    authenticator: (component) => ofManifest(own, expressions, component)
                  }
        }
        return run
      })
      return { run: yield* Effect.mapError(made, (error: RunError) => reasonOf(error, secrets)), secrets }
    })

    let known: { readonly at: number; readonly components: ReadonlyArray<Component> } | undefined
    /** Streams that the API names are asked for once for all of them, and again some time later. */
    const streamsOf = Effect.fnUntraced(function* (run: Run) {
      const now = yield* Clock.currentTimeMillis
      if (known === undefined || now - known.at > longestKnown || now < known.at) {
        known = { at: now, components: yield* allStreams(run, manifest) }
      }
      return known.components
    })

    const open = (name: string) =>
      Effect.gen(function* () {
        const { run, secrets } = yield* prepared()
        const toReason = (error: RunError): SourceReason => reasonOf(error, secrets)
        const components = yield* Effect.mapError(thrown(streamsOf(run)), toReason)
        const component = components.find((candidate) => streamNameOf(candidate.optionalText("name") ?? "") === name)
        if (component === undefined) {
          const names = components.map((candidate) => streamNameOf(candidate.optionalText("name") ?? "")).join(", ")
          return yield* toReason(
            failure(`The manifest has no stream ${name}; it has ${names}. Correct \`streams\`.`, "config_error")
          )
        }
        yield* Effect.mapError(
          pure(() => requireStream(component, hooks)),
          toReason
        )
        const kept = states.get(component.optionalText("name") ?? "")
        return yield* manifestStream({ run, secrets, tools, kept }, component, `streams.${name}`, false).open
      })
    return {
      streams: Object.fromEntries(Object.keys(connector.streams).map((name) => [name, { open: open(name) }]))
    }
  }
